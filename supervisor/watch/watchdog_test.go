package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor"
)

// sixTimes is what a service gets that ends, or is sick, 5 s after each start.
func sixTimes(why string) (did []string) {
	at := 0
	for i := range mostTries {
		at += 10 << i
		did = append(did, fmt.Sprintf("%v restart radio: %s; try %d of 5", time.Duration(at)*time.Second, why, i+1))
		at += 5
	}
	return did
}

func TestStoriesOfAWatchdog(t *testing.T) {
	const gaveUp = "ended radio: its watchdog gave up after 5 tries; it last ended with exit code 3"
	refuses := errors.New("connection refused")
	for _, c := range []struct {
		name  string
		story func(x *kennel)
		did   []string
	}{
		{"all is well", func(x *kennel) { x.pass(time.Hour) }, nil},
		{"it dies once", func(x *kennel) { x.die("radio", 3); x.pass(time.Hour) },
			[]string{"10s restart radio: it ended with exit code 3; try 1 of 5"}},
		{"it rests for a backup", func(x *kennel) {
			x.with(func(s *supervisor.Status, _ *supervisor.Container) { s.Held = true })
			x.die("radio", 0)
			x.pass(3 * time.Hour)
			x.with(func(s *supervisor.Status, k *supervisor.Container) {
				s.Held, k.Running, k.Started = false, true, time.Now()
			})
			x.pass(time.Hour)
		}, nil},
		{"its end is not heard of", func(x *kennel) {
			x.with(func(_ *supervisor.Status, k *supervisor.Container) { k.Running = false })
			x.pass(time.Hour)
		}, []string{"35s restart radio: it ended with exit code 0; try 1 of 5"}},
		{"it dies six times", func(x *kennel) { x.life = 5 * time.Second; x.die("radio", 3); x.pass(time.Hour) },
			append(sixTimes("it ended with exit code 3"), "5m55s "+gaveUp)},
		{"its owner starts it after that", func(x *kennel) {
			x.life = 5 * time.Second
			x.die("radio", 3)
			x.pass(59 * time.Minute)
			x.with(func(s *supervisor.Status, k *supervisor.Container) {
				s.Stopped, k.Running, k.Started = "", true, time.Now()
			})
			x.life = 0
			x.die("radio", 4)
			x.pass(time.Hour)
		}, append(sixTimes("it ended with exit code 3"), "5m55s "+gaveUp, "59m10s restart radio: it ended with exit code 4; try 1 of 5")},
		{"it cannot be started", func(x *kennel) {
			x.restart = func(context.Context) error { return errors.New("the port is taken") }
			x.die("radio", 3)
			x.pass(time.Hour)
		}, []string{
			"10s restart radio: it ended with exit code 3; try 1 of 5", "31s restart radio: it ended with exit code 3; try 2 of 5",
			"1m12s restart radio: it ended with exit code 3; try 3 of 5", "2m33s restart radio: it ended with exit code 3; try 4 of 5",
			"5m14s restart radio: it ended with exit code 3; try 5 of 5",
			"5m35s ended radio: its watchdog gave up after 5 tries; the last one failed: the port is taken"}},
		{"it is unhealthy", func(x *kennel) { x.sicken(); x.pass(time.Hour) },
			[]string{"10s restart radio: it is unhealthy by its image's own health check; try 1 of 5"}},
		{"it is unhealthy for a moment", func(x *kennel) {
			x.sicken()
			x.pass(5 * time.Second)
			x.with(func(_ *supervisor.Status, k *supervisor.Container) { k.Health = "healthy" })
			x.w.Hear(Event{Kind: Sick})
			x.pass(time.Hour)
		}, nil},
		{"it stays unhealthy and is left running", func(x *kennel) { x.sick = true; x.sicken(); x.pass(time.Hour) },
			sixTimes("it is unhealthy by its image's own health check")},
		{"it ends after it was left running", func(x *kennel) {
			x.sick = true
			x.sicken()
			x.pass(59 * time.Minute)
			x.die("radio", 3)
			x.pass(time.Hour)
		}, append(sixTimes("it is unhealthy by its image's own health check"), "59m20s "+gaveUp)},
		{"steady running is forgotten", func(x *kennel) {
			x.die("radio", 3)
			x.pass(11 * time.Minute)
			x.die("radio", 3)
			x.pass(9 * time.Minute)
			x.die("radio", 3)
			x.pass(time.Hour)
		}, []string{"10s restart radio: it ended with exit code 3; try 1 of 5", "11m10s restart radio: it ended with exit code 3; try 1 of 5",
			"20m20s restart radio: it ended with exit code 3; try 2 of 5"}},
		{"somebody else starts it", func(x *kennel) {
			x.die("radio", 3)
			x.pass(5 * time.Second)
			x.with(func(_ *supervisor.Status, k *supervisor.Container) { k.Running, k.Started = true, time.Now() })
			x.pass(time.Hour)
		}, nil},
		{"its owner stops it meanwhile", func(x *kennel) {
			x.die("radio", 3)
			x.pass(5 * time.Second)
			x.with(func(s *supervisor.Status, _ *supervisor.Container) { s.Stopped = "stopped by the owner" })
			x.pass(time.Hour)
		}, nil},
		{"a change opens meanwhile", func(x *kennel) {
			x.die("radio", 3)
			x.pass(5 * time.Second)
			x.with(func(s *supervisor.Status, _ *supervisor.Container) { s.Open = "c7" })
			x.pass(time.Hour)
			x.with(func(s *supervisor.Status, _ *supervisor.Container) { s.Open = "" })
			x.pass(time.Minute)
		}, []string{"1h0m20s restart radio: it ended with exit code 3; try 1 of 5"}},
		{"it could not be started by the supervisor, which tries again", func(x *kennel) {
			x.with(func(s *supervisor.Status, _ *supervisor.Container) { s.Trouble = "the port is taken" })
			x.die("radio", 3)
			x.pass(time.Hour)
		}, nil},
		{"it has no watchdog", func(x *kennel) {
			x.with(func(s *supervisor.Status, _ *supervisor.Container) { s.Service.Watchdog = false })
			x.die("radio", 3)
			x.pass(time.Hour)
		}, nil},
		{"the engine takes it along", func(x *kennel) {
			x.die("radio", 255)
			x.pass(8 * time.Second)
			x.leave(true)
			x.w.Hear(Event{Kind: Away})
			x.pass(10 * time.Minute)
			x.leave(false)
			x.w.Hear(Event{Kind: Connected})
			x.pass(time.Hour)
		}, []string{"10m8s bring up"}},
		{"a try in an engine that leaves is none", func(x *kennel) {
			x.die("radio", 3)
			x.pass(12 * time.Second)
			x.die("radio", 255)
			x.w.Hear(Event{Kind: Away})
			x.w.Hear(Event{Kind: Connected})
			x.pass(time.Minute)
			x.die("radio", 3)
			x.pass(time.Hour)
		}, []string{"10s restart radio: it ended with exit code 3; try 1 of 5", "12s bring up",
			"1m22s restart radio: it ended with exit code 3; try 1 of 5"}},
		{"a try that meets no engine is none", func(x *kennel) {
			x.restart = func(context.Context) error { x.restarts(nil); return supervisor.ErrEngineAway }
			x.die("radio", 3)
			x.pass(time.Hour)
		}, []string{"10s restart radio: it ended with exit code 3; try 1 of 5", "21s restart radio: it ended with exit code 3; try 1 of 5"}},
		{"the engine is away and nobody says so", func(x *kennel) {
			x.die("radio", 3)
			x.pass(8 * time.Second)
			x.leave(true)
			x.pass(time.Hour)
			x.leave(false)
			x.pass(time.Minute)
		}, []string{"1h0m20s restart radio: it ended with exit code 3; try 1 of 5"}},
		{"it does not answer", func(x *kennel) {
			x.answers(func() error { return refuses })
			x.pass(4 * time.Minute)
			x.answers(nil)
			x.pass(time.Hour)
		}, []string{"3m6s restart radio: it did not answer 2 times in a row (last: connection refused); try 1 of 5"}},
		{"it misses every other answer", func(x *kennel) {
			n := 0
			x.answers(func() error {
				if n++; n%2 == 0 {
					return refuses
				}
				return nil
			})
			x.pass(time.Hour)
		}, nil},
		{"it answers after all", func(x *kennel) {
			n := 0
			x.answers(func() error {
				if n++; n == 1 || n == 3 {
					return refuses
				}
				return nil
			})
			x.pass(time.Hour)
		}, nil},
		{"it is asked by nobody while a change is open", func(x *kennel) {
			x.answers(func() error { return refuses })
			x.with(func(s *supervisor.Status, _ *supervisor.Container) { s.Open = "c7" })
			x.pass(time.Hour)
		}, nil},
		{"a change opens while it is asked", func(x *kennel) {
			x.answers(func() error {
				time.Sleep(5 * time.Second)
				x.with(func(s *supervisor.Status, _ *supervisor.Container) { s.Open = "c7" })
				return refuses
			})
			x.pass(time.Hour)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if x := guard(t, c.story); !slices.Equal(x.did, c.did) {
					t.Errorf("it did\n%s\nwant\n%s", strings.Join(x.did, "\n"), strings.Join(c.did, "\n"))
				}
			})
		})
	}
}

