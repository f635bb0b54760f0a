package ledger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/trusttest"
)

// An open ledger takes anybody's records about anything; what one look-up holds must stay bounded all the same.
func TestFloodedDigestStillAnswersWithWhatCounts(t *testing.T) {
	large := func(n *trust.Notarization) { // about 400 KiB
		for i := range 3900 {
			n.Subjects = append(n.Subjects, trust.RecordSubject{Name: "x", Digest: trust.DigestOf(fmt.Append(nil, i)), Role: "index"})
		}
	}
	flooded := image(77)
	for name, c := range map[string]struct {
		flood   func(w *world, stranger *trusttest.Publisher) []byte
		records int // of the flood
		most    int // records that may be held of it
		reason  trust.Reason
	}{
		"by a registered stranger": {func(_ *world, s *trusttest.Publisher) []byte { return s.Notarize(flooded, large) }, 12, 3, ""},
		"in the publisher's name, unsigned": {func(w *world, s *trusttest.Publisher) []byte {
			own := w.pub.Key
			w.pub.Key = s.Key
			defer func() { w.pub.Key = own }()
			return w.pub.Notarize(flooded, large)
		}, 12, 4, ""},
		"by the publisher himself": {func(w *world, _ *trusttest.Publisher) []byte { return w.pub.Notarize(flooded, large) }, 60, 60, trust.EvidenceUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			stranger := trusttest.NewPublisher(t, origin, "stranger")
			w.l.Put(stranger.Document())
			for range c.records {
				w.l.Put(c.flood(w, stranger))
			}
			at := w.l.Put(w.pub.Notarize(flooded, trusttest.Withdraw))
			w.mirror(w.l.Count())
			r := w.open()
			w.sync(r)
			got, err := r.For([]string{w.pub.ID}).ByDigest(flooded.Manifest)
			w.wantReason(err, c.reason)
			if c.reason != "" {
				if !strings.Contains(err.Error(), w.pub.ID) {
					t.Errorf("%v does not name who floods", err)
				}
				return
			}
			if n := len(got); n == 0 || n-1 > c.most || got[n-1].Pos.Tx != at {
				t.Errorf("%d records, want the one that counts and at most %d others", n, c.most)
			}
		})
	}
}
