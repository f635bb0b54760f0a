package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// update is a disturbed change from version 1 to 2, and the world it happened in.
func update(t *testing.T, disturb func(w *world)) (*world, Change) {
	t.Helper()
	w := newWorld(t, "radio")
	t.Cleanup(w.close)
	w.at("1", "radio")
	c := w.submit(step("radio", "2"))[0]
	disturb(w)
	w.run()
	return w, must(w.m.Change(c.ID))
}

// TestAFullDiskEndsAChangeAtOnce: before the switch; in it the way back comes after the tries that it always had.
func TestAFullDiskEndsAChangeAtOnce(t *testing.T) {
	full := fmt.Errorf("the engine says: %w", ErrNoSpace)
	for call, want := range map[string]struct {
		tries int
		end   State
		why   string
	}{
		"pull":    {1, StateAbandoned, "cannot pull radio 2: the engine says: the disk is full"},
		"create":  {1, StateAbandoned, "cannot create the container: the engine says: the disk is full"},
		"prepare": {1, StateAbandoned, "cannot prepare the way back: the engine says: the disk is full"},
		"take":    {3, StateRolledBack, "cannot keep the data: the engine says: the disk is full"},
	} {
		synctest.Test(t, func(t *testing.T) {
			began, tries := time.Now(), 0
			w, got := update(t, func(w *world) {
				began = time.Now()
				w.tap.deny = func(name string) error {
					if name == call {
						tries++
						return full
					}
					return nil
				}
			})
			if got.State != want.end || got.Why != want.why || tries != want.tries {
				t.Errorf("%s: tried %d times, ended %s: %q; want %+v", call, tries, got.State, got.Why, want)
			}
			if took := got.Updated.Sub(began); want.tries == 1 && took > time.Second {
				t.Errorf("%s: it ended after %s", call, took)
			}
			if v := w.status("radio").Version(); v != "1" {
				t.Errorf("%s: %s runs", call, v)
			}
		})
	}
}

// failing makes calls of a name fail n times, -1 = always.
func failing(call string, n int, err error) func(*world) {
	return func(w *world) {
		var calls atomic.Int32
		w.tap.deny = func(got string) error {
			if got == call && (n < 0 || int(calls.Add(1)) <= n) {
				return err
			}
			return nil
		}
	}
}