func TestASlowRestartKeepsNoOtherFromBeingWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := guard(t, func(x *kennel) {
			x.restarts(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			x.die("radio", 3)
			x.pass(time.Minute)
			x.die("tv", 4)
			x.pass(5 * time.Minute)
			x.restarts(nil)
			x.pass(time.Minute)
		}, "tv")
		want := []string{"10s restart radio: it ended with exit code 3; try 1 of 5", "1m10s restart tv: it ended with exit code 4; try 1 of 5",
			"5m30s restart radio: it ended with exit code 3; try 2 of 5"} // a try that hangs is one
		if !slices.Equal(x.did, want) {
			t.Errorf("it did\n%s\nwant\n%s", strings.Join(x.did, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestTriesAndProbesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 30 {
			names = append(names, fmt.Sprintf("tv%d", i))
		}
		x := guard(t, func(x *kennel) {
			x.with(func(*supervisor.Status, *supervisor.Container) { x.takes = 8 * time.Second })
			x.pass(4 * time.Minute)
			for _, name := range names {
				x.die(name, 3)
			}
			x.pass(10 * time.Minute)
		}, names...)
		if x.most["restart"] != parallel || x.most["probe"] != parallel || len(x.did) != len(names) {
			t.Errorf("at most %v at the same time, want %d; %d restarts of %d", x.most, parallel, len(x.did), len(names))
		}
	})
}

func TestAFloodOfEventsIsALookASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard(t, func(x *kennel) {
			before := x.looks
			for range 1000 {
				for _, kind := range []Kind{Died, Sick, "start", "nonsense"} {
					x.w.Hear(Event{Kind: kind, Service: "a stranger"})
				}
				time.Sleep(10 * time.Millisecond)
			}
			if n := x.looks - before; n < 5 || n > 12 {
				t.Errorf("%d looks in 10 s", n)
			}
			if len(x.w.guarded) != 1 {
				t.Errorf("it remembers %d services of 1", len(x.w.guarded))
			}
		})
	})
}

func TestWhatIsStillBeingStartedIsNotTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := guard(t, func(x *kennel) {
			x.with(func(_ *supervisor.Status, k *supervisor.Container) { x.rising, k.Running = true, false })
			x.w.Hear(Event{Kind: Died})
			x.pass(10 * time.Minute)
			x.with(func(_ *supervisor.Status, k *supervisor.Container) {
				x.rising, k.Running, k.Started = false, true, time.Now()
			})
			x.pass(time.Minute)
		})
		if len(x.did) > 0 {
			t.Errorf("it did %q", x.did)
		}
	})
}

func TestProbesComeEveryTwoMinutesAndNotAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard(t, func(x *kennel) {
			want := func(what string, n int) {
				t.Helper()
				if x.asked != n {
					t.Errorf("%s: asked %d times, want %d", what, x.asked, n)
				}
				x.asked = 0
			}
			x.pass(20 * time.Minute)
			want("20 minutes", 10)
			x.with(func(_ *supervisor.Status, k *supervisor.Container) { k.Started = time.Now() })
			x.w.Hear(Event{Kind: Sick})
			x.pass(118 * time.Second)
			want("2 minutes after the start", 0)
			x.pass(5 * time.Second)
			want("and then", 1)
			x.leave(true)
			x.w.Hear(Event{Kind: Away})
			x.pass(20 * time.Minute)
			want("without an engine", 0)
		})
	})
}

func TestTheEngineIsHeardWhileItHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := guard(t, func(x *kennel) {
			x.with(func(*supervisor.Status, *supervisor.Container) { x.hang = true })
			x.die("radio", 255)
			x.pass(20 * time.Second)
			for range 1000 { // returns although a look hangs
				x.w.Hear(Event{Kind: Died})
			}
			x.with(func(*supervisor.Status, *supervisor.Container) { x.hang = false })
			x.pass(5 * time.Second)
			x.w.Hear(Event{Kind: Connected})
			x.pass(time.Hour)
		})
		if got := fmt.Sprint(x.did); got != "[25s bring up]" {
			t.Errorf("it did %s", got)
		}
	})
}
