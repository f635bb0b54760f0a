package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/trust/trusttest"
)

const radio = "addon_radio"

// pinned are the repositories of a test.
type pinned struct {
	ledgers    map[string]Ledger
	publishers map[string]string
	offered    []Ledger // of repositories nothing is installed from
}

func (p *pinned) Ledgers() []Ledger { return slices.Clone(p.offered) }

func (p *pinned) LedgerOf(component string) (Ledger, bool) {
	l, ok := p.ledgers[component]
	return l, ok
}

func (p *pinned) Publishers() map[string]string       { return maps.Clone(p.publishers) }
func (p *pinned) PublisherOf(component string) string { return p.publishers[component] }

// ledgersWorld is a house that follows the root's ledger and, for the add-on radio, one of a repository.
type ledgersWorld struct {
	*house
	*pinned
	root, own             *trusttest.Ledger
	rootMirror, ownMirror *trusttest.Mirror
	core, author          *trusttest.Publisher // of the root's ledger, of the other
	components            []string
	image                 trust.Subject // of radio
}

func newLedgersWorld(t *testing.T) *ledgersWorld {
	t.Helper()
	w := &ledgersWorld{root: trusttest.NewLedger(t, "ledger.example.org/main"), own: trusttest.NewLedger(t, "ledger.example.net/radio"), components: []string{"core", radio}}
	w.core = trusttest.NewPublisher(t, w.root.Origin, "core")
	w.author = trusttest.NewPublisher(t, w.own.Origin, "author")
	w.root.Append(trusttest.Record(t, w.core.Document()))
	w.own.Append(trusttest.Record(t, w.author.Document()))
	w.image = trusttest.Image("example.net/radio", "1.0", "")
	w.image.Component, w.image.Class = radio, trust.ClassAddon
	w.own.Append(trusttest.Record(t, w.author.Notarize(w.image)))
	w.rootMirror = trusttest.NewMirror(t, w.root.Tree(w.root.Count()))
	w.ownMirror = trusttest.NewMirror(t, w.own.Tree(w.own.Count()))
	w.house = ledgerHouse(t, rootDocument(t, trusttest.Key("root"), 1, w.root, w.rootMirror.URL, nil))
	w.house.cfg = &config.Config{}
	w.pinned = &pinned{ledgers: map[string]Ledger{radio: {w.own.Origin, []string{w.own.NoteKey}, []string{w.ownMirror.URL}}},
		publishers: map[string]string{radio: w.author.ID}}
	w.house.ledgers.use(w.pinned)
	w.house.ledgers.installed = func() []string { return w.components }
	return w
}

