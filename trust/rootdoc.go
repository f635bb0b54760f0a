package trust

import (
	"fmt"
	"time"
)

type wireRoot struct {
	Version    int64          `json:"version"`
	Expires    string         `json:"expires"`
	Keys       []wireKey      `json:"keys"`
	Threshold  int64          `json:"threshold"`
	Ledgers    []wireLedger   `json:"ledgers"`
	Publishers wirePublishers `json:"publishers"`
	Preload    []wirePreload  `json:"preload,omitempty"`
	Transfers  []wireTransfer `json:"transfers,omitempty"`
	Freshness  wireFreshness  `json:"freshness,omitzero"`
	ClockFloor string         `json:"clockFloor,omitzero"`
}

type wireLedger struct {
	Origin   string      `json:"origin"`
	NoteKeys []string    `json:"noteKeys"`
	URLs     []string    `json:"urls,omitempty"`
	Minimum  wireAnchor  `json:"minimum,omitzero"`
	Resume   *wireAnchor `json:"resume,omitempty"`
}

type wireAnchor struct {
	Count int64  `json:"count"`
	Alh   string `json:"alh"`
}

type wirePublishers struct {
	Core     []string `json:"core,omitempty"`
	Security []string `json:"security,omitempty"`
}

type wirePreload struct {
	Name      string `json:"name"`
	Publisher string `json:"publisher"`
}

type wireTransfer struct {
	Publisher string `json:"publisher"`
	Root      string `json:"root"`
	Version   int64  `json:"version"`
}

// wireFreshness is in seconds, 0 or absent for the defaults of [Root].
type wireFreshness struct {
	Warn int64 `json:"warn,omitzero"`
	Max  int64 `json:"max,omitzero"`
}

// ParseRoot reads the payload of a root document: an in-toto Statement v1 with [RootPredicate] whose subjects are
// the root keys, within all limits of [Root.Check]. Times are RFC 3339 in UTC, freshness is in seconds. No signature
// is checked: [VerifyFirstRoot] and [VerifyNextRoot] do that.
func ParseRoot(payload []byte) (Root, error) {
	r, err := parseRoot(payload)
	if err != nil {
		return Root{}, fmt.Errorf("cannot read root document: %w", err)
	}
	return r, nil
}

func parseRoot(payload []byte) (Root, error) {
	s, err := decodeStatement[wireRoot](payload, RootPredicate)
	if err != nil {
		return Root{}, err
	}
	w := s.Predicate
	if err := checkNumber("version", w.Version, 1, maxOrdinal); err != nil {
		return Root{}, err
	}
	if err := checkNumber("threshold", w.Threshold, 1, maxOrdinal); err != nil {
		return Root{}, err
	}
	r := Root{
		Version: int(w.Version), Threshold: int(w.Threshold),
		Core: nonEmpty(w.Publishers.Core), Security: nonEmpty(w.Publishers.Security),
	}
	if err := r.readTimes(w); err != nil {
		return Root{}, err
	}
	if r.Keys, err = parseKeys(w.Keys); err != nil {
		return Root{}, err
	}
	for i, l := range w.Ledgers {
		ledger, err := l.parse()
		if err != nil {
			return Root{}, fieldError("ledgers", "ledger %d: %w", i, err)
		}
		r.Ledgers = append(r.Ledgers, ledger)
	}
	for _, p := range w.Preload {
		r.Preload = append(r.Preload, Preload(p))
	}
	for i, t := range w.Transfers {
		key, err := parseKey("root", t.Root)
		if err != nil {
			return Root{}, fieldError("transfers", "transfer %d: %w", i, err)
		}
		if err := checkNumber("version", t.Version, 2, maxOrdinal); err != nil {
			return Root{}, fieldError("transfers", "transfer %d: %w", i, err)
		}
		r.Transfers = append(r.Transfers, Transfer{Publisher: t.Publisher, Root: key, Version: int(t.Version)})
	}
	if err := r.Check(); err != nil {
		return Root{}, err
	}
	return r, checkKeySubjects(s.Subject, r.subjects())
}

func (r *Root) readTimes(w wireRoot) (err error) {
	if r.Expires, err = parseTime("expires", w.Expires); err != nil {
		return err
	}
	if w.ClockFloor != "" {
		if r.ClockFloor, err = parseTime("clockFloor", w.ClockFloor); err != nil {
			return err
		}
	}
	if r.Warn, err = seconds("warn", w.Freshness.Warn); err != nil {
		return err
	}
	r.Max, err = seconds("max", w.Freshness.Max)
	return err
}

func (l wireLedger) parse() (RootLedger, error) {
	out := RootLedger{Origin: l.Origin, NoteKeys: nonEmpty(l.NoteKeys), URLs: nonEmpty(l.URLs)}
	var err error
	if out.Minimum, err = l.Minimum.parse("minimum"); err != nil || l.Resume == nil {
		return out, err
	}
	resume, err := l.Resume.parse("resume")
	out.Resume = &resume
	return out, err
}

func (a wireAnchor) parse(field string) (Anchor, error) {
	if err := checkNumber(field, a.Count, 0, maxNumber); err != nil {
		return Anchor{}, err
	}
	return Anchor{Count: uint64(a.Count), Alh: Digest(a.Alh)}, nil
}

// EncodeRoot writes the payload that [ParseRoot] reads. The same value always gives the same bytes.
func EncodeRoot(r Root) ([]byte, error) {
	b, err := encodeRoot(r)
	if err != nil {
		return nil, fmt.Errorf("cannot write root document: %w", err)
	}
	return b, nil
}

func encodeRoot(r Root) ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	w := wireRoot{
		Version: int64(r.Version), Expires: formatTime(r.Expires), Keys: formatKeys(r.Keys), Threshold: int64(r.Threshold),
		Publishers: wirePublishers{Core: r.Core, Security: r.Security},
		Freshness:  wireFreshness{Warn: int64(r.Warn / time.Second), Max: int64(r.Max / time.Second)},
	}
	if !r.ClockFloor.IsZero() {
		w.ClockFloor = formatTime(r.ClockFloor)
	}
	for _, l := range r.Ledgers {
		ledger := wireLedger{Origin: l.Origin, NoteKeys: l.NoteKeys, URLs: l.URLs, Minimum: formatAnchor(l.Minimum)}
		if l.Resume != nil {
			resume := formatAnchor(*l.Resume)
			ledger.Resume = &resume
		}
		w.Ledgers = append(w.Ledgers, ledger)
	}
	for _, p := range r.Preload {
		w.Preload = append(w.Preload, wirePreload(p))
	}
	for _, t := range r.Transfers {
		w.Transfers = append(w.Transfers, wireTransfer{Publisher: t.Publisher, Root: formatKey(t.Root), Version: int64(t.Version)})
	}
	return encodeStatement(r.subjects(), RootPredicate, w)
}

func formatAnchor(a Anchor) wireAnchor { return wireAnchor{Count: int64(a.Count), Alh: string(a.Alh)} }

func (r Root) subjects() []wireSubject {
	var list []wireSubject
	for _, k := range r.Keys {
		list = append(list, keySubject("root key", k.KeyID))
	}
	return list
}
