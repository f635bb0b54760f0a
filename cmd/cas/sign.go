package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/artifact"
)

// speaker is a publisher about to sign.
type speaker struct {
	doc  trust.Publisher
	env  trust.Envelope // of doc
	keys []ed25519.PrivateKey
	ev   *evidence
	app  *app
}

// speaker loads the publisher of login with its keys and a fresh replica. byRoot adds the publisher's root key.
func (a *app) speaker(ctx context.Context, byRoot bool) (*speaker, error) {
	doc, env, err := a.loadPublisher()
	if err != nil {
		return nil, err
	}
	key, err := a.workingKey()
	if err != nil {
		return nil, err
	}
	keys := []ed25519.PrivateKey{key}
	if byRoot {
		root, err := a.publisherRootKey()
		if err != nil {
			return nil, err
		}
		keys = append(keys, root)
	}
	au, err := a.authority()
	if err != nil {
		return nil, err
	}
	if doc.Ledger != au.ledger.Origin {
		return nil, usagef("publisher %s is registered for ledger %q, and this is %q", doc.ID, doc.Ledger, au.ledger.Origin)
	}
	ev, err := a.openEvidence(ctx, au)
	if err != nil {
		return nil, err
	}
	if ev.syncErr != nil {
		a.warn("the ledger's newest records are not known here: %v", ev.syncErr)
	}
	sp := &speaker{keys: keys, ev: ev, app: a}
	sp.doc, sp.env = ev.newestDocument(doc, env)
	return sp, nil
}

// newestDocument is the newer of doc and what the ledger has: another machine may have registered one, or a command
// here whose answer was lost.
func (e *evidence) newestDocument(doc trust.Publisher, env trust.Envelope) (trust.Publisher, trust.Envelope) {
	chain, err := e.PublisherChain(doc.ID)
	if err != nil || len(chain) == 0 {
		return doc, env // the ledger refuses what does not follow its newest
	}
	if last := chain[len(chain)-1]; last.Publisher.Version > doc.Version {
		return last.Publisher, last.Envelope
	}
	return doc, env
}

func (s *speaker) close() { _ = s.ev.Close() } // only read

// loadPublisher reads the newest own publisher document.
func (a *app) loadPublisher() (trust.Publisher, trust.Envelope, error) {
	b, err := os.ReadFile(a.path("publisher.json"))
	if err != nil {
		return trust.Publisher{}, trust.Envelope{}, fmt.Errorf("cannot find your publisher document: %w; run `cas login` first", err)
	}
	rec, err := trust.ParseRecord(b)
	if err == nil && rec.Publisher == nil {
		err = errors.New("it is another kind of record")
	}
	if err != nil {
		return trust.Publisher{}, trust.Envelope{}, fmt.Errorf("cannot read your publisher document %s: %w", a.path("publisher.json"), err)
	}
	return *rec.Publisher, rec.Envelope, nil
}

// word is what to say about artifacts.
type word struct {
	status        trust.Status
	severity      trust.Severity
	reason        string
	kind          string
	name, version string // "" = the artifact's own
	metadata      map[string]string
}

// say signs and registers one notarization and returns the line to print.
func (s *speaker) say(ctx context.Context, input string, art artifact.Artifact, w word) verdict {
	if w.kind != "" {
		art.Kind = w.kind
	}
	if w.name != "" {
		art.Name = w.name
	}
	if w.version != "" {
		art.Version = w.version
	}
	if err := s.complete(ctx, &art, w); err != nil {
		return errorVerdict(input, err)
	}
	uid, err := s.nextUID(art, w.status)
	if err != nil {
		return errorVerdict(input, err)
	}
	now := time.Now()
	n := trust.Notarization{
		UID: uid, Ledger: s.doc.Ledger, Publisher: s.doc.ID, Doc: s.doc.Version, Kind: art.Kind, Name: art.Name, Version: art.Version,
		Size: art.Size, Status: w.status, Severity: w.severity, Reason: w.reason, SignedAt: now.Unix(), Subjects: art.Subjects,
		Metadata: w.metadata,
	}
	payload, err := trust.EncodeNotarization(n)
	if err != nil {
		return errorVerdict(input, err)
	}
	env, err := trust.Sign(trust.NotarizationType, payload, s.keys...)
	if err != nil {
		return errorVerdict(input, err)
	}
	pos, err := postRecords(ctx, s.ev.ledger, env)
	if err != nil {
		return errorVerdict(input, err)
	}
	// The command did what was asked: a withdrawal that is registered is a success, not an untrusted input.
	return verdict{
		Input: input, Status: w.status.String(), Exit: exitTrusted, Kind: art.Kind, Name: art.Name, Version: art.Version,
		Digest: art.Subjects[0].Digest, Publisher: s.doc.ID, Record: pos[0], Severity: w.severity, Reason: w.reason,
	}
}