func TestWhatGoesWrongEndsAsItShould(t *testing.T) {
	broken := errors.New("it is broken")
	away := fmt.Errorf("cannot reach it: %w", ErrEngineAway)
	for _, c := range []struct {
		name    string
		disturb func(*world)
		end     State
		why     string
		runs    string
	}{
		{"no registry", failing("resolve", -1, broken), StateAbandoned, "cannot resolve example.org/addons/radio:2: it is broken", "1"},
		{"registry comes back", failing("resolve", 4, broken), StateCommitted, "", "2"},
		{"pull fails", failing("pull", -1, broken), StateAbandoned, "cannot pull radio 2: it is broken", "1"},
		{"no space for the data", failing("prepare", -1, broken), StateAbandoned, "cannot prepare the way back: it is broken", "1"},
		{"cannot create", failing("create", -1, broken), StateAbandoned, "cannot create the container: it is broken", "1"},
		{"create not permitted", failing("create", -1, fmt.Errorf("no: %w", ErrNotPermitted)), StateAbandoned, "cannot create the container: no: not permitted", "1"},
		{"old one does not stop", failing("stop", 3, broken), StateRolledBack, "cannot stop the old container: it is broken", "1"},
		{"cannot keep the data", failing("take", -1, broken), StateRolledBack, "cannot keep the data: it is broken", "1"},
		{"new one does not start", failing("start", 3, broken), StateRolledBack, "cannot start the new container: it is broken", "1"},
		{"engine away for an hour before the switch", failing("create", 5, away), StateAbandoned, "cannot create the container: cannot reach it: the container engine does not answer", "1"},
		{"engine away in the switch", failing("stop", 50, away), StateCommitted, "", "2"},
		{"engine away at the commit", failing("settle unless-stopped", 50, away), StateCommitted, "", "2"},
		{"commit fails for long", failing("remove", 50, broken), StateCommitted, "", "2"},
		{"log is full for long", failing("record committed", 50, broken), StateCommitted, "", "2"},
		{"journal is full for long", failing("journal", 20, broken), StateCommitted, "", "2"},
		{"the container dies at once", func(w *world) { w.engine.dies[image("radio", "2").Subject.Config] = true }, StateRolledBack,
			"it stopped with exit code 3 after 0s", "1"},
		{"the check fails", func(w *world) { w.engine.sick[image("radio", "2").Subject.Config] = true }, StateRolledBack,
			`check "frontend" failed 8 of 8 times in 8s (last: exit code 1, "out of order")`, "1"},
		{"withdrawn", func(w *world) { w.ledger.say(image("radio", "2"), trust.Untrusted) }, StateRefused, "", "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				w, got := update(t, c.disturb)
				w.tap.deny = nil
				if got.State != c.end || c.why != "" && got.Why != c.why {
					t.Errorf("got %s: %q (trouble %q), want %s: %q", got.State, got.Why, got.Trouble, c.end, c.why)
				}
				if err := w.m.Ensure(t.Context()); err != nil {
					t.Error(err)
				}
				have := w.engine.list()
				if len(have) != 1 || !have[0].Running || have[0].Image != image("radio", c.runs).Subject.Config || have[0].Name != "radio" {
					t.Errorf("want version %s, have %+v", c.runs, have)
				}
				if f := w.status("radio").Failed; (c.end == StateRolledBack || c.end == StateRefused) != (f.Version == "2") {
					t.Errorf("remembered as failed: %+v", f)
				}
				if took := time.Since(began); took > 3*time.Hour {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestPromisedDigestIsCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		good, bad := step("radio", "1"), step("radio", "2")
		good.To.Digest, bad.To.Digest = image("radio", "1").Subject.Manifest, image("radio", "1").Subject.Manifest
		w.submit(good)
		w.run()
		c := w.submit(bad)[0]
		w.run()
		got := must(w.m.Change(c.ID))
		if w.status("radio").Version() != "1" || got.State != StateAbandoned || !strings.Contains(got.Why, "the mirrors may lag") {
			t.Errorf("%s: %s", got.State, got.Why)
		}
	})
}

func TestWithdrawnBetweenCreationAndSwitchDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.at("1", "radio")
		c := w.submit(step("radio", "2"))[0]
		w.runTo(StateCreated)
		w.ledger.say(image("radio", "2"), trust.Untrusted)
		w.run()
		got := must(w.m.Change(c.ID))
		if got.State != StateRolledBack || slices.Contains(w.engine.data["radio"], "2") || w.status("radio").Version() != "1" {
			t.Errorf("%s, wrote %v: %s", got.State, w.engine.data["radio"], got.Why)
		}
	})
}

func TestStuckAsksTheOwnerAndHealsOnRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := update(t, func(w *world) {
			w.engine.sick[image("radio", "2").Subject.Config] = true
			failing("restore", -1, errors.New("the disk is gone"))(w)
		})
		if c.State != StateStuck || c.Record == 0 || !strings.Contains(c.Trouble, "the disk is gone") || !strings.Contains(c.Why, "frontend") {
			t.Fatalf("%s: why %q, trouble %q", c.State, c.Why, c.Trouble)
		}
		if s := w.status("radio"); !s.Stuck || s.Open != c.ID {
			t.Errorf("%+v", s)
		}
		for _, k := range w.engine.list() {
			if k.Running {
				t.Errorf("%s runs on data that is not its own", k.Name)
			}
		}
		if err := w.m.Ensure(t.Context()); err != nil || len(w.engine.list()) != 2 {
			t.Errorf("Ensure touched a stuck change: %v", err)
		}
		if _, errs := w.m.Submit(t.Context(), updater.Plan{Steps: []updater.Step{step("radio", "3")}}); len(errs) != 1 {
			t.Error("a stuck service took another change")
		}
		w.tap.deny = nil
		if err := w.m.Retry(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		w.run()
		if got := must(w.m.Change(c.ID)); got.State != StateRolledBack || !strings.Contains(got.Why, "frontend") {
			t.Errorf("%s: %s", got.State, got.Why)
		}
		if err := w.m.Retry(t.Context(), c.ID); err == nil {
			t.Error("retried what is not stuck")
		}
	})
}

func TestOneChangeForAServiceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio", "tv")
		defer w.close()
		first := w.submit(step("radio", "1"))[0]
		taken, errs := w.m.Submit(t.Context(), updater.Plan{Steps: []updater.Step{step("radio", "2"), step("tv", "1"), step("fridge", "1")}})
		var busy *BusyError
		if len(taken) != 1 || taken[0].Service.Name != "tv" || len(errs) != 2 || !errors.Is(errs[0], ErrUnknown) || !errors.As(errs[1], &busy) || busy.Change != first.ID {
			t.Errorf("took %d, errors %v", len(taken), errs)
		}
		if _, err := w.m.Rollback(t.Context(), "radio"); !errors.Is(err, ErrNoPrevious) {
			t.Error(err)
		}
		if _, err := w.m.Remove(t.Context(), "fridge"); !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
	})
}

func TestAFailingServiceNeverBlocksAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio", "tv", "lamp")
		defer w.close()
		w.cfgParallel(1)
		w.tap.deny = func(call string) error {
			if call == "record rolled-back" {
				return errors.New("no") // keeps the radio's change trying for ever
			}
			return nil
		}
		w.engine.dies[image("radio", "1").Subject.Config] = true
		radio := w.submit(step("radio", "1"))[0]
		others := w.submit(step("tv", "1"), step("lamp", "1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- w.m.Run(ctx) }()
		for _, c := range others {
			if got, err := w.m.Wait(ctx, c.ID); err != nil || got.State != StateCommitted {
				t.Errorf("%s: %v", got.State, err)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := must(w.m.Change(radio.ID)); !got.Open() {
			t.Errorf("a change whose end is not in the log is %s", got.State)
		}
	})
}

func (w *world) cfgParallel(n int) { w.m.slots = make(chan struct{}, n) }

func TestLostContainerIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.at("1", "radio")
		clear(w.engine.containers)
		if err := w.m.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.run()
		have := w.engine.list()
		if len(have) != 1 || !have[0].Running || have[0].Name != "radio" || w.status("radio").Current.Container != have[0].ID {
			t.Errorf("have %+v", have)
		}
		// And again, when even the image is gone: it is fetched by its digest.
		clear(w.engine.containers)
		clear(w.engine.images)
		time.Sleep(2 * remakeEvery)
		if err := w.m.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.run()
		if have := w.engine.list(); len(have) != 1 || !have[0].Running {
			t.Errorf("have %+v", have)
		}
	})
}

func TestLostContainerOfAForcedImageIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.at("1", "radio")
		odd := image("radio", "4") // nobody vouches for it
		w.engine.registry[odd.Subject.Repository+":4"] = odd
		w.engine.registry[byDigest(odd.Subject)] = odd
		_, err := w.memory.AddOverride(trust.Override{Component: "radio", Digest: odd.Subject.Manifest, Why: "a test", By: "root",
			Reasons: []trust.Reason{trust.EvidenceUnavailable}}, "", time.Now(), func(trust.Override) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		w.at("4", "radio")
		clear(w.engine.containers)
		if err := w.m.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.run()
		s := w.status("radio")
		if have := w.engine.list(); len(have) != 1 || !have[0].Running || s.Version() != "4" || s.Current.Outcome != trust.AllowOverridden {
			t.Errorf("have %+v, status %+v", have, s.Current)
		}
	})
}

