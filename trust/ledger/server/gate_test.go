package server

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
)

func TestGateRefusals(t *testing.T) {
	l := startLedger(t, func(c *Config) { c.DailyBytes = 1 << 30 })
	p := newPublisher(t, "ghcr.io/home/*")
	doc, first := p.document(nil), p.notarization(nil)
	l.mustPost(t, doc, first)
	stranger := newPublisher(t)
	thief := newPublisher(t)
	thief.doc, thief.uid = p.doc, p.uid+100 // p's name, other keys

	word := func(change func(*trust.Notarization)) []byte { return p.notarization(change) }
	for what, tt := range map[string]struct {
		body   []byte
		status int
		field  string
		say    string
	}{
		"empty":              {nil, 400, "body", "empty body"},
		"not JSON":           {[]byte("hello"), 400, "body", "cannot read the body"},
		"a string":           {[]byte(`"x"`), 400, "body", "cannot read the body"},
		"empty array":        {[]byte("[]"), 400, "records", "0 records"},
		"null":               {[]byte("null"), 400, "records", "0 records"},
		"too many":           {[]byte("[" + strings.Repeat("1,", maxTxEntries) + "1]"), 400, "records", "1025 records"},
		"not an envelope":    {[]byte(`{"a":1}`), 400, "records[0]", "cannot accept records[0]"},
		"second is bad":      {array(word(nil), []byte(`{}`)), 400, "records[1]", "cannot accept records[1]"},
		"duplicate keys":     {bytes.Replace(word(nil), []byte(`{`), []byte(`{"payloadType":"x",`), 1), 400, "records[0]", "duplicate"},
		"trailing bytes":     {append(word(nil), "x"...), 400, "records[0]", ""},
		"twice in a list":    {array(first, first), 400, "records[1]", "twice"},
		"wrong payload type": {seal(t, trust.PublisherType, []byte(`{}`), p.key), 400, "records[0]", ""},
		"root document":      {seal(t, trust.RootType, []byte(`{}`), p.key), 400, "records[0]", "payloadType"},
		"other ledger":       {word(func(n *trust.Notarization) { n.Ledger = "other.example" }), 422, "records[0].ledger", `"other.example"`},
		"not registered":     {stranger.notarization(nil), 422, "records[0].publisher", "not registered"},
		"other signer":       {thief.notarization(nil), 422, "records[0].signatures", "signatures"},
		"newer document":     {word(func(n *trust.Notarization) { n.Doc = 2 }), 422, "records[0].doc", "the ledger has 1"},
		"uid in the future": {word(func(n *trust.Notarization) { n.UID = uint64(testNow.Add(25 * time.Hour).UnixNano()) }),
			422, "records[0].uid", "in the future"},
		"other name": {word(func(n *trust.Notarization) { n.Name = "docker.io/library/nginx" }), 422, "records[0].name", "does not speak for"},
		"same uid, other content": {word(func(n *trust.Notarization) { n.UID, n.Version = 1_780_000_000_000_000_001, "9" }),
			409, "records[0]", "another record"},
		"same document version": {seal(t, trust.PublisherType, otherDocument(t, p), p.root), 409, "records[0]", "another record"},
		"chain breaks": {thief.document(func(d *trust.Publisher) { d.Prev = trust.DigestOf([]byte("x")) }),
			422, "records[0]", "cannot follow publisher"},
		"oversized body": {make([]byte, maxBody+1), 413, "body", "more than"},
	} {
		t.Run(what, func(t *testing.T) {
			status, m := l.post(t, "/v1/records", tt.body)
			if status != tt.status || m["field"] != tt.field || !strings.Contains(fmt.Sprint(m["error"]), tt.say) || m["next"] == "" {
				t.Errorf("got %d %v\nwant %d, field %q, an error with %q and a next step", status, m, tt.status, tt.field, tt.say)
			}
		})
	}
	if got := l.Head().Count; got != 1 {
		t.Errorf("refused records made %d transactions", got-1)
	}
}

