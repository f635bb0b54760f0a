package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/supervisor/watch"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/trusttest"
)

// sightWorld is a house that runs core by the root's ledger and the add-on radio by its repository's.
type sightWorld struct {
	*ledgersWorld
	second   *trusttest.Mirror // of the root's ledger
	security *trusttest.Publisher
	old, now trust.Subject // of core
	trust    trustView
}

func newSightWorld(t *testing.T) *sightWorld {
	t.Helper()
	w := &sightWorld{ledgersWorld: &ledgersWorld{root: trusttest.NewLedger(t, "ledger.example.org/main"), own: trusttest.NewLedger(t, "ledger.example.net/radio")}}
	w.core, w.security = trusttest.NewPublisher(t, w.root.Origin, "core"), trusttest.NewPublisher(t, w.root.Origin, "security")
	w.author = trusttest.NewPublisher(t, w.own.Origin, "author")
	w.old, w.now = trusttest.Image("example.org/core", "1.0", ""), trusttest.Image("example.org/core", "2.0", "")
	for _, s := range []*trust.Subject{&w.old, &w.now} {
		s.Component, s.Class = "core", trust.ClassCore
	}
	w.image = trusttest.Image("example.net/radio", "1.0", "")
	w.image.Component, w.image.Class = radio, trust.ClassAddon
	w.root.Append(trusttest.Record(t, w.core.Document()), trusttest.Record(t, w.security.Document()))
	w.root.Append(trusttest.Record(t, w.core.Notarize(w.old)))
	w.root.Append(trusttest.Record(t, w.core.Notarize(w.now)))
	w.own.Append(trusttest.Record(t, w.author.Document()))
	w.own.Append(trusttest.Record(t, w.author.Notarize(w.image)))
	w.rootMirror, w.second = trusttest.NewMirror(t, w.root.Tree(w.root.Count())), trusttest.NewMirror(t, w.root.Tree(w.root.Count()))
	w.ownMirror = trusttest.NewMirror(t, w.own.Tree(w.own.Count()))
	key := trusttest.Key("root")
	payload, err := trust.EncodeRoot(trust.Root{
		Version: 1, Expires: time.Now().AddDate(1, 0, 0).Truncate(time.Second), Threshold: 1, Keys: []trust.PublisherKey{trusttest.PublisherKey(key)},
		Ledgers: []trust.RootLedger{{Origin: w.root.Origin, NoteKeys: []string{w.root.NoteKey}, URLs: []string{w.rootMirror.URL, w.second.URL + "/"}}},
		Core:    []string{w.core.ID}, Security: []string{w.security.ID},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.house = ledgerHouse(t, trusttest.Seal(t, trust.RootType, payload, key))
	w.cfg, w.turn = &config.Config{}, make(chan struct{}, 1)
	w.pinned = &pinned{ledgers: map[string]Ledger{radio: {w.own.Origin, []string{w.own.NoteKey}, []string{w.ownMirror.URL}}}, publishers: map[string]string{radio: w.author.ID}}
	w.house.ledgers.use(w.pinned)
	w.house.ledgers.installed = func() []string { return []string{"core", radio} }
	w.gate, err = trust.NewGate(trust.GateConfig{Evidence: w.evidence, Security: w.house.ledgers.Security, Roots: w.roots.current, Policy: w.policy, Memory: w.memory, Clock: w.clock, Log: w.audit})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := state.Init(filepath.Join(dir, "journal.db")); err != nil {
		t.Fatal(err)
	}
	if w.journal, err = state.Open(filepath.Join(dir, "journal.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.journal.Close() })
	d := deaf{}
	if w.manager, err = supervisor.New(supervisor.Config{Journal: w.journal, Images: d, Containers: d, Fetcher: d, Authority: d, Story: d, Snapshots: d}); err != nil {
		t.Fatal(err)
	}
	w.withdrawn = watch.NewWithdrawals(w.gate, w.manager, fileStore(filepath.Join(dir, "withdrawals.json")), w.house.now, w.log)
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.trust = trustView{w.house}
	w.install(t, "core", trust.ClassCore, w.admit(t, w.now, "c-now"), w.admit(t, w.old, "c-old"))
	w.install(t, radio, trust.ClassAddon, w.admit(t, w.image, "c-radio"), nil)
	return w
}

// admit lets an image in as the supervisor would.
func (w *sightWorld) admit(t *testing.T, s trust.Subject, change string) *supervisor.Slot {
	t.Helper()
	raw := trusttest.Manifests(s.Repository, s.Version, "")
	p, v, err := w.gate.Admit(t.Context(), trust.Request{Subject: s, Action: trust.Restore, Raw: &raw, Change: change, FirstResolved: time.Now().Add(-2 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return &supervisor.Slot{Subject: s, Image: s.Config, Version: s.Version, Outcome: v.Outcome, Verdict: p.Seq(), Forced: v.Forced(), Change: change, At: w.house.now(), Resolved: w.house.now()}
}

func (w *sightWorld) install(t *testing.T, name string, class trust.Class, current, previous *supervisor.Slot) {
	t.Helper()
	w.put(t, "service", name, map[string]any{"format": 1, "service": supervisor.Service{Name: name, Class: class}, "current": current, "previous": previous})
}

func (w *sightWorld) put(t *testing.T, bucket, key string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = w.journal.Update(func(tx *state.Tx) error { return tx.Put(bucket, key, b) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// says appends a record to a ledger and syncs.
func (w *sightWorld) says(t *testing.T, l *trusttest.Ledger, envelope []byte, mirrors ...*trusttest.Mirror) {
	t.Helper()
	l.Append(trusttest.Record(t, envelope))
	for _, m := range mirrors {
		m.Serve(l.Tree(l.Count()))
	}
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func withdraw(severity trust.Severity, why string) func(*trust.Notarization) {
	return func(n *trust.Notarization) {
		trusttest.Withdraw(n)
		n.Severity, n.Reason = severity, why
	}
}

func TestOverridesAreSeenUntilTheyEnd(t *testing.T) {
	w := newSightWorld(t)
	next := trusttest.Image("example.net/radio", "9.0", "")
	next.Component, next.Class = radio, trust.ClassAddon
	w.put(t, "change", "20260101t000000-1", supervisor.Change{Format: 1, ID: "20260101t000000-1", Service: supervisor.Service{Name: radio}, Kind: supervisor.KindUpdate, State: supervisor.StateDeferred,
		Version: "9.0", Verdict: &trust.Verdict{Subject: next, Outcome: trust.Refuse, Findings: []trust.Finding{{Reason: trust.SignatureMissing, Decided: true}}}, To: &supervisor.Slot{}})
	force := func() api.Override {
		t.Helper()
		ov, err := w.trust.Force(t.Context(), api.ForceRequest{Service: radio, Reasons: []string{"SIGNATURE_MISSING", "EVIDENCE_UNAVAILABLE"}, Why: "told by telephone"}, "anna")
		if err != nil {
			t.Fatal(err)
		}
		return ov
	}
	seen := func() []api.OverrideState {
		t.Helper()
		list, err := w.trust.Overrides(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if got := seen(); len(got) != 0 {
		t.Fatalf("before anything was forced: %+v", got)
	}
	ov := force()
	got := seen()
	if len(got) != 1 || got[0].State != "waiting" || got[0].ID != ov.ID || got[0].Seq != ov.Seq || got[0].Service != radio || got[0].Slug != "radio" || got[0].Version != "9.0" ||
		got[0].Image != "example.net/radio" || got[0].Digest != string(next.Manifest) || got[0].Why != "told by telephone" || got[0].By != "anna" ||
		!slices.Equal(got[0].Reasons, []string{"SIGNATURE_MISSING", "EVIDENCE_UNAVAILABLE"}) || got[0].Passes[0].Words == "" || !got[0].Until.Equal(ov.Expires) || got[0].Since.IsZero() {
		t.Errorf("one that waits: %+v, given %+v", got, ov)
	}
	if err := w.trust.EndOverride(t.Context(), ov.ID, "bert"); err != nil {
		t.Fatal(err)
	}
	var known *api.Error
	if err := w.trust.EndOverride(t.Context(), ov.ID, "bert"); !errors.As(err, &known) || known.Status != 404 || len(seen()) != 0 {
		t.Errorf("ended twice: %v, left %+v", err, seen())
	}
	if got := records(t, w.house); !slices.Contains(got, radio+" override ended") {
		t.Errorf("records %q", got)
	}
	ov = force()
	slot := w.admit(t, next, "c-forced")
	w.install(t, radio, trust.ClassAddon, slot, nil)
	got = seen()
	if len(got) != 1 || got[0].State != "running" || got[0].ID != ov.ID || got[0].Version != "9.0" || got[0].Verdict != slot.Verdict || got[0].Change != "c-forced" || got[0].By != "anna" ||
		len(got[0].Reasons) != 1 || !got[0].Until.IsZero() || got[0].Ends == "" {
		t.Errorf("one that runs: %+v", got)
	}
	if err := w.trust.EndOverride(t.Context(), ov.ID, "bert"); !errors.As(err, &known) || known.Next == "" {
		t.Errorf("one that was used can be ended: %v", err)
	}
}

func TestLedgersTellWhetherTheirMirrorsAgree(t *testing.T) {
	w := newSightWorld(t)
	view := func(origin string) api.LedgerView {
		t.Helper()
		list, err := w.trust.Ledgers(t.Context())
		if err != nil || len(list) != 2 || list[0].Origin != w.root.Origin || list[0].Role != "root" || list[1].Role != "repository" {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[slices.IndexFunc(list, func(l api.LedgerView) bool { return l.Origin == origin })]
	}
	states := func(l api.LedgerView) string {
		out := []string{l.Agreement, fmt.Sprint(l.Agreeing)}
		for _, url := range []string{w.rootMirror.URL, w.second.URL + "/"} {
			for _, m := range l.Mirrors {
				if m.URL == url {
					out = append(out, m.State)
				}
			}
		}
		return strings.Join(out, " ")
	}
	l := view(w.root.Origin)
	if got := states(l); got != "agreed 2 agrees agrees" || l.State != "fresh" || l.Stale || l.Age < 0 || l.Age > 3600 || l.Count != 3 || l.Head != string(w.root.At(3).Alh.Digest()) || l.Asked.IsZero() ||
		l.Records.Transactions != 3 || l.Records.Notarizations != 2 || l.Records.Publishers != 2 || l.Records.Withdrawals != 0 || l.Root != 1 {
		t.Errorf("in order: %s, %+v", got, l)
	}
	name, rest, _ := strings.Cut(w.root.NoteKey, "+")
	hash, _, _ := strings.Cut(rest, "+")
	if len(l.Keys) != 1 || l.Keys[0].Name != name || l.Keys[0].Hash != hash || len(l.Keys[0].Fingerprint) != 64 || len(strings.Fields(l.Fingerprint)) != 16 {
		t.Errorf("keys %+v, fingerprint %q", l.Keys, l.Fingerprint)
	}
	if r := view(w.own.Origin); !slices.Equal(r.Services, []string{radio}) || r.Agreement != "agreed" || r.Fingerprint == l.Fingerprint || len(r.Mirrors) != 1 {
		t.Errorf("the repository's: %+v", r)
	}
	w.says(t, w.root, w.core.Notarize(trusttest.Image("example.org/core", "0.9", ""), withdraw("", "it leaks")), w.rootMirror)
	if l = view(w.root.Origin); states(l) != "agreed 2 agrees stale" || l.Records.Withdrawals != 1 {
		t.Errorf("one mirror behind: %s, %+v", states(l), l.Records)
	}
	w.second.Break("/checkpoint", trusttest.Status(500))
	_ = w.sync(t.Context()) // what follows tells how it went
	if l = view(w.root.Origin); states(l) != "agreed 1 agrees failed" || !strings.Contains(l.Mirrors[slices.IndexFunc(l.Mirrors, func(m api.LedgerMirror) bool { return m.State == "failed" })].Error, "status 500") {
		t.Errorf("one mirror broken: %s, %+v", states(l), l.Mirrors)
	}
	w.rootMirror.Break("/checkpoint", trusttest.Portal())
	_ = w.sync(t.Context()) // likewise
	if l = view(w.root.Origin); states(l) != "unheard 0 failed failed" || l.Error == "" {
		t.Errorf("no mirror: %s, %+v", states(l), l)
	}
	fork := w.root.Fork(2)
	fork.Append(trusttest.Record(t, w.core.Notarize(trusttest.Image("example.org/core", "6.6", ""))))
	fork.Append(trusttest.Record(t, w.core.Notarize(trusttest.Image("example.org/core", "6.7", ""))))
	w.rootMirror.Heal()
	w.rootMirror.Serve(fork.Tree(fork.Count()))
	_ = w.sync(t.Context()) // likewise
	if l = view(w.root.Origin); l.Agreement != "forked" || l.State != "quarantined" || l.Quarantine == "" {
		t.Errorf("two stories: %+v", l)
	}
}

func TestPublishersAreThoseWhoseWordCounts(t *testing.T) {
	w := newSightWorld(t)
	stranger := trusttest.NewPublisher(t, w.root.Origin, "stranger")
	w.root.Append(trusttest.Record(t, stranger.Document()))
	w.root.Append(trusttest.Record(t, stranger.Notarize(w.now, withdraw(trust.SeverityStop, "lies"))))
	forged := w.core.Sign(trust.Notarization{UID: 9, SignedAt: 1_900_000_000, Ledger: w.root.Origin, Publisher: w.core.ID, Doc: 1, Kind: trust.KindImage, Name: w.now.Repository,
		Version: w.now.Version, Status: trust.Untrusted, Severity: trust.SeverityStop, Reason: "forged", Subjects: trusttest.Subjects(w.now)}, trusttest.Key("mallory"))
	w.root.Append(trusttest.Record(t, forged))
	w.says(t, w.root, w.core.Notarize(w.old, withdraw(trust.SeverityNotify, "it leaks")), w.rootMirror, w.second)
	list, err := w.trust.Publishers(t.Context())
	if err != nil || list.Error != "" || len(list.Publishers) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	core, security, author := list.Publishers[0], list.Publishers[1], list.Publishers[2]
	if core.ID != w.core.ID || !slices.Equal(core.Roles, []string{"core"}) || core.Label != "core" || core.Version != 1 || core.Keys != 1 || core.Threshold != 1 ||
		!slices.Equal(core.Ledgers, []string{w.root.Origin}) || len(core.Services) != 1 || core.Services[0] != (api.PublisherService{Service: "core", Installed: true}) {
		t.Errorf("core's: %+v", core)
	}
	if core.Last == nil || core.Last.Status != "UNTRUSTED" || core.Last.Version != "1.0" || core.Last.Tx != w.root.Count() || len(core.Withdrawn) != 1 || core.Withdrawn[0].Reason != "it leaks" {
		t.Errorf("what core's said: %+v %+v", core.Last, core.Withdrawn)
	}
	if security.ID != w.security.ID || security.Last != nil || !slices.Equal(security.Roles, []string{"security"}) {
		t.Errorf("security's: %+v", security)
	}
	if author.ID != w.author.ID || !slices.Equal(author.Roles, []string{"named", "pinned"}) || len(author.Services) != 1 || !author.Services[0].Pinned || author.Services[0].Slug != "radio" ||
		author.Services[0].Ledger != w.own.Origin || author.Last == nil || author.Last.Version != "1.0" || !slices.Equal(author.Ledgers, []string{w.own.Origin}) {
		t.Errorf("radio's: %+v", author)
	}
	if len(list.Revocations) != 1 {
		t.Fatalf("revocations %+v", list.Revocations)
	}
	r := list.Revocations[0]
	if r.Service != "core" || r.Where != "previous" || r.Version != "1.0" || r.Code != "REVOKED" || r.Publisher != w.core.ID || r.Reason != "it leaks" || r.Severity != "notify" || r.Tx != w.root.Count() ||
		r.Ledger != w.root.Origin || r.Remembered || r.ByRoot || r.Next == "" || r.Time.IsZero() {
		t.Errorf("the one of core: %+v", r)
	}
}

// TestRevocationsSayWhoWithdrewWhat: security in the root's ledger about an add-on of another, one that no ledger has any more,
// the deny list, and what was refused.
func TestRevocationsSayWhoWithdrewWhat(t *testing.T) {
	w := newSightWorld(t)
	w.says(t, w.root, w.security.Notarize(w.image, withdraw(trust.SeverityNotify, "it mines")), w.rootMirror, w.second)
	if err := w.memory.Deny(w.old.Manifest); err != nil {
		t.Fatal(err)
	}
	bad := trusttest.Image("example.org/core", "3.0", "")
	bad.Component, bad.Class = "core", trust.ClassCore
	for i, at := range []time.Time{time.Now(), time.Now().AddDate(0, 0, -31)} {
		id := fmt.Sprintf("20260101t00000%d-1", i)
		w.put(t, "change", id, supervisor.Change{Format: 1, ID: id, Service: supervisor.Service{Name: "core"}, State: supervisor.StateRefused, Version: fmt.Sprintf("3.%d", i), Updated: at,
			Verdict: &trust.Verdict{Subject: bad, Outcome: trust.Refuse, Severity: trust.SeverityUpdate, Findings: []trust.Finding{{Reason: trust.Revoked, Decided: true}}}})
	}
	got := func(v trustView) string {
		t.Helper()
		list, err := v.Publishers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range list.Revocations {
			who := map[string]string{w.security.ID: "security", w.core.ID: "core", "": "-"}[r.Publisher]
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s by %s root %v remembered %v %s", r.Service, r.Version, r.Where, r.Code, who, r.ByRoot, r.Remembered, r.Reason)))
		}
		return strings.Join(out, "\n")
	}
	want := "addon_radio 1.0 current REVOKED by security root true remembered false it mines\n" +
		"core 1.0 previous LOCALLY_DENIED by - root false remembered false\n" +
		"core 3.0 refused REVOKED by - root false remembered false"
	if g := got(w.trust); g != want {
		t.Errorf("got\n%s\nwant\n%s", g, want)
	}
	if err := w.withdrawn.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := newSightWorld(t) // whose ledger never said so
	if err := other.memory.Merge(w.memory); err != nil {
		t.Fatal(err)
	}
	want = "addon_radio 1.0 current REVOKED by security root true remembered true\ncore 1.0 previous LOCALLY_DENIED by - root false remembered false"
	if g := got(other.trust); g != want {
		t.Errorf("of a restored memory: got\n%s\nwant\n%s", g, want)
	}
	if l, err := other.trust.Ledgers(t.Context()); err != nil || l[0].Records.Remembered == 0 || l[0].Records.Withdrawals != 0 {
		t.Errorf("its ledgers: %+v, %v", l, err)
	}
}

func TestEverythingIsJudgedAnew(t *testing.T) {
	w := newSightWorld(t)
	before, err := w.trust.Judged(t.Context())
	if err != nil || before.Installed != 2 || !before.Judged.IsZero() || before.Images[1].Outcome != "" {
		t.Fatalf("before any judgement: %+v, %v", before, err)
	}
	j, err := w.trust.JudgeAll(t.Context())
	if err != nil || j.Installed != 2 || j.Verified != 2 || j.Bad != 0 || j.Error != "" || j.Judged.IsZero() || len(j.Images) != 2 {
		t.Fatalf("all is well: %+v, %v", j, err)
	}
	core := j.Images[1]
	if core.Service != "core" || core.Version != "2.0" || core.Badge != "verified" || core.Publisher != "project" || core.Outcome != "ALLOW" || core.Status != "TRUSTED" || core.Changed ||
		core.Digest != string(w.now.Manifest) || core.Verdict == 0 {
		t.Errorf("core: %+v", core)
	}
	w.root.Append(trusttest.Record(t, w.core.Notarize(w.now, withdraw(trust.SeverityNotify, "it leaks"))))
	w.rootMirror.Serve(w.root.Tree(w.root.Count())) // and nobody has synced yet
	j, err = w.trust.JudgeAll(t.Context())
	if err != nil || j.Verified != 1 || j.Bad != 1 || j.Error != "" {
		t.Fatalf("core was withdrawn: %+v, %v", j, err)
	}
	if core = j.Images[1]; core.Badge != "withdrawn" || core.Outcome != "REFUSE" || core.Status != "UNTRUSTED" || core.Reasons[0].Code != "REVOKED" || core.Severity != "notify" || !core.Changed || j.Images[0].Changed {
		t.Errorf("core: %+v", core)
	}
	for _, m := range []*trusttest.Mirror{w.rootMirror, w.second} {
		m.Break("/checkpoint", trusttest.Status(500))
	}
	if j, err = w.trust.JudgeAll(t.Context()); err != nil || j.Bad != 1 || j.Images[1].Changed || !strings.Contains(j.Error, "status 500") {
		t.Errorf("without a mirror: %+v, %v", j, err)
	}
	if last, err := w.trust.Judged(t.Context()); err != nil || last.Bad != 1 || !last.Judged.Equal(j.Judged) {
		t.Errorf("the last judgement is %+v, %v", last, err)
	}
}

// TestNobodyWaitsLongToHaveAllJudged: the update loop may be at work for as long as mirrors are slow.
func TestNobodyWaitsLongToHaveAllJudged(t *testing.T) {
	w := newSightWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.turn = make(chan struct{}, 1)
		w.turn <- struct{}{}
		began := time.Now()
		var known *api.Error
		if _, err := w.trust.JudgeAll(t.Context()); !errors.As(err, &known) || known.Status != 409 || known.Next == "" || time.Since(began) != ownerPatience {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}