func TestEnsureStartsWhatMustRunAndRemovesWhatNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.at("1", "radio")
		current := w.engine.list()[0]
		w.engine.containers[current.ID].Running = false // an engine killed without live-restore leaves it down
		w.engine.containers["left"] = &Container{ID: "left", Name: "radio.x", Service: "radio", Change: "x", Image: current.Image}
		w.engine.containers["alien"] = &Container{ID: "alien", Name: "alien", Service: "alien", Change: "y", Running: true}
		for range 2 {
			if err := w.m.Ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		names := map[string]bool{}
		for _, c := range w.engine.list() {
			names[c.Name] = c.Running
		}
		if diff := cmp.Diff(map[string]bool{"radio": true, "alien": true}, names); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOldMemberRunsWhileItsSetWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio", "tv")
		defer w.close()
		w.at("1", "radio", "tv")
		changes := w.submitTogether("2", "radio", "tv")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var pulls atomic.Int32
		w.tap.deny = func(call string) error {
			if call == "pull" {
				if pulls.Add(1) == 2 { // the other waits in created meanwhile
					time.Sleep(5 * time.Minute)
					for _, c := range w.engine.list() {
						if c.Name == "radio" || c.Name == "tv" {
							w.engine.mu.Lock()
							w.engine.containers[c.ID].Running = false // an engine that was killed leaves it down
							w.engine.mu.Unlock()
						}
					}
					time.Sleep(2 * time.Minute)
					for _, c := range w.engine.list() {
						if (c.Name == "radio" || c.Name == "tv") && !c.Running {
							t.Errorf("%s is left down while its set waits", c.Name)
						}
					}
				}
			}
			return nil
		}
		done := make(chan error, 1)
		go func() { done <- w.m.Run(ctx) }()
		for _, c := range changes {
			if got, err := w.m.Wait(ctx, c.ID); err != nil || got.State != StateCommitted {
				t.Errorf("%s: %s, %v", got.State, got.Why, err)
			}
		}
		cancel()
		must(0, <-done)
	})
}

func TestStoppedStaysStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.at("1", "radio")
		if err := w.m.Stop(t.Context(), "radio", "withdrawn: it eats the data"); err != nil {
			t.Fatal(err)
		}
		w.engine.powerCut()
		w.down()
		w.boot()
		if err := w.m.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c := w.engine.list()[0]; c.Running || c.Restart != noRestart || w.status("radio").Stopped == "" {
			t.Errorf("%+v", c)
		}
		w.engine.sick[image("radio", "2").Subject.Config] = true
		c := w.submit(step("radio", "2"))[0]
		w.run()
		if k := w.engine.list()[0]; must(w.m.Change(c.ID)).State != StateRolledBack || k.Running {
			t.Errorf("a rollback started what is kept stopped: %+v", k)
		}
		if err := w.m.Start(t.Context(), "radio"); err != nil || !w.engine.list()[0].Running {
			t.Error(err)
		}
		w.services[0].Class = trust.ClassCore
		must(0, w.m.SetServices(w.services))
		c, err := w.m.Recreate(t.Context(), "radio")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.m.Stop(t.Context(), "radio", ""); err == nil {
			t.Error("stopped a service with an open change")
		}
		w.run()
		if err := w.m.Stop(t.Context(), "radio", ""); err == nil {
			t.Error("stopped core")
		}
		if _, err := w.m.Remove(t.Context(), "radio"); err == nil {
			t.Error("removed core")
		}
		if got := must(w.m.Change(c.ID)); got.State != StateCommitted {
			t.Errorf("%s: %s", got.State, got.Why)
		}
	})
}

