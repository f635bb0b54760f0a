package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
)

// alive runs the manager until do returns.
func (w *world) alive(do func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.m.Run(ctx) }()
	do(ctx)
	cancel()
	must(0, <-done)
}

// wait lets the bubble's time pass until all is quiet.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) running() (names []string) {
	for _, c := range w.engine.list() {
		if c.Running {
			names = append(names, c.Service)
		}
	}
	slices.Sort(names)
	return names
}

func tendedWorld(t *testing.T, services ...string) *world {
	w := newWorld(t, services...)
	t.Cleanup(w.close)
	w.tend()
	w.awake("1", services...)
	w.engine.started = nil
	return w
}

func TestAfterABootStagesStartInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "broker", "base", "app")
		for name, stage := range map[string]int{"broker": 2, "base": 1, "app": 3} {
			s := w.tended[name]
			s.Stage = stage
			w.tended[name] = s
			w.renew(name)
		}
		w.run()
		w.engine.powerCut()
		w.engine.started = nil
		w.alive(func(context.Context) { wait(time.Second) })
		if got := fmt.Sprint(w.engine.started); got != "[base broker app]" {
			t.Errorf("started %s, want base, broker, app", got)
		}
	})
}

func TestWhatEndsByItselfStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		w.alive(func(context.Context) {
			wait(time.Second)
			w.engine.end("radio", 3)
			wait(5 * time.Minute)
		})
		if s := w.status("radio"); s.Stopped != "it ended by itself with exit code 3" || !s.Stays || len(w.running()) != 0 {
			t.Errorf("%+v, running %v", s, w.running())
		}
		must(0, w.m.Start(context.Background(), "radio"))
		if len(w.running()) != 1 {
			t.Error("its owner cannot start it again")
		}
	})
}

func TestAnEngineThatRestartsStartsWhatRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio", "tv", "lamp")
		must(0, w.m.Stop(context.Background(), "lamp", ""))
		w.alive(func(context.Context) {
			wait(time.Second)
			w.engine.powerCut()
			wait(10 * time.Second) // shorter than a service may be gone with its engine
			w.m.EngineReturned()
			wait(time.Second)
		})
		if got := fmt.Sprint(w.running()); got != "[radio tv]" {
			t.Errorf("running %s, want what ran before and not what was stopped", got)
		}
	})
}

// TestAKilledEngineStartsNothing by itself, whatever the restart policies say. Something has the add-on in hand when its
// turn comes: it waits, and is not passed over.
func TestAKilledEngineStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "core", "radio")
		t.Cleanup(w.close)
		core := w.services[:1]
		w.tend()
		delete(w.tended, "core")
		w.services = core
		must(0, w.m.SetServices(core))
		w.at("1", "core")
		w.awake("1", "radio")
		w.alive(func(ctx context.Context) {
			wait(time.Second)
			w.engine.end("core", 137)
			w.engine.end("radio", 137)
			unlock, _ := w.m.lock(ctx, "radio")
			w.m.EngineReturned()
			wait(2 * time.Second)
			if got := fmt.Sprint(w.running()); got != "[core]" {
				t.Errorf("running %s, want core at once", got)
			}
			unlock()
			wait(time.Second)
		})
		if got := fmt.Sprint(w.running()); got != "[core radio]" {
			t.Errorf("running %s, want both", got)
		}
	})
}

func TestWhatCannotStartIsTriedAgainAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio", "tv")
		w.engine.powerCut()
		taken := true
		w.tap.deny = func(call string) error {
			if call == "start" && taken {
				taken = false
				return fmt.Errorf("cannot start: port 80: %w", ErrPortTaken)
			}
			return nil
		}
		w.alive(func(context.Context) {
			wait(time.Second)
			trouble := w.status("radio").Trouble + w.status("tv").Trouble
			if len(w.running()) != 1 || !strings.Contains(trouble, "port 80") {
				t.Errorf("running %v, trouble %q", w.running(), trouble)
			}
			wait(time.Minute) // the port is free again
		})
		if len(w.running()) != 2 || w.status("radio").Trouble+w.status("tv").Trouble != "" {
			t.Errorf("running %v, %+v", w.running(), w.status("radio"))
		}
	})
}

