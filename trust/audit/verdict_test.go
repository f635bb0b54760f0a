package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/trusttest"
)

const testOrigin = "ledger.example.org/main"

var testStart = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// replica is a verified copy of a ledger with two publishers and their words about two images.
type replica struct {
	head  trust.Head
	recs  []trust.PlacedNotarization
	chain map[string][]trust.PlacedPublisher
	fail  error
}

func (r *replica) Head() (trust.Head, error) { return r.head, r.fail }

func (r *replica) ByDigest(trust.Digest) ([]trust.PlacedNotarization, error) { return r.recs, r.fail }

func (r *replica) ByName(string, string, string) ([]trust.PlacedNotarization, error) {
	return r.recs, r.fail
}

func (r *replica) PublisherChain(id string) ([]trust.PlacedPublisher, error) {
	return r.chain[id], r.fail
}

func (r *replica) envelope(t testing.TB, b []byte) (trust.Envelope, trust.Position) {
	t.Helper()
	e, err := trust.ParseEnvelope(b)
	if err != nil {
		t.Fatal(err)
	}
	r.head.Count++
	return e, trust.Position{Tx: r.head.Count}
}

func (r *replica) register(t testing.TB, p *trusttest.Publisher) {
	e, pos := r.envelope(t, p.Document())
	r.chain[p.ID] = append(r.chain[p.ID], trust.PlacedPublisher{Pos: pos, Envelope: e, Publisher: p.Doc})
}

func (r *replica) put(t testing.TB, b []byte) {
	e, pos := r.envelope(t, b)
	n, err := trust.ParseNotarization(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	r.recs = append(r.recs, trust.PlacedNotarization{Pos: pos, Envelope: e, Notarization: n})
}

// house is a gate that writes to a real log.
type house struct {
	replica *replica
	core    *trusttest.Publisher
	gate    *trust.Gate
	memory  *trust.Memory
	log     *Log
	dir     string
	good    trust.Request
	bad     trust.Request
}

func newHouse(t testing.TB, o Options) *house {
	t.Helper()
	h := &house{replica: &replica{chain: map[string][]trust.PlacedPublisher{}}, core: trusttest.NewPublisher(t, testOrigin, "core")}
	h.replica.head = trust.Head{Origin: testOrigin, Alh: trust.DigestOf(nil), Time: time.Now().UTC(), RootVersion: 1}
	h.replica.register(t, h.core)
	h.good = request(t, "1.0")
	h.bad = request(t, "1.1")
	h.replica.put(t, h.core.Notarize(h.good.Subject))
	h.replica.put(t, h.core.Notarize(h.bad.Subject))
	h.replica.put(t, h.core.Notarize(h.bad.Subject, trusttest.Withdraw))
	var err error
	if h.memory, err = trust.InitMemory(filepath.Join(t.TempDir(), "memory.json")); err != nil {
		t.Fatal(err)
	}
	h.log, h.dir = newLog(t, o)
	root := trust.Root{Version: 1, Expires: time.Now().AddDate(1, 0, 0), Threshold: 1,
		Ledgers: []trust.RootLedger{{Origin: testOrigin}}, Core: []string{h.core.ID}}
	h.gate, err = trust.NewGate(trust.GateConfig{
		Evidence: func(trust.Subject) (trust.Evidence, error) { return h.replica, nil },
		Roots:    func() (trust.Root, trust.Reason) { return root, "" },
		Policy:   func(string) trust.Policy { return trust.Policy{} },
		Memory:   h.memory, Clock: trust.NewClock(h.memory, func() bool { return true }), Log: h.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// request asks about an image whose digests follow from real manifests.
func request(t testing.TB, version string) trust.Request {
	t.Helper()
	config := trust.DigestOf([]byte("config " + version))
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 10}, "layers": []any{}})
	if err != nil {
		t.Fatal(err)
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
		"manifests": []any{map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": trust.DigestOf(manifest),
			"size": len(manifest), "platform": map[string]any{"os": "linux", "architecture": "arm64"}}}})
	if err != nil {
		t.Fatal(err)
	}
	s := trusttest.Image("example.org/core", version, "")
	s.Index, s.Manifest, s.Config = trust.DigestOf(index), trust.DigestOf(manifest), config
	return trust.Request{Subject: s, Action: trust.Rollback, Raw: &trust.Raw{Index: index, Manifest: manifest}, Change: "c1", FirstResolved: testStart}
}

