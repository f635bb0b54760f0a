package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/trust/audit"
)

// told is what the story says was done, oldest first, each with why.
func (w *world) told(what string) (why []string) {
	w.t.Helper()
	for r, err := range w.log.Records(audit.Filter{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		var a Action
		if r.Kind == audit.KindAction {
			must(0, json.Unmarshal(r.Payload, &a))
		}
		if a.What == what {
			why = append(why, a.Why)
		}
	}
	return why
}

func TestRestart(t *testing.T) {
	busy := (*BusyError)(nil)
	for _, c := range []struct {
		name    string
		prepare func(w *world)
		err     func(error) bool // nil = none
		starts  int
		runs    bool
	}{
		{"what runs", func(*world) {}, nil, 1, true},
		{"what ended", func(w *world) { w.engine.end("radio", 3) }, nil, 1, true},
		{"what is stopped", func(w *world) { must(0, w.m.Stop(context.Background(), "radio", "")) },
			func(err error) bool {
				return errors.Is(err, ErrStopped) && strings.Contains(err.Error(), "stopped by the owner")
			}, 0, false},
		{"while a change is open", func(w *world) { w.submit(step("radio", "2")) },
			func(err error) bool { return errors.As(err, &busy) && busy.Service == "radio" }, 0, true},
		{"what is lost", func(w *world) { clear(w.engine.containers) },
			func(err error) bool { return strings.Contains(err.Error(), "lost") }, 0, false},
		{"what holds another image", func(w *world) {
			for _, k := range w.engine.containers {
				k.Image = image("radio", "3").Subject.Config
			}
		}, func(err error) bool { return strings.Contains(err.Error(), "permitted is") }, 0, true},
		{"what cannot be stopped", failing("stop", 1, ErrEngineAway),
			func(err error) bool { return errors.Is(err, ErrEngineAway) }, 0, true},
		{"what cannot be started", failing("start", 1, ErrPortTaken),
			func(err error) bool { return errors.Is(err, ErrPortTaken) }, 0, false},
		{"and cannot be written down", failing("record restarted", 1, errLost),
			func(err error) bool { return errors.Is(err, errStory) }, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := tendedWorld(t, "radio")
				w.options("radio", "second")
				c.prepare(w)
				err := w.m.Restart(context.Background(), "radio", "it is unwell")
				if (c.err == nil) != (err == nil) || err != nil && !c.err(err) {
					t.Errorf("error %v", err)
				}
				if len(w.engine.started) != c.starts || (len(w.running()) == 1) != c.runs {
					t.Errorf("started %v, running %v", w.engine.started, w.running())
				}
				want := []string(nil)
				if c.err == nil {
					want = []string{"it is unwell"}
				}
				if got := w.told("restarted"); !slices.Equal(got, want) {
					t.Errorf("the story says %q, want %q", got, want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		if err := w.m.Restart(context.Background(), "nobody", "it is unwell"); !errors.Is(err, ErrUnknown) {
			t.Errorf("nobody: %v", err)
		}
	})
}

func TestARestartThatFailsIsMadeGood(t *testing.T) {
	for _, watchdog := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := tendedWorld(t, "radio")
			s := w.tended["radio"]
			s.Watchdog = watchdog
			w.tended["radio"] = s
			w.renew("radio")
			w.run()
			w.alive(func(ctx context.Context) {
				wait(time.Second)
				failing("start", 1, ErrPortTaken)(w)
				if err := w.m.Restart(ctx, "radio", "it is unwell"); !errors.Is(err, ErrPortTaken) {
					t.Error(err)
				}
				wait(5 * time.Minute)
			})
			// What has a watchdog is left to it, which counts the tries.
			if s := w.status("radio"); (len(w.running()) == 1) == watchdog || s.Stopped != "" {
				t.Errorf("watchdog %v: running %v, %+v", watchdog, w.running(), s)
			}
		})
	}
}

func TestARestartWaitsForWhoWorksOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		unlock, _ := w.m.tryLock("radio")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.m.Restart(ctx, "radio", "it is unwell"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		time.AfterFunc(time.Minute, unlock)
		must(0, w.m.Restart(context.Background(), "radio", "it is unwell"))
		if got := fmt.Sprint(w.engine.started); got != "[radio]" {
			t.Errorf("started %s", got)
		}
	})
}

// Wherever it is cut, what must run runs after the next start, and the story tells no more than what was done.
func TestARestartThatIsCutIsMadeGoodAtTheNextStart(t *testing.T) {
	var calls []string
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		from := len(w.tap.calls)
		must(0, w.m.Restart(context.Background(), "radio", "it is unwell"))
		calls = slices.Clone(w.tap.calls[from:])
	})
	if got := fmt.Sprint(calls); got != "[list stop files start record restarted]" {
		t.Errorf("a restart calls %s", got)
	}
	for i, call := range calls {
		for _, applied := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := tendedWorld(t, "radio")
				w.tap.at, w.tap.mode, w.tap.applied, w.tap.cut = len(w.tap.calls)+i, "cut", applied, func() {}
				if err := w.m.Restart(context.Background(), "radio", "it is unwell"); err == nil {
					t.Errorf("cut at %s: no error", call)
				}
				w.tap.at = -1
				w.down()
				w.boot()
				w.alive(func(context.Context) { wait(time.Second) })
				if s := w.status("radio"); len(w.running()) != 1 || s.Stopped != "" {
					t.Errorf("cut at %s (applied %v): running %v, %+v", call, applied, w.running(), s)
				}
			})
		}
	}
}

func TestRisenIsAfterTheLastReturnOfTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		risen := func(what string, want bool) {
			t.Helper()
			if got := w.m.Risen(); got != want {
				t.Errorf("%s: risen %v", what, got)
			}
		}
		w.engine.powerCut()
		away := true
		w.tap.deny = func(string) error {
			if away {
				return ErrEngineAway
			}
			return nil
		}
		risen("before the start", false)
		w.alive(func(context.Context) {
			wait(10 * time.Minute)
			risen("without an engine", false)
			away = false
			wait(2 * time.Minute)
			risen("with an engine", true)
			w.m.EngineReturned()
			risen("an engine that returned", false)
			wait(time.Second)
			risen("and then", true)
		})
	})
}