func TestFirstSightIsUnknownWithoutABelievableClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.at("1", "radio")
		four := image("radio", "4") // not notarized yet
		w.engine.registry[four.Subject.Repository+":4"] = four
		believed := false
		w.m.cfg.Clock = func() bool { return believed }
		w.m.cfg.Now = func() time.Time {
			if believed {
				return time.Now()
			}
			return time.Unix(60, 0)
		}
		early := w.submit(step("radio", "4"))[0]
		w.run()
		if got := must(w.m.Change(early.ID)); got.State != StateDeferred || !got.To.Resolved.IsZero() {
			t.Errorf("%s, first seen %v: %s; want a deferral and no time", got.State, got.To.Resolved, got.Why)
		}
		believed = true
		late := w.submit(step("radio", "4"))[0]
		w.run()
		if got := must(w.m.Change(late.ID)); got.State != StateDeferred || !got.To.Resolved.Equal(time.Now()) {
			t.Errorf("%s, first seen %v, want now: %s", got.State, got.To.Resolved, got.Why)
		}
	})
}

func TestFirstSightOfAReferenceOutlivesDeferrals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.at("1", "radio")
		four := image("radio", "4") // not notarized yet: the ledger may lag
		w.engine.registry[four.Subject.Repository+":4"] = four
		first := w.submit(step("radio", "4"))[0]
		w.run()
		if got := must(w.m.Change(first.ID)); got.State != StateDeferred {
			t.Fatalf("%s: %s", got.State, got.Why)
		}
		time.Sleep(50 * time.Minute)
		again := w.submit(step("radio", "4"))[0]
		w.run()
		a, b := must(w.m.Change(first.ID)).To.Resolved, must(w.m.Change(again.ID)).To.Resolved
		if a.IsZero() || !a.Equal(b) {
			t.Errorf("first seen %v, then %v", a, b)
		}
		time.Sleep(time.Hour)
		late := w.submit(step("radio", "4"))[0]
		w.run()
		if got := must(w.m.Change(late.ID)); got.State != StateRefused {
			t.Errorf("after %s without a record it is %s: %s", time.Since(a), got.State, got.Why)
		}
	})
}

func TestStoppingTheProgramIsNoFailureOfAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		c := w.submit(step("radio", "1"))[0]
		ctx, cancel := context.WithCancel(t.Context())
		w.tap.deny = func(call string) error {
			if call == "exec" {
				cancel()
			}
			return nil
		}
		if err := w.m.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := must(w.m.Change(c.ID)); got.State != StateSwitched || got.Attempts != 0 {
			t.Errorf("%s, %d attempts", got.State, got.Attempts)
		}
		w.tap.deny = nil
		w.run()
		if got := must(w.m.Change(c.ID)); got.State != StateCommitted {
			t.Errorf("%s: %s", got.State, got.Why)
		}
	})
}

func TestBadServicesAreRefused(t *testing.T) {
	w := newWorld(t, "radio")
	defer w.close()
	for _, bad := range [][]Service{{{Name: ""}}, {{Name: "a/b"}}, {{Name: "-a"}}, {{Name: "A"}}, {{Name: strings.Repeat("a", 65)}}, {{Name: "a"}, {Name: "a"}}} {
		if err := w.m.SetServices(bad); err == nil {
			t.Errorf("took %q", bad[0].Name)
		}
	}
	if _, ok, _ := w.m.definition("radio", ""); !ok {
		t.Error("a refused configuration replaced the good one")
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a manager of nothing")
	}
}

func TestNewerRowsAreRefused(t *testing.T) {
	w := newWorld(t, "radio")
	defer w.close()
	must(0, w.journal.Update(func(tx *state.Tx) error { return tx.Put(changeBucket, "c", []byte(`{"format":2}`)) }))
	if _, err := w.m.Changes(); err == nil || !strings.Contains(err.Error(), "install the newer Castellan again") {
		t.Error(err)
	}
	must(0, w.journal.Update(func(tx *state.Tx) error { return tx.Put(changeBucket, "c", []byte(`{"form`)) }))
	if err := w.m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), `cannot read change "c" of the journal`) {
		t.Error(err)
	}
}

func TestOldChangesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		now := time.Now()
		for i := range keptChanges + 20 {
			c := Change{ID: newID(now.Add(time.Duration(i) * time.Second)), State: StateAbandoned, Service: Service{Name: "old"}}
			must(0, w.m.save(c))
		}
		if n := len(must(w.m.Changes())); n != keptChanges {
			t.Errorf("%d changes are kept, want %d", n, keptChanges)
		}
	})
}

// TestGraphIsTheMachine compares testdata/states.dot with the transitions of all scenarios and of every failure that
// can be had in every state.
func TestGraphIsTheMachine(t *testing.T) {
	text, err := os.ReadFile("testdata/states.dot")
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t"?([a-z-]+)"? -> "?([a-z-]+)"?`).FindAllStringSubmatch(string(text), -1) {
		drawn[m[1]+" -> "+m[2]] = true
	}
	seen := map[string]bool{}
	watch := func(w *world) {
		last := map[string]State{}
		for _, c := range must(changesOf(w.journal)) {
			last[c.ID] = c.State
		}
		w.m.cfg.Journal = watched{w.m.cfg.Journal, new(sync.Mutex), func(c Change) {
			if from, ok := last[c.ID]; ok && from != c.State {
				seen[string(from)+" -> "+string(c.State)] = true
			}
			last[c.ID] = c.State
		}}
	}
	broken := errors.New("it is broken")
	for _, s := range scenarios {
		for _, call := range []string{"", "resolve", "image", "admit", "pull", "prepare", "create", "list", "stop", "take", "start", "restore", "exec", "remove"} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, s.services...)
				defer w.close()
				s.before(w)
				s.submit(w)
				watch(w)
				failing(call, 40, broken)(w)
				w.run()
				w.run() // a start tries again what is stuck
			})
		}
	}
	// Judgements that change between two steps, and a ledger that lags.
	for at := range 3 {
		for _, verdict := range []trust.Outcome{trust.Refuse, trust.Defer} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "radio")
				defer w.close()
				w.submit(step("radio", "1"))
				w.runTo([]State{StateResolved, StateVerified, StatePulled}[at])
				w.m.cfg.Authority = turned{w.m.cfg.Authority, verdict}
				watch(w)
				w.run()
			})
		}
	}
	if diff := cmp.Diff(drawn, seen); diff != "" {
		t.Errorf("drawn -, done +:\n%s", diff)
	}
}

// watched tells of each change that is stored.
type watched struct {
	Journal
	mu   *sync.Mutex // one write is told of before the next
	tell func(Change)
}

func (x watched) Update(f func(*state.Tx) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var after []Change
	err := x.Journal.Update(func(tx *state.Tx) (err error) {
		if err = f(tx); err == nil {
			after, err = all[Change](tx, changeBucket)
		}
		return err
	})
	if err == nil {
		for _, c := range after {
			x.tell(c)
		}
	}
	return err
}

// turned answers with another verdict.
type turned struct {
	Authority
	verdict trust.Outcome
}

func (x turned) Admit(_ context.Context, r trust.Request) (trust.Permit, trust.Verdict, error) {
	v := trust.Verdict{Subject: r.Subject, Outcome: x.verdict}
	return trust.Permit{}, v, v.Err()
}

// runTo ends the program when a change has come to s, and starts it anew.
func (w *world) runTo(s State) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reached := false
	w.m.cfg.Journal = watched{w.m.cfg.Journal, new(sync.Mutex), func(c Change) {
		if c.State == s {
			reached = true
			cancel()
		}
	}}
	must(0, w.m.Run(ctx))
	if !reached {
		w.t.Fatalf("it never came to %s", s)
	}
	w.down()
	w.boot()
}
