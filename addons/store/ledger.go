package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Ledger is the CAS ledger that vouches for a repository's add-ons, in place of the root's.
type Ledger struct {
	Origin string   `json:"origin"` // first line of its checkpoints
	Keys   []string `json:"keys"`   // note verifier keys
	URLs   []string `json:"urls"`   // https mirrors; they are no part of the fingerprint
}

// Fingerprint is sha256 over the origin and the sorted keys, one a line, as groups of four hex digits. It is what an
// owner compares with what the publisher says elsewhere.
func (l Ledger) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", l.Origin)
	for _, k := range slices.Sorted(slices.Values(l.Keys)) {
		fmt.Fprintf(h, "%s\n", k)
	}
	digits := hex.EncodeToString(h.Sum(nil))
	var groups []string
	for part := range slices.Chunk([]byte(digits), 4) {
		groups = append(groups, string(part))
	}
	return strings.Join(groups, " ")
}

func (l Ledger) same(o Ledger) bool { return l.Fingerprint() == o.Fingerprint() }

// accepts compares a fingerprint as somebody typed it.
func (l Ledger) accepts(typed string) bool {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t:-", r) {
				return -1
			}
			return r
		}, strings.ToLower(s))
	}
	return typed != "" && plain(typed) == plain(l.Fingerprint())
}

// LedgerError says that a repository brings a ledger the owner did not accept yet.
type LedgerError struct {
	Source      string
	Origin      string
	Fingerprint string
	Given       string // the fingerprint that was to be accepted, "" = none
}

func (e *LedgerError) Error() string {
	s := fmt.Sprintf("cannot add %s: its add-ons are vouched for by ledger %q with fingerprint %s", e.Source, e.Origin, e.Fingerprint)
	if e.Given != "" {
		return s + fmt.Sprintf(", not %s; ask its publisher which one is right", clean(e.Given))
	}
	return s + "; compare it with what its publisher says, then add the repository with this fingerprint"
}