// lastVerdict is the newest verdict record.
func (h *house) lastVerdict(t testing.TB) uint64 {
	t.Helper()
	for rec, err := range h.log.Records(Filter{Kinds: []Kind{KindVerdict}, Newest: true}) {
		if err != nil {
			t.Fatal(err)
		}
		return rec.Seq
	}
	t.Fatal("no verdict was logged")
	return 0
}

func TestEveryVerdictIsExplainedAndReplaysToTheSame(t *testing.T) {
	h := newHouse(t, Options{})
	for _, tc := range []struct {
		name    string
		request trust.Request
		fail    error
		outcome trust.Outcome
		reason  trust.Reason
		words   []string
	}{
		{"allowed", h.good, nil, trust.Allow, "", []string{"core 1.0 was let in: publisher " + h.core.ID, testOrigin + " transaction 2 entry 0", "nothing to do"}},
		{"withdrawn", h.bad, nil, trust.Refuse, trust.Revoked, []string{"core 1.1 was refused: it was withdrawn", testOrigin + " transaction 4 entry 0"}},
		{"unreadable", h.good, errors.New("input/output error"), trust.Defer, trust.EvidenceUnreadable, []string{"core 1.0 was put off", "check the disk"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.replica.fail = tc.fail
			_, v, _ := h.gate.Admit(t.Context(), tc.request)
			if v.Outcome != tc.outcome || v.Reason() != tc.reason {
				t.Fatalf("got %s %s (%v), want %s %s", v.Outcome, v.Reason(), v.Findings, tc.outcome, tc.reason)
			}
			seq := h.lastVerdict(t)
			r, err := h.log.Replay(seq)
			if err != nil || !r.Agree {
				t.Errorf("replay: %v\nlogged %+v\nagain  %+v", err, r.Logged, r.Again)
			}
			e, err := h.log.Explain(seq)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range tc.words {
				if !bytes.Contains(text, []byte(w)) {
					t.Errorf("explanation lacks %q: %s", w, text)
				}
			}
		})
	}
	if _, err := h.log.Explain(2); err == nil || !strings.Contains(err.Error(), "it is a head record, not a verdict") {
		t.Errorf("explaining a head: %v", err)
	}
	if _, err := h.log.Explain(99); err == nil || !strings.Contains(err.Error(), "the newest is") {
		t.Errorf("explaining what is not there: %v", err)
	}
}

func TestExplanationCountsWhatStrangersSaid(t *testing.T) {
	h := newHouse(t, Options{})
	stranger := trusttest.NewPublisher(t, testOrigin, "stranger")
	h.replica.put(t, stranger.Notarize(h.good.Subject, trusttest.Withdraw))
	_, v, _ := h.gate.Admit(t.Context(), h.good)
	e, err := h.log.Explain(h.lastVerdict(t))
	if err != nil || v.Outcome != trust.Allow || !slices.Contains(e.Rests, "1 record by others was ignored") {
		t.Errorf("%s, explained by %q, %v", v.Outcome, e.Rests, err)
	}
}