// complete fills in what a notarization must say and the input alone does not.
func (s *speaker) complete(ctx context.Context, art *artifact.Artifact, w word) error {
	if len(art.Remote) > 0 {
		// Appliances want index, manifest and configuration; the engine knows one of them, its registry all.
		full, err := artifact.Resolve(ctx, "oci://"+art.Remote[0], artifact.Options{PlainHTTP: s.app.plainHTTP})
		if err != nil {
			return err
		}
		if !slices.Contains(full.Digests(), art.Subjects[0].Digest) {
			return fmt.Errorf("the engine's image %s is not what %s holds; push the image again", art.Subjects[0].Digest, art.Remote[0])
		}
		art.Subjects, art.Size = full.Subjects, full.Size
		if w.name == "" {
			art.Name = full.Name
		}
	}
	if art.Name == "" && w.status != trust.Trusted {
		if err := s.repeat(art); err != nil {
			return err
		}
	}
	if art.Name == "" {
		return usagef("a digest alone has no name: give --name (and --version)")
	}
	for i := range art.Subjects {
		if art.Kind == trust.KindImage && art.Subjects[i].Role == "" {
			art.Subjects[i].Role = trust.RoleIndex // a digest that was given by hand, named as an image
		}
		art.Subjects[i].Name = art.Name
	}
	return nil
}

// repeat takes name, version and subjects of a withdrawal from the publisher's own newest record about the digest:
// what is withdrawn may be gone from its registry.
func (s *speaker) repeat(art *artifact.Artifact) error {
	own, err := s.own(art.Subjects[0].Digest)
	if err != nil {
		return err
	}
	if len(own) == 0 {
		return fmt.Errorf("you have not notarized %s in this ledger: give --kind and --name to withdraw it all the same", art.Subjects[0].Digest)
	}
	n := slices.MaxFunc(own, func(a, b trust.Notarization) int {
		if a.UID < b.UID {
			return -1
		}
		return 1
	})
	art.Kind, art.Name, art.Version, art.Size, art.Subjects = n.Kind, n.Name, n.Version, n.Size, slices.Clone(n.Subjects)
	return nil
}

// own are the publisher's own records about a digest. Anybody could have put others under his name, with a uid that no
// later word could exceed.
func (s *speaker) own(d trust.Digest) ([]trust.Notarization, error) {
	found, err := s.ev.ByDigest(d)
	if err != nil {
		return nil, err
	}
	chain, err := s.ev.PublisherChain(s.doc.ID)
	if err != nil {
		return nil, err
	}
	var own []trust.Notarization
	for _, p := range found {
		n := p.Notarization
		if _, err := trust.VerifyNotarization(chain, p); err != nil {
			continue
		}
		if n.Publisher == s.doc.ID && n.Ledger == s.doc.Ledger && slices.ContainsFunc(n.Subjects, func(r trust.RecordSubject) bool { return r.Digest == d }) {
			own = append(own, n)
		}
	}
	return own, nil
}

// nextUID is now, or later when an earlier word about the same content carries a later time: the highest uid counts.
// It refuses to notarize what the publisher has withdrawn, since that would change nothing.
func (s *speaker) nextUID(art artifact.Artifact, status trust.Status) (uint64, error) {
	uid := uint64(time.Now().UnixNano())
	for _, d := range art.Digests() {
		own, err := s.own(d)
		if err != nil {
			return 0, err
		}
		for _, n := range own {
			uid = max(uid, n.UID+1)
			if n.Status == trust.Untrusted && status == trust.Trusted && !slices.Contains(s.ev.root.Security, s.doc.ID) {
				return 0, fmt.Errorf("you have withdrawn %s (%s), and a withdrawal stays; build it anew and notarize that", d, n.Reason)
			}
		}
	}
	return uid, nil
}