// TestAnEngineThatIsAwaySaysNothingOfAService: what was wrong with one is told until a try that the engine answered, and it
// is tried again until then.
func TestAnEngineThatIsAwaySaysNothingOfAService(t *testing.T) {
	for name, act := range map[string]func(w *world) error{
		"start":   func(w *world) error { return w.m.Start(context.Background(), "radio") },
		"restart": func(w *world) error { return w.m.Restart(context.Background(), "radio", "") },
		"look":    func(w *world) error { return w.m.Ensure(context.Background()) },
	} {
		for _, call := range []string{"list", "start"} {
			t.Run(name+" without "+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := tendedWorld(t, "radio")
					w.engine.powerCut()
					deny := func(of string, err error) {
						w.tap.deny = func(call string) error {
							if call == of {
								return err
							}
							return nil
						}
					}
					deny("start", ErrPortTaken)
					if err := w.m.BringUp(context.Background()); !errors.Is(err, ErrPortTaken) {
						t.Fatal(err)
					}
					deny(call, ErrEngineAway)
					if err := act(w); !errors.Is(err, ErrEngineAway) {
						t.Fatalf("got %v", err)
					}
					if got := w.status("radio").Trouble; !strings.Contains(got, ErrPortTaken.Error()) {
						t.Errorf("trouble %q", got)
					}
					w.tap.deny = nil
					must(0, w.m.Ensure(context.Background()))
					if len(w.running()) != 1 || w.status("radio").Trouble != "" {
						t.Errorf("running %v, trouble %q", w.running(), w.status("radio").Trouble)
					}
				})
			})
		}
	}
}

func TestABootIsMetOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio", "tv")
		ctx := context.Background()
		decide := func(s Status) (bool, string) { return s.Service.Name == "radio", "it starts by hand" }
		must(0, w.m.Stop(ctx, "radio", ""))
		w.engine.powerCut()
		must(0, w.m.Booted(ctx, "boot-1", decide))
		w.alive(func(context.Context) { wait(time.Second) })
		if got := fmt.Sprint(w.running()); got != "[radio]" || w.status("tv").Stopped != "it starts by hand" {
			t.Errorf("running %s, tv %q", got, w.status("tv").Stopped)
		}
		must(0, w.m.Stop(ctx, "radio", ""))
		must(0, w.m.Booted(ctx, "boot-1", decide))
		if s := w.status("radio"); s.Stopped == "" {
			t.Error("a restart of the daemon started what its owner stopped")
		}
	})
}

func TestChangedOptionsTakeEffectAtTheNextBoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		for _, c := range []struct{ options, runs string }{{"second", "second"}, {"poison", "second"}} {
			w.options("radio", c.options)
			w.engine.powerCut()
			w.alive(func(context.Context) { wait(2 * time.Minute) })
			k := w.engine.list()[0]
			if got := w.engine.read[k.ID]; got != c.runs || !k.Running {
				t.Errorf("runs with %q, want %q: %+v", got, c.runs, k)
			}
		}
		made := w.engine.next
		w.engine.powerCut()
		w.alive(func(context.Context) { wait(2 * time.Minute) })
		if w.engine.next != made || len(w.running()) != 1 {
			t.Error("settings that failed are tried again at every boot")
		}
	})
}

func TestEngineAwayAtTheStartIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		w.engine.powerCut()
		var away atomic.Bool
		away.Store(true)
		w.tap.deny = func(string) error {
			if away.Load() {
				return ErrEngineAway
			}
			return nil
		}
		w.alive(func(context.Context) {
			wait(10 * time.Minute)
			away.Store(false)
			wait(2 * time.Minute)
		})
		if s := w.status("radio"); len(w.running()) != 1 || s.Stopped != "" {
			t.Errorf("running %v, %+v", w.running(), s)
		}
	})
}

func TestAWithdrawnAddonWakesWithAGoodVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		must(0, w.m.Stop(context.Background(), "radio", "withdrawn"))
		w.submit(step("radio", "2"))
		w.run()
		if s := w.status("radio"); s.Stopped != "" || len(w.running()) != 1 {
			t.Errorf("%+v", s)
		}
		if errors.Is(w.m.Stop(context.Background(), "nobody", ""), ErrUnknown) == false {
			t.Error("an unknown service was stopped")
		}
	})
}

// TestNothingStartsOnAFolderThatBecameALink: whoever may write beside the folder would choose what the container sees.
func TestNothingStartsOnAFolderThatBecameALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		s := w.tended["radio"]
		s.Container.Mounts = []spec.Mount{{Source: "/ha/addon_configs/radio", Target: "/config", Plain: true}, {Source: "/ha/share", Target: "/share"}}
		w.tended["radio"] = s
		w.renew("radio")
		w.run()
		if got := fmt.Sprint(w.running()); got != "[radio]" {
			t.Fatalf("on plain folders %s runs", got)
		}
		w.engine.files["/ha/addon_configs/radio"], w.engine.files["/ha/share"] = "/", "/"
		w.engine.powerCut()
		w.alive(func(context.Context) { wait(time.Minute) })
		st, _, _, err := w.m.Status("radio")
		if got := fmt.Sprint(w.running()); err != nil || got != "[]" || !strings.Contains(st.Trouble, "addon_configs/radio is a link") {
			t.Errorf("it runs (%s), or nobody says why not: %q, %v", got, st.Trouble, err)
		}
		delete(w.engine.files, "/ha/addon_configs/radio")
		w.alive(func(context.Context) { wait(time.Minute) })
		if got := fmt.Sprint(w.running()); got != "[radio]" {
			t.Errorf("afterwards %s runs", got)
		}
	})
}