func TestForcedVerdictReplaysAndItsReasonStaysPrivate(t *testing.T) {
	h := newHouse(t, Options{})
	ask := trust.Override{Component: "core", Digest: h.bad.Subject.Manifest, Reasons: []trust.Reason{trust.Revoked}, Why: "the flaw is not mine", By: "Ann Owner"}
	_, err := h.memory.AddOverride(ask, "core", time.Now(), func(o trust.Override) error {
		_, err := h.log.Append(t.Context(), KindOverride, o)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, v, err := h.gate.Admit(t.Context(), h.bad)
	if err != nil || v.Outcome != trust.AllowOverridden {
		t.Fatalf("got %s, %v", v.Outcome, err)
	}
	if r, err := h.log.Replay(h.lastVerdict(t)); err != nil || !r.Agree {
		t.Errorf("replay: %v, %+v", err, r)
	}
	var redacted, full bytes.Buffer
	if err := errors.Join(h.log.Export(&redacted, true), h.log.Export(&full, false)); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{ask.Why, ask.By} {
		if bytes.Contains(redacted.Bytes(), []byte(secret)) {
			t.Errorf("the redacted export holds %q", secret)
		}
		if !bytes.Contains(full.Bytes(), []byte(secret)) {
			t.Errorf("the full export lacks %q", secret)
		}
	}
	for name, out := range map[string]*bytes.Buffer{"redacted": &redacted, "full": &full} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := verified(t, file); r.Last != h.log.Last() || name == "full" && r.Private != 2 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	edited := filepath.Join(t.TempDir(), "edited")
	if err := os.WriteFile(edited, bytes.Replace(full.Bytes(), []byte(ask.By), []byte("Bob Owner"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(edited); err == nil || !strings.Contains(err.Error(), "private text") {
		t.Errorf("an edited private text: %v", err)
	}
}

func TestPrivateComponentIsNotNamedOutsideTheHouse(t *testing.T) {
	h := newHouse(t, Options{Private: func(s trust.Subject) bool { return s.Component == "core" }})
	if _, _, err := h.gate.Admit(t.Context(), h.good); err != nil {
		t.Fatal(err)
	}
	_, _, _ = h.gate.Admit(t.Context(), h.bad) // refused, with a detail
	var redacted bytes.Buffer
	if err := h.log.Export(&redacted, true); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"component":"core"`, "example.org/core", `\"core\"`} {
		if bytes.Contains(redacted.Bytes(), []byte(name)) {
			t.Errorf("the redacted export holds %s", name)
		}
	}
	e, err := h.log.Explain(h.lastVerdict(t))
	if err != nil || e.Verdict.Subject.Component != "core" {
		t.Errorf("in the house: %+v, %v", e, err)
	}
	if r, err := h.log.Replay(e.Seq); err != nil || !r.Agree {
		t.Errorf("replay: %v\n%+v\n%+v", err, r.Logged, r.Again)
	}
}

func TestSameEvidenceIsKeptOnce(t *testing.T) {
	h := newHouse(t, Options{})
	for i := range 5 { // as re-judging on every move of the ledger does
		h.replica.head.Count += uint64(i)
		if _, _, err := h.gate.Admit(t.Context(), h.good); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(h.dir, "evidence"))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 2 { // before and after the pin
		t.Errorf("%d evidence files for one image and the same records", len(entries))
	}
}

func TestChangedOrMissingEvidenceIsNoticed(t *testing.T) {
	h := newHouse(t, Options{})
	if _, _, err := h.gate.Admit(t.Context(), h.good); err != nil {
		t.Fatal(err)
	}
	seq := h.lastVerdict(t)
	_, p, err := h.log.verdict(seq)
	if err != nil {
		t.Fatal(err)
	}
	name := h.log.evidencePath(p.Evidence)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []func() error{
		func() error { return os.WriteFile(name, bytes.Replace(data, []byte("1.0"), []byte("6.6"), 1), 0o600) },
		func() error { return os.Remove(name) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, err := h.log.Verify(); err == nil || !strings.Contains(err.Error(), "evidence file") {
			t.Errorf("verify: %v", err)
		}
		if _, err := h.log.Replay(seq); err == nil {
			t.Error("replayed")
		}
	}
	if _, _, err := h.gate.Admit(t.Context(), h.good); err != nil { // the same evidence again heals it
		t.Fatal(err)
	}
}

func TestVerdictsThatCannotBeWrittenLetNothingIn(t *testing.T) {
	h := newHouse(t, Options{})
	if err := os.RemoveAll(filepath.Join(h.dir, "evidence")); err != nil {
		t.Fatal(err)
	}
	if permit, _, err := h.gate.Admit(t.Context(), h.good); err == nil || permit.Valid() {
		t.Errorf("evidence could not be kept: permit %+v, %v", permit, err)
	}
	for range h.log.Records(Filter{Kinds: []Kind{KindVerdict}}) {
		t.Error("a verdict was logged without its evidence")
	}
}
