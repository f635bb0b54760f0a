package trust

import (
	"crypto/ed25519"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Limits of root documents.
const (
	maxLedgers    = 16
	maxNoteKeys   = 16
	maxURLs       = 32
	maxPublishers = 256
	maxPreload    = 4000
	maxTransfers  = 4000
)

// Check tells what keeps r from being a valid root document by itself: the first field that is out of range,
// misplaced or malformed. Whether it has expired is not asked here: that needs a clock.
func (r Root) Check() error {
	if err := checkNumber("version", int64(r.Version), 1, maxOrdinal); err != nil {
		return err
	}
	// One envelope holds the signatures of the old and the new keys together, hence no more keys than signatures.
	if err := checkKeys(r.Keys, r.Threshold, MaxSignatures); err != nil {
		return err
	}
	for _, check := range []func() error{r.checkTimes, r.checkLedgers, r.checkPublishers, r.checkTransfers} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (r Root) checkTimes() error {
	if err := checkTime("expires", r.Expires); err != nil {
		return err
	}
	if !r.ClockFloor.IsZero() {
		if err := checkTime("clockFloor", r.ClockFloor); err != nil {
			return err
		}
		if !r.ClockFloor.Before(r.Expires) {
			return fieldError("clockFloor", "%s is not before expires, %s", formatTime(r.ClockFloor), formatTime(r.Expires))
		}
	}
	for _, d := range []time.Duration{r.Warn, r.Max} {
		if d < 0 || d%time.Second != 0 {
			return fieldError("freshness", "%v is not a whole number of seconds", d)
		}
	}
	if r.Warn > 0 && r.Max > 0 && r.Warn > r.Max {
		return fieldError("freshness", "warn, %v, is after max, %v", r.Warn, r.Max)
	}
	return nil
}

func (r Root) checkLedgers() error {
	if len(r.Ledgers) == 0 || len(r.Ledgers) > maxLedgers {
		return fieldError("ledgers", "%d ledgers, want 1 to %d", len(r.Ledgers), maxLedgers)
	}
	seen := map[string]bool{}
	for i, l := range r.Ledgers {
		if err := l.check(); err != nil {
			return fieldError("ledgers", "ledger %d: %w", i, err)
		}
		if seen[l.Origin] {
			return fieldError("ledgers", "origin %q stands there twice", l.Origin)
		}
		seen[l.Origin] = true
	}
	return nil
}

func (l RootLedger) check() error {
	if err := checkOrigin("origin", l.Origin); err != nil {
		return err
	}
	if len(l.NoteKeys) == 0 || len(l.NoteKeys) > maxNoteKeys {
		return fieldError("noteKeys", "%d keys, want 1 to %d", len(l.NoteKeys), maxNoteKeys)
	}
	for _, k := range l.NoteKeys {
		if _, err := note.NewVerifier(k); err != nil {
			return fieldError("noteKeys", "%.200q is not a verifier key: %w", k, err)
		}
	}
	if len(l.URLs) > maxURLs {
		return fieldError("urls", "%d mirrors, the limit is %d", len(l.URLs), maxURLs)
	}
	for _, s := range l.URLs {
		if err := checkMirror(s); err != nil {
			return err
		}
	}
	if err := l.Minimum.check("minimum"); err != nil {
		return err
	}
	if l.Resume != nil {
		return l.Resume.check("resume")
	}
	return nil
}

func checkMirror(s string) error {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxText || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fieldError("urls", "%.200q is not an http or https address without user name, query and fragment", s)
	}
	return nil
}

// check accepts the zero anchor, which asks for nothing.
func (a Anchor) check(field string) error {
	if a == (Anchor{}) && field == "minimum" {
		return nil
	}
	if a.Count == 0 || a.Count > maxNumber {
		return fieldError(field, "count %d is not between 1 and %d", a.Count, int64(maxNumber))
	}
	if _, err := ParseDigest(string(a.Alh)); err != nil {
		return fieldError(field, "alh: %w", err)
	}
	return nil
}

func (r Root) checkPublishers() error {
	if err := checkPublisherIDs("core", r.Core); err != nil {
		return err
	}
	if err := checkPublisherIDs("security", r.Security); err != nil {
		return err
	}
	if len(r.Preload) > maxPreload {
		return fieldError("preload", "%d names, the limit is %d", len(r.Preload), maxPreload)
	}
	seen := make(map[string]bool, len(r.Preload))
	for _, p := range r.Preload {
		if err := checkPattern("preload", p.Name); err != nil {
			return err
		}
		if seen[p.Name] {
			return fieldError("preload", "name %q stands there twice", p.Name)
		}
		seen[p.Name] = true
		if !isPublisherID(p.Publisher) {
			return fieldError("preload", "name %q: %.80q is not a publisher ID", p.Name, p.Publisher)
		}
	}
	return nil
}

func checkPublisherIDs(field string, list []string) error {
	if len(list) > maxPublishers {
		return fieldError(field, "%d publishers, the limit is %d", len(list), maxPublishers)
	}
	seen := make(map[string]bool, len(list))
	for _, id := range list {
		if !isPublisherID(id) {
			return fieldError(field, "%.80q is not a publisher ID", id)
		}
		if seen[id] {
			return fieldError(field, "%s stands there twice", id)
		}
		seen[id] = true
	}
	return nil
}

func (r Root) checkTransfers() error {
	if len(r.Transfers) > maxTransfers {
		return fieldError("transfers", "%d transfers, the limit is %d", len(r.Transfers), maxTransfers)
	}
	seen := map[string]bool{}
	for _, t := range r.Transfers {
		if !isPublisherID(t.Publisher) {
			return fieldError("transfers", "%.80q is not a publisher ID", t.Publisher)
		}
		if err := checkNumber("transfers", int64(t.Version), 2, maxOrdinal); err != nil {
			return err
		}
		if len(t.Root) != ed25519.PublicKeySize {
			return fieldError("transfers", "%s: %d bytes, an ed25519 public key has %d", t.Publisher, len(t.Root), ed25519.PublicKeySize)
		}
		at := fmt.Sprintf("%s at version %d", t.Publisher, t.Version)
		if seen[at] {
			return fieldError("transfers", "%s stands there twice", at)
		}
		seen[at] = true
	}
	return nil
}
