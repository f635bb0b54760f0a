package server

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
)

// publisher makes records as a real one would.
type publisher struct {
	t         testing.TB
	root, key ed25519.PrivateKey
	doc       trust.Publisher
	last      []byte // payload of the newest document
	uid       uint64
}

func newPublisher(t testing.TB, names ...string) *publisher {
	t.Helper()
	p := &publisher{t: t, root: newKey(t), key: newKey(t), uid: 1_780_000_000_000_000_000}
	pub := p.root.Public().(ed25519.PublicKey)
	p.doc = trust.Publisher{
		ID: trust.PublisherID(pub), Ledger: testOrigin, Threshold: 1, Root: pub, Names: names,
		Keys: []trust.PublisherKey{workingKey(p.key)},
	}
	return p
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	k, err := trust.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func workingKey(k ed25519.PrivateKey) trust.PublisherKey {
	pub := k.Public().(ed25519.PublicKey)
	return trust.PublisherKey{KeyID: trust.KeyID(pub), Pub: pub}
}

// document is the next version of the publisher document, after change.
func (p *publisher) document(change func(*trust.Publisher)) []byte {
	p.t.Helper()
	p.doc.Version++
	if p.doc.Version > 1 {
		p.doc.Prev = trust.DigestOf(p.last)
	}
	if change != nil {
		change(&p.doc)
	}
	payload, err := trust.EncodePublisher(p.doc)
	if err != nil {
		p.t.Fatal(err)
	}
	p.last = payload
	return seal(p.t, trust.PublisherType, payload, p.root)
}

// notarization is a TRUSTED word about an image, after change.
func (p *publisher) notarization(change func(*trust.Notarization)) []byte {
	p.t.Helper()
	p.uid++
	n := trust.Notarization{
		UID: p.uid, Ledger: testOrigin, Publisher: p.doc.ID, Doc: 1, Kind: trust.KindImage, Name: "ghcr.io/home/core",
		Version: "1.0", Status: trust.Trusted, SignedAt: int64(p.uid / 1e9),
		Subjects: []trust.RecordSubject{{Name: "ghcr.io/home/core", Digest: trust.DigestOf([]byte{byte(p.uid)}), Role: "index"}},
	}
	if change != nil {
		change(&n)
	}
	payload, err := trust.EncodeNotarization(n)
	if err != nil {
		p.t.Fatal(err)
	}
	return seal(p.t, trust.NotarizationType, payload, p.key)
}

func seal(t testing.TB, payloadType string, payload []byte, keys ...ed25519.PrivateKey) []byte {
	t.Helper()
	e, err := trust.Sign(payloadType, payload, keys...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// testLedger is a server over HTTP with the verifier of its note key.
type testLedger struct {
	*Server
	url      string
	cfg      Config
	verifier note.Verifiers
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func copyDir(t testing.TB, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

var testNow = time.Unix(1_780_000_000, 0)

func noteKey(t testing.TB) (note.Signer, string) {
	t.Helper()
	sk, vk, err := note.GenerateKey(nil, testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(sk)
	if err != nil {
		t.Fatal(err)
	}
	return s, vk
}

func startLedger(t testing.TB, change func(*Config)) *testLedger {
	t.Helper()
	s, vk := noteKey(t)
	cfg := Config{
		Dir: t.TempDir(), Signer: s, Open: true, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return testNow },
	}
	if change != nil {
		change(&cfg)
	}
	vs, err := ledger.Verifiers([]string{vk})
	if err != nil {
		t.Fatal(err)
	}
	l := &testLedger{cfg: cfg, verifier: vs}
	l.start(t)
	return l
}

func (l *testLedger) start(t testing.TB) {
	t.Helper()
	srv, err := Open(l.cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(srv.Handler())
	t.Cleanup(func() { h.Close(); srv.Close() })
	l.Server, l.url = srv, h.URL
}

// post sends records and returns status and answer.
func (l *testLedger) post(t testing.TB, path string, body []byte) (int, map[string]any) {
	t.Helper()
	resp, err := http.Post(l.url+path, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatalf("answer %s is not JSON: %v", resp.Status, err)
	}
	return resp.StatusCode, m
}

func (l *testLedger) mustPost(t testing.TB, records ...[]byte) []trust.Position {
	t.Helper()
	status, m := l.post(t, "/v1/records", array(records...))
	if status != http.StatusOK {
		t.Fatalf("post: %d %v", status, m)
	}
	var out []trust.Position
	b, _ := json.Marshal(m["positions"])
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func array(records ...[]byte) []byte {
	return append(append([]byte("["), bytes.Join(records, []byte(","))...), ']')
}

func (l *testLedger) get(t testing.TB, path string) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.Get(l.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, b
}

func (l *testLedger) checkpoint(t testing.TB) ledger.Checkpoint {
	t.Helper()
	_, b := l.get(t, "/checkpoint")
	c, err := ledger.OpenCheckpoint(b, l.verifier)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