// otherDocument is a version 1 of p that says something else.
func otherDocument(t *testing.T, p *publisher) []byte {
	t.Helper()
	d := p.doc
	d.Label = "other"
	b, err := trust.EncodePublisher(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOnlyAllowedPublishersWriteByDefault(t *testing.T) {
	friend, stranger := newPublisher(t), newPublisher(t)
	l := startLedger(t, func(c *Config) { c.Open, c.Allow = false, []string{friend.doc.ID} })
	if status, m := l.post(t, "/v1/records", array(stranger.document(nil))); status != http.StatusForbidden ||
		!strings.Contains(fmt.Sprint(m["next"]), "--allow "+stranger.doc.ID) {
		t.Errorf("stranger: %d %v", status, m)
	}
	l.mustPost(t, friend.document(nil), friend.notarization(nil))
}

func TestRotationAndRevocationHoldAtTheGate(t *testing.T) {
	l := startLedger(t, nil)
	p := newPublisher(t)
	l.mustPost(t, p.document(nil), p.notarization(nil))
	old := p.key
	p.key = newKey(t)
	l.mustPost(t, p.document(func(d *trust.Publisher) {
		d.Revoked = []trust.Revocation{{KeyID: d.Keys[0].KeyID, Reason: trust.Superseded, Cutoff: 1}}
		d.Keys = append(d.Keys, workingKey(p.key))
	}))
	l.mustPost(t, p.notarization(nil)) // by the new key
	p.key = old
	if status, m := l.post(t, "/v1/records", p.notarization(nil)); status != 422 || !strings.Contains(fmt.Sprint(m["next"]), "was revoked") {
		t.Errorf("by the revoked key: %d %v", status, m)
	}
	// The root key may withdraw, and may not vouch.
	p.key = p.root
	withdraw := func(n *trust.Notarization) { n.Status, n.Severity = trust.Untrusted, trust.SeverityStop }
	l.mustPost(t, p.notarization(withdraw))
	if status, _ := l.post(t, "/v1/records", p.notarization(nil)); status != 422 {
		t.Errorf("TRUSTED by the root key: %d", status)
	}
}

// Whoever can write to the database can put a forgery where a publisher's next document or record will stand.
func TestForgeriesUnderAForetoldKeyBlockNobody(t *testing.T) {
	for name, restart := range map[string]bool{"while the server runs": false, "and it starts again": true} {
		t.Run(name, func(t *testing.T) {
			l := startLedger(t, nil)
			p := newPublisher(t)
			l.mustPost(t, p.document(nil), p.notarization(nil))
			thief := *p
			thief.root, thief.key = newKey(t), newKey(t)
			var forged []Entry
			for _, raw := range [][]byte{thief.document(func(d *trust.Publisher) { d.Label = "squatted" }), thief.notarization(nil)} {
				c, err := parse(raw)
				if err != nil {
					t.Fatal(err)
				}
				key, value := ledger.RecordEntry(c.key, c.value)
				forged = append(forged, Entry{Key: key, Value: value})
			}
			if _, err := l.store.Append(t.Context(), forged); err != nil {
				t.Fatal(err)
			}
			if restart {
				l.start2(t)
			}
			real := [][]byte{p.document(nil), p.notarization(nil)}
			first := l.mustPost(t, real...)
			if first[0].Tx != 3 || first[1].Tx != 3 {
				t.Errorf("real records stand at %v, want transaction 3", first)
			}
			l.mustPost(t, p.notarization(func(n *trust.Notarization) { n.Doc = 2 }))
			if again := l.mustPost(t, real...); again[0] != first[0] || again[1] != first[1] {
				t.Errorf("sent again: %v, want %v", again, first)
			}
			l.start2(t)
			if again := l.mustPost(t, real...); again[0] != first[0] || again[1] != first[1] {
				t.Errorf("sent again after a restart: %v, want %v", again, first)
			}
		})
	}
}

func TestOpenLedgerBoundsStrangers(t *testing.T) {
	now := testNow
	friend, spammer := newPublisher(t), newPublisher(t)
	l := startLedger(t, func(c *Config) {
		c.Allow, c.DailyBytes, c.Now = []string{friend.doc.ID}, 6000, func() time.Time { return now }
	})
	l.mustPost(t, friend.document(nil))
	l.mustPost(t, spammer.document(nil))
	write := func(p *publisher, n int) int {
		for range n {
			if status, _ := l.post(t, "/v1/records", p.notarization(nil)); status != http.StatusOK {
				return status
			}
		}
		return http.StatusOK
	}
	// Transactions carry immudb's own clock, so the books are of today, whatever day the test pretends.
	now = time.Now()
	if got := write(spammer, 20); got != http.StatusTooManyRequests {
		t.Errorf("spammer: %d, want 429", got)
	}
	if got := write(friend, 20); got != http.StatusOK {
		t.Errorf("friend: %d, want 200", got)
	}
	l.start2(t)
	if got := write(spammer, 1); got != http.StatusTooManyRequests {
		t.Errorf("spammer after a restart: %d, want 429", got)
	}
	minted := 0
	for ; minted < 200; minted++ { // new publishers cost nothing, so all strangers share one limit
		if status, _ := l.post(t, "/v1/records", array(newPublisher(t).document(nil))); status != http.StatusOK {
			break
		}
	}
	if minted == 200 {
		t.Error("200 minted publishers were not bounded together")
	}
	now = now.Add(24 * time.Hour)
	if got := write(spammer, 1); got != http.StatusOK {
		t.Errorf("spammer the next day: %d, want 200", got)
	}
}

func FuzzPostRecords(f *testing.F) {
	// A gate alone: the goroutines of a store would blur the fuzzer's view of what its inputs reach.
	g := newGate(testOrigin, policy{open: true, dailyBytes: 1 << 40, now: func() time.Time { return testNow }},
		func() (trust.Root, bool) { return trust.Root{}, false })
	p := newPublisher(f)
	doc, word := p.document(nil), p.notarization(nil)
	key, value := ledger.RecordEntry("p/"+p.doc.ID+"/0000000001", doc)
	if !g.take(ledger.Entry{Key: key, Value: value}, trust.Position{Tx: 1}, testNow) {
		f.Fatal("the publisher document was not taken")
	}
	g.head.Count = 1
	for _, seed := range [][]byte{doc, word, array(doc, word), []byte("[]"), []byte(`[{"payload":"","payloadType":"","signatures":[]}]`), []byte("{")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		envelopes, err := splitRecords(body)
		if err != nil {
			return
		}
		sub, err := g.admit(envelopes)
		if err != nil {
			return
		}
		defer g.release(sub)
		for _, e := range sub.entries { // whatever is let in is what appliances read
			if !g.readable(e) {
				t.Errorf("admitted an entry that appliances ignore: %q", e.Key)
			}
		}
	})
}

// readable tells whether appliances would take e.
func (g *gate) readable(e Entry) bool {
	rec, err := trust.ParseRecord(e.Value[1:])
	if err != nil {
		return false
	}
	key, err := rec.Key()
	return err == nil && key == string(e.Key[1:]) && rec.Ledger() == g.origin
}
