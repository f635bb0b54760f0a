package ledger

import (
	"errors"
	"slices"

	"github.com/castellan/castellan/trust"
)

// What one look-up may hold, in bytes as sizeOf counts them. Beyond the first, records are held only if their
// publisher signed them; beyond the second, even his own are too many.
const (
	maxUnsignedBytes = 2 << 20
	maxSignedBytes   = 32 << 20
	maxOthersBytes   = 1 << 20 // of publishers nobody asked for
)

// lookup is one look-up on its way: records come in the order of the ledger, what could never count is let go.
type lookup struct {
	r     *Replica // its mu is held
	known []string // whose words are asked for; nil = all the same
	what  string   // digest or name
	first map[string]place

	out          []trust.PlacedNotarization
	held, others int
}

// take keeps n if it may count.
func (l *lookup) take(n trust.PlacedNotarization) error {
	size := sizeOf(n.Envelope)
	if l.known != nil && !slices.Contains(l.known, n.Notarization.Publisher) {
		if l.others+size > maxOthersBytes {
			return nil
		}
		l.others += size
		size = 0
	}
	if again, err := l.repeated(n); err != nil || again {
		return err
	}
	if l.held+size > maxUnsignedBytes {
		if ok, err := l.signed(n, true); err != nil || !ok {
			return err
		}
	}
	if l.held += size; l.held > maxSignedBytes {
		return reason(trust.EvidenceUnreadable, "cannot look up %.120q in the ledger %s: its publishers' records about it have more than %d MiB; ask %s, who signed the last of them",
			l.what, l.r.cfg.Origin, maxSignedBytes>>20, n.Notarization.Publisher)
	}
	l.out = append(l.out, n)
	return nil
}

// repeated tells whether a record with n's key that counts stands before n. What its publisher did not sign hides
// nothing: anybody could have put it there.
func (l *lookup) repeated(n trust.PlacedNotarization) (bool, error) {
	key, err := trust.Record{Notarization: &n.Notarization}.Key()
	if err != nil {
		return false, err
	}
	at := placeOf(n.Pos)
	places := l.r.view.find(keyWord(key))
	if len(places) < 2 {
		return false, nil // nearly always: nothing is read and nothing kept
	}
	first, ok := l.first[key]
	if !ok {
		if first, err = l.firstSigned(key); err != nil {
			return false, err
		}
		l.first[key] = first
	}
	return first < at, nil
}

// errFound ends a search that has its answer.
var errFound = errors.New("found")

// firstSigned is the place of the first record under key that counts, the end of all places when there is none.
func (l *lookup) firstSigned(key string) (place, error) {
	first := ^place(0)
	err := l.r.records(keyWord(key), func(p place, rec trust.Record) error {
		if k, err := rec.Key(); err != nil || k != key || rec.Notarization == nil {
			return err // a chance hit of the index
		}
		ok, err := l.signed(trust.PlacedNotarization{Pos: p.position(), Envelope: rec.Envelope, Notarization: *rec.Notarization}, false)
		if err == nil && ok {
			first, err = p, errFound
		}
		return err
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return first, err
}

// signed tells whether n's publisher signed it; with revoked, also by a key that was revoked since.
func (l *lookup) signed(n trust.PlacedNotarization, revoked bool) (bool, error) {
	chain, err := l.r.chain(n.Notarization.Publisher)
	if err != nil {
		return false, err
	}
	_, err = trust.VerifyNotarization(chain, n)
	return err == nil || revoked && errors.Is(err, trust.ErrSignerRevoked), nil
}