func (w *ledgersWorld) judge(t *testing.T, s trust.Subject) trust.Verdict {
	t.Helper()
	g, err := trust.NewGate(trust.GateConfig{Evidence: w.house.ledgers.For, Security: w.house.ledgers.Security, Roots: w.roots.current,
		Policy: w.policy, Memory: w.memory, Clock: w.clock, Log: w.audit})
	if err != nil {
		t.Fatal(err)
	}
	raw := trusttest.Manifests(s.Repository, s.Version, "")
	v, err := g.Decide(t.Context(), trust.Request{Subject: s, Action: trust.OwnerUpdate, Raw: &raw, FirstResolved: time.Now().Add(-2 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// reinit is what the owner does when no backup is left.
func (w *ledgersWorld) reinit(t *testing.T) {
	t.Helper()
	data := filepath.Dir(w.house.ledgers.dir)
	if err := w.audit.Close(); err != nil { // the daemon is stopped
		t.Fatal(err)
	}
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	made, err := reinit(cmd, &config.Config{DataDir: data, Trust: config.Trust{RootDir: filepath.Join(data, "shipped")}})
	if want := ownHead(w.pinned.ledgers[radio].folder()); err != nil || !slices.Contains(made, want) || slices.Contains(made, "ledger/head") {
		t.Fatalf("made %v, %v; want %s", made, err, want)
	}
	if w.audit, err = audit.Open(filepath.Join(data, "log"), audit.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.audit.Close() })
}

func (w *ledgersWorld) origin(t *testing.T, component string) string {
	t.Helper()
	ev, err := w.house.ledgers.Evidence(component)
	if err != nil {
		t.Fatal(err)
	}
	head, err := ev.Head()
	if err != nil {
		t.Fatal(err)
	}
	return head.Origin
}

func TestAddonIsJudgedByTheLedgerOfItsRepository(t *testing.T) {
	w := newLedgersWorld(t)
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := w.judge(t, w.image); v.Outcome != trust.Allow || v.Head.Origin != w.own.Origin || v.Publisher != w.author.ID {
		t.Errorf("verdict %s %s by %q in %s", v.Outcome, v.Reason(), v.Publisher, v.Head.Origin)
	}
	if got := w.origin(t, "core") + " " + w.origin(t, "another"); got != w.root.Origin+" "+w.root.Origin {
		t.Errorf("core and an add-on without an entry are judged by %s", got)
	}
	st := w.ledgersStatus(w.ledgerStatus())
	if len(st) != 2 || st[0].Origin != w.root.Origin || st[1].Origin != w.own.Origin || st[1].State != "fresh" || st[1].Count != 2 || !slices.Equal(st[1].Services, []string{radio}) {
		t.Errorf("status %+v", st)
	}
	w.house.cfg.Trust.Map = map[string]string{radio: "p-aaaaaaaaaaaaaaaaaaaa"}
	if got := w.policy(radio).Map[radio]; got != "p-aaaaaaaaaaaaaaaaaaaa" {
		t.Errorf("the repository's publisher %s won over the configuration", got)
	}
}

// TestWhatIsOfferedIsJudgedBeforeItIsInstalled follows the ledger of a repository from which nothing is installed, with the
// first sync after the repository was added. One that brings the root's origin brings nothing.
func TestWhatIsOfferedIsJudgedBeforeItIsInstalled(t *testing.T) {
	w := newLedgersWorld(t)
	w.components = []string{"core"}
	w.offered = []Ledger{w.pinned.ledgers[radio], {Origin: w.root.Origin, Keys: []string{w.own.NoteKey}, URLs: []string{w.ownMirror.URL}}}
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := w.ledgersStatus(w.ledgerStatus())
	if len(st) != 2 || st[1].Origin != w.own.Origin || st[1].State != "fresh" || len(st[1].Services) != 0 {
		t.Errorf("status %+v", st)
	}
	if v := w.judge(t, w.image); v.Outcome != trust.Allow || v.Head.Origin != w.own.Origin {
		t.Errorf("verdict %s %s by %s", v.Outcome, v.Reason(), v.Head.Origin)
	}
	if dropped, err := w.house.ledgers.Drop(w.pinned.ledgers[radio]); err != nil || dropped {
		t.Errorf("dropped %t, %v, while a repository has it", dropped, err)
	}
	w.offered = nil // the repository is removed
	if dropped, err := w.house.ledgers.Drop(w.pinned.ledgers[radio]); err != nil || !dropped {
		t.Errorf("dropped %t, %v", dropped, err)
	}
	if err := w.sync(t.Context()); err != nil {
		t.Error(err)
	}
	if st := w.ledgersStatus(w.ledgerStatus()); len(st) != 1 {
		t.Errorf("status %+v", st)
	}
}

// TestAddonLedgerTouchesNeitherRootNorClock lets a repository's ledger name a root version, a date, and core.
func TestAddonLedgerTouchesNeitherRootNorClock(t *testing.T) {
	w := newLedgersWorld(t)
	core := trusttest.Image("example.org/core", "1.0", "")
	w.own.Append(trusttest.Record(t, w.author.Notarize(core)))
	w.own.Root, w.own.Now = 99, func() time.Time { return time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC) }
	w.ownMirror.Serve(w.own.Tree(w.own.Count()))
	w.pinned.ledgers["core"] = w.pinned.ledgers[radio] // and its repository claims core
	w.pinned.publishers["core"] = w.author.ID
	before := w.memory.Pins()
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if root, state := w.roots.current(); root.Version != 1 || state != "" {
		t.Errorf("root %d %s", root.Version, state)
	}
	if now, ok := w.clock.Now(); !ok || time.Until(now).Abs() > time.Minute {
		t.Errorf("the clock says %s", now)
	}
	if v := w.judge(t, core); v.Outcome.Allowed() || v.Head.Origin != w.root.Origin {
		t.Errorf("core: %s %s by %s", v.Outcome, v.Reason(), v.Head.Origin)
	}
	if v := w.judge(t, w.image); v.Reason() != trust.ClockUntrusted {
		t.Errorf("the add-on itself: %s %s, want CLOCK_UNTRUSTED", v.Outcome, v.Reason())
	}
	if len(w.memory.Pins()) != len(before) {
		t.Errorf("pins %+v", w.memory.Pins())
	}
}

// TestRepositoryCannotTakeAnothersLedger pins a known origin with other keys.
func TestRepositoryCannotTakeAnothersLedger(t *testing.T) {
	w := newLedgersWorld(t)
	thief := trusttest.NewLedger(t, w.own.Origin)
	thief.Append(trusttest.Record(t, w.author.Document()))
	m := trusttest.NewMirror(t, thief.Tree(1))
	w.components = []string{"core", radio, "addon_x", "addon_y"}
	w.pinned.ledgers["addon_x"] = Ledger{w.own.Origin, []string{thief.NoteKey}, []string{m.URL}}
	w.pinned.ledgers["addon_y"] = Ledger{w.root.Origin, []string{thief.NoteKey}, []string{m.URL}}
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	heads := map[string]uint64{}
	for _, c := range w.components {
		ev, err := w.house.ledgers.Evidence(c)
		if err != nil {
			t.Fatal(err)
		}
		h, err := ev.Head()
		if err != nil || h.Quarantined != "" {
			t.Fatalf("%s: %+v %v", c, h, err)
		}
		heads[c] = h.Count
	}
	if heads[radio] != 2 || heads["addon_x"] != 1 {
		t.Errorf("heads %v: one repository signs for the other", heads)
	}
	if ev, _ := w.house.ledgers.Evidence("addon_y"); ev != trust.Evidence(w.replica) {
		t.Error("the root's origin under other keys is not the root's ledger")
	}
}

// TestOneLedgerHoldsUpNoOther lets the repository's ledger fail while the root's moves, and the other way round.
func TestOneLedgerHoldsUpNoOther(t *testing.T) {
	w := newLedgersWorld(t)
	w.ownMirror.Break("/", trusttest.Mute())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := w.sync(ctx); err != nil {
		t.Errorf("the root's ledger was in order: %v", err)
	}
	if head, _ := w.replica.Head(); head.Count != 1 || w.syncErr != "" {
		t.Errorf("root's head %+v, %q", head, w.syncErr)
	}
	if v := w.judge(t, w.image); v.Outcome != trust.Defer {
		t.Errorf("an add-on whose ledger was never heard of: %s %s", v.Outcome, v.Reason())
	}

	other := newLedgersWorld(t)
	other.rootMirror.Break("/", trusttest.Status(500))
	if err := other.sync(t.Context()); err == nil || other.syncErr == "" {
		t.Error("the root's failure is not told")
	}
	if v := other.judge(t, other.image); v.Outcome != trust.Allow {
		t.Errorf("%s %s; the add-on's ledger was in order", v.Outcome, v.Reason())
	}
	other.ownMirror.Break("/", trusttest.Status(404))
	other.rootMirror.Heal()
	if err := other.sync(t.Context()); err == nil || other.syncErr != "" {
		t.Errorf("sync says %v, status of the root's ledger %q", err, other.syncErr)
	}
	if st := other.ledgersStatus(other.ledgerStatus()); st[0].Error != "" || st[1].Error == "" {
		t.Errorf("status %+v", st)
	}
	other.ownMirror.Heal()
	if err := other.sync(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAddonLedgerThatForksIsQuarantinedAlone lets a repository's ledger tell two stories.
func TestAddonLedgerThatForksIsQuarantinedAlone(t *testing.T) {
	w := newLedgersWorld(t)
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	fork := w.own.Fork(1)
	grow(fork, "other", 3)
	w.ownMirror.Serve(fork.Tree(3))
	if err := w.sync(t.Context()); err == nil || w.syncErr != "" {
		t.Errorf("sync says %v, and of the root's ledger %q", err, w.syncErr)
	}
	if v := w.judge(t, w.image); v.Reason() != trust.LedgerQuarantined {
		t.Errorf("%s %s, want LEDGER_QUARANTINED", v.Outcome, v.Reason())
	}
	st := w.ledgersStatus(w.ledgerStatus())
	if st[0].State != "fresh" || st[1].State != "quarantined" {
		t.Errorf("status %+v", st)
	}
	told := 0
	for rec, err := range w.audit.Records(audit.Filter{Kinds: []audit.Kind{audit.KindEquivocation}}) {
		if err != nil || !strings.Contains(string(rec.Payload), w.own.Origin) {
			t.Errorf("record %s, %v", rec.Payload, err)
		}
		told++
	}
	if told != 1 {
		t.Errorf("it is told %d times in the log, want once", told)
	}
}

func TestLedgerOfARemovedRepositoryIsDroppedWhenNothingNeedsIt(t *testing.T) {
	w := newLedgersWorld(t)
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	own := w.pinned.ledgers[radio]
	dir := filepath.Join(w.house.ledgers.dir, own.folder())
	if dropped, err := w.house.ledgers.Drop(own); err != nil || dropped {
		t.Errorf("dropped %t, %v, while an add-on is bound to it", dropped, err)
	}
	w.components = []string{"core"}
	delete(w.pinned.ledgers, radio)
	if dropped, err := w.house.ledgers.Drop(own); err != nil || !dropped {
		t.Errorf("dropped %t, %v", dropped, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is there: %v", err)
	}
	if dropped, err := w.house.ledgers.Drop(own); err != nil || !dropped {
		t.Errorf("again: %t, %v", dropped, err)
	}
	w.pinned.ledgers[radio] = own // added again: it begins anew
	if got := w.origin(t, radio); got != w.own.Origin {
		t.Errorf("judged by %s", got)
	}
}

// TestLostReplicaOfARepositoryIsNoFreshStart removes the folder of a listed ledger between two starts.
func TestLostReplicaOfARepositoryIsNoFreshStart(t *testing.T) {
	w := newLedgersWorld(t)
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := w.house.ledgers
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(old.dir, w.pinned.ledgers[radio].folder())
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	again, err := newLedgers(&ledgers{dir: old.dir, log: old.log, roots: old.roots, root: old.root, installed: old.installed, pin: old.pin, note: old.note, news: old.news})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	again.use(w.pinned)
	w.house.ledgers = again
	if v := w.judge(t, w.image); v.Outcome != trust.Defer || v.Reason() != trust.StateMissing {
		t.Errorf("%s %s, want DEFER STATE_MISSING", v.Outcome, v.Reason())
	}
	if err := w.sync(t.Context()); err == nil {
		t.Error("the sync says nothing of it")
	}
	w.reinit(t)
	testenv.Eventually(t, 10*time.Second, "the ledger is followed again", func() bool { return w.sync(t.Context()) == nil })
	if v := w.judge(t, w.image); v.Outcome != trust.Allow {
		t.Errorf("%s %s", v.Outcome, v.Reason())
	}
}
