package house

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/castellan/castellan/trust"
)

// Word is what the owner says about one image, or one channel file.
type Word struct {
	Ledger        string // origin of the ledger the image's component is judged by
	Kind          string // "" = image
	Name, Version string // repository and version, as the component asks for them
	Subjects      []trust.RecordSubject
	Status        trust.Status   // TRUSTED or UNTRUSTED
	Severity      trust.Severity // of UNTRUSTED
	Reason        string         // of UNTRUSTED, for people
}

// Subjects are the digests of an image, in their roles and for its platform: what a word must name to let it in.
func Subjects(s trust.Subject) []trust.RecordSubject {
	out := []trust.RecordSubject{
		{Name: s.Repository, Digest: s.Manifest, Role: trust.RoleManifest, Platform: s.Platform.String()},
		{Name: s.Repository, Digest: s.Config, Role: trust.RoleConfig, Platform: s.Platform.String()},
	}
	if s.Index != "" {
		out = append([]trust.RecordSubject{{Name: s.Repository, Digest: s.Index, Role: trust.RoleIndex}}, out...)
	}
	return out
}

// ChannelWord makes a file what a channel is now, for this appliance: the newest word of the core publishers and the owner
// counts. Its images still need somebody's word of their own.
func ChannelWord(ledger, channel string, file trust.Digest) Word {
	return Word{Ledger: ledger, Kind: trust.KindChannel, Name: channel, Status: trust.Trusted,
		Subjects: []trust.RecordSubject{{Name: channel, Digest: file}}}
}

// Say signs a word and keeps it; log writes it down first. Withdrawals carry the root key's signature as well, so that
// they may ask for what only the publisher himself may. What was withdrawn can't be accepted again.
func (s *Store) Say(w Word, now time.Time, log func(trust.Notarization) error) (trust.Notarization, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var more []trust.Record
	chain, err := s.chain(w.Ledger)
	if len(chain) == 0 { // that is an error, too
		doc, err := s.document(w.Ledger)
		if err != nil {
			return trust.Notarization{}, err
		}
		more = append(more, doc)
	} else if err != nil {
		return trust.Notarization{}, err
	}
	n := trust.Notarization{UID: s.nextUID(now), Ledger: w.Ledger, Publisher: s.id, Doc: 1, Kind: cmp.Or(w.Kind, trust.KindImage), Name: w.Name, Version: w.Version,
		Status: w.Status, Severity: w.Severity, Reason: w.Reason, SignedAt: now.Unix(), Subjects: w.Subjects}
	if w.Status == trust.Trusted {
		if bad := s.withdrawn(w.Subjects); bad != "" {
			return trust.Notarization{}, fmt.Errorf("cannot accept %s %s: you have withdrawn %s, and a withdrawal stays; take another version, or force it once", w.Name, w.Version, bad.Short())
		}
	}
	payload, err := trust.EncodeNotarization(n)
	if err != nil {
		return trust.Notarization{}, err
	}
	env, err := trust.Sign(trust.NotarizationType, payload, s.key)
	if err == nil && w.Status == trust.Untrusted {
		env, err = env.SignAlso(s.root)
	}
	if err != nil {
		return trust.Notarization{}, err
	}
	if err := log(n); err != nil {
		return trust.Notarization{}, fmt.Errorf("cannot keep a word of the house key: %w", err)
	}
	return n, s.write(append(more, trust.Record{Envelope: env, Notarization: &n}))
}

func (s *Store) withdrawn(subjects []trust.RecordSubject) trust.Digest {
	for _, sub := range subjects {
		if len(s.find("", func(n *trust.Notarization) bool { return n.Status == trust.Untrusted && about(n, sub.Digest) })) > 0 {
			return sub.Digest
		}
	}
	return ""
}

func about(n *trust.Notarization, d trust.Digest) bool {
	return slices.ContainsFunc(n.Subjects, func(r trust.RecordSubject) bool { return r.Digest == d })
}

// nextUID is now, or later when an earlier word carries a later time: the highest uid counts.
func (s *Store) nextUID(now time.Time) uint64 {
	uid := uint64(max(now.UnixNano(), 1))
	if all := s.find("", func(*trust.Notarization) bool { return true }); len(all) > 0 {
		uid = max(uid, slices.MaxFunc(all, newest).Notarization.UID+1)
	}
	return uid
}

// document is the house's publisher document for a ledger.
func (s *Store) document(origin string) (trust.Record, error) {
	doc := trust.Publisher{ID: s.id, Ledger: origin, Version: 1, Threshold: 1, Root: public(s.root), Label: "you",
		Keys: []trust.PublisherKey{{KeyID: trust.KeyID(public(s.key)), Pub: public(s.key)}}}
	payload, err := trust.EncodePublisher(doc)
	if err != nil {
		return trust.Record{}, err
	}
	env, err := trust.Sign(trust.PublisherType, payload, s.root)
	return trust.Record{Envelope: env, Publisher: &doc}, err
}
