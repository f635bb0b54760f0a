package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// house is a manager and what its observer heard.
type house struct {
	*Manager
	t     *testing.T
	ctx   context.Context
	stop  context.CancelFunc
	heard []Event
}

// in runs a test in a bubble, where time passes only when all wait, and everything must end.
func in(t *testing.T, cfg Config, test func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		h := &house{t: t, ctx: t.Context(), stop: stop}
		cfg.Observe = func(e Event) { h.heard = append(h.heard, e) }
		h.Manager = New(ctx, cfg)
		test(h)
		stop()
		if err := h.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// start begins work in the background that was validated, and waits until all wait.
func (h *house) start(s Spec, w Work) string {
	h.t.Helper()
	s.Background, s.Accepted = true, true
	o, err := h.Run(h.ctx, s, w)
	if err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
	return o.ID
}

// pass lets time pass, and waits until all wait.
func (h *house) pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

func (h *house) get(id string) View {
	h.t.Helper()
	v, err := h.Get(id)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// state is a job in a word.
func state(v View) string {
	switch {
	case v.Done == nil:
		return "queued"
	case !*v.Done:
		return "running"
	case len(v.Errors) > 0:
		return "failed: " + v.Errors[len(v.Errors)-1].Message
	}
	return "done"
}

// lasting is work of some time that heeds its end.
func lasting(d time.Duration) Work {
	return func(ctx context.Context, _ *Job) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestWhatARequestIsAnswered(t *testing.T) {
	bad := errors.New("App radio is already installed")
	type job = *Job
	for _, c := range []struct {
		name       string
		background bool
		work       Work
		want       string // id, over, answer, error, state afterwards
		at         time.Duration
	}{
		{"it waits for the end", false, func(_ context.Context, j job) error { time.Sleep(time.Hour); j.Answer("yes"); return nil },
			"id over yes <nil> done", time.Hour},
		{"in the background it waits for validation", true, func(_ context.Context, j job) error {
			time.Sleep(time.Second)
			j.Accepted()
			time.Sleep(time.Hour)
			return nil
		}, "id open <nil> <nil> running", time.Second},
		{"what is over already is answered", true, func(_ context.Context, j job) error { time.Sleep(time.Second); j.Answer("yes"); return nil },
			"id over yes <nil> done", time.Second},
		{"a request refused leaves no job", true, func(context.Context, job) error { time.Sleep(time.Second); return bad },
			"- over <nil> App radio is already installed gone", time.Second},
		{"nor in the foreground", false, func(context.Context, job) error { return bad },
			"- over <nil> App radio is already installed gone", 0},
		{"a failure after that does", false, func(_ context.Context, j job) error { j.Accepted(); return bad },
			"id over <nil> App radio is already installed failed: App radio is already installed", 0},
		{"a panic is the job's error", true, func(_ context.Context, j job) error { panic("secret") },
			"id over <nil> internal error in n; the daemon's log says more failed: internal error in n; the daemon's log says more", 0},
		{"so is a work that just goes", false, func(_ context.Context, j job) error { j.Accepted(); runtime.Goexit(); return nil },
			"id over <nil> the work ended without a word failed: the work ended without a word", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, Config{}, func(h *house) {
				began := time.Now()
				o, err := h.Run(h.ctx, Spec{Name: "n", Background: c.background}, c.work)
				id, is, after := "-", "open", "gone"
				if o.ID != "" {
					id, after = "id", state(h.get(o.ID))
				} else if n := len(h.List()); n != 0 {
					t.Errorf("%d jobs are left", n)
				}
				if o.Over {
					is = "over"
				}
				if got := fmt.Sprint(id, " ", is, " ", o.Answer, " ", err, " ", after); got != c.want || time.Since(began) != c.at {
					t.Errorf("after %v: %s; want after %v: %s", time.Since(began), got, c.at, c.want)
				}
			})
		})
	}
}

func TestWorkOutlivesTheClient(t *testing.T) {
	in(t, Config{}, func(h *house) {
		type key struct{}
		ctx, leave := context.WithTimeout(context.WithValue(h.ctx, key{}, "who asked"), 30*time.Second)
		defer leave()
		var value any
		o, err := h.Run(ctx, Spec{Name: "n"}, func(ctx context.Context, j *Job) error {
			j.Accepted()
			value = ctx.Value(key{})
			if self, ok := From(ctx); !ok || self != j {
				t.Error("the context does not hold the job")
			}
			return lasting(time.Hour)(ctx, j)
		})
		synctest.Wait()
		if !errors.Is(err, context.DeadlineExceeded) || o.Over || state(h.get(o.ID)) != "running" || value != "who asked" {
			t.Fatalf("%+v %v, job %s, value %v", o, err, state(h.get(o.ID)), value)
		}
		h.pass(time.Hour)
		if s := state(h.get(o.ID)); s != "done" {
			t.Errorf("afterwards: %s", s)
		}
		if o, err := h.Run(ctx, Spec{}, lasting(0)); err == nil || o.ID != "" {
			t.Errorf("a request that is gone began work: %+v %v", o, err)
		}
	})
}

func TestOneJobOfAGroupAtATime(t *testing.T) {
	in(t, Config{Queue: 2}, func(h *house) {
		install := Spec{Group: "app_radio", Queue: true}
		first := h.start(install, lasting(time.Minute))
		var busy *BusyError
		if o, err := h.Run(h.ctx, Spec{Group: "app_radio"}, lasting(0)); !errors.As(err, &busy) || err.Error() != "Another job is running for job group app_radio" || o.ID != "" {
			t.Errorf("second of the group: %+v %v", o, err)
		}
		second, third := h.start(install, lasting(time.Minute)), h.start(install, lasting(time.Minute))
		if _, err := h.Run(h.ctx, install, lasting(0)); !errors.Is(err, ErrTooMany) {
			t.Errorf("one too many in the queue: %v", err)
		}
		adopted := strings.Repeat("ab", 16)
		if err := h.Adopt(adopted, time.Unix(1, 0), install, lasting(time.Minute)); err != nil {
			t.Errorf("the bound held back what had its turn before: %v", err)
		}
		other := h.start(Spec{Group: "app_mqtt"}, lasting(time.Minute))
		all := []string{first, second, third, adopted, other}
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, id := range all {
				got = append(got, state(h.get(id)))
			}
			if !slices.Equal(got, want) {
				t.Errorf("jobs are %q, want %q", got, want)
			}
		}
		expect("running", "queued", "queued", "queued", "running")
		if err := h.Cancel(third); err != nil {
			t.Error(err)
		}
		expect("running", "queued", "failed: cancelled", "queued", "running")
		time.Sleep(time.Minute)
		expect("done", "running", "failed: cancelled", "queued", "done")
		time.Sleep(time.Minute)
		expect("done", "done", "failed: cancelled", "running", "done")
		h.pass(time.Minute)
		if len(h.groups) != 0 || h.waiting != 0 || h.open != 0 {
			t.Errorf("left over: groups %v, %d waiting, %d open", h.groups, h.waiting, h.open)
		}
	})
}

func TestFiftyWaitAndNoMore(t *testing.T) {
	in(t, Config{}, func(h *house) {
		var order []int
		for i := range 52 {
			_, err := h.Run(h.ctx, Spec{Group: "g", Queue: true, Background: true, Accepted: true}, func(context.Context, *Job) error {
				order = append(order, i)
				time.Sleep(time.Second)
				return nil
			})
			if (err != nil) != (i == 51) {
				t.Errorf("job %d: %v", i, err)
			}
		}
		h.pass(time.Hour)
		if !slices.IsSorted(order) || len(order) != 51 {
			t.Errorf("order of work: %v", order)
		}
		for range mostOpen {
			h.start(Spec{}, lasting(time.Minute))
		}
		if _, err := h.Run(h.ctx, Spec{}, lasting(0)); !errors.Is(err, ErrTooMany) {
			t.Errorf("job %d: %v", mostOpen+1, err)
		}
		time.Sleep(time.Minute)
	})
}

func TestAdopt(t *testing.T) {
	in(t, Config{}, func(h *house) {
		id, began := "0123456789abcdef0123456789abcdef", time.Date(2026, 11, 25, 23, 5, 52, 120000, time.FixedZone("", 3600))
		if err := h.Adopt(id, began, Spec{Name: "addon_manager_update", Reference: "radio"}, lasting(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{id, "", "0123456789ABCDEF0123456789ABCDEF", id + "0", "../" + id[3:]} {
			if err := h.Adopt(bad, began, Spec{}, lasting(0)); err == nil {
				t.Errorf("adopted %q", bad)
			}
		}
		if v := h.get(id); v.UUID != id || v.Created != "2026-11-25T22:05:52.000120+00:00" || v.Name != "addon_manager_update" {
			t.Errorf("adopted: %+v", v)
		}
		time.Sleep(time.Minute)
	})
}

func TestWhatIsKept(t *testing.T) {
	in(t, Config{Keep: 3, KeepFor: time.Hour}, func(h *house) {
		var ids []string
		for range 5 {
			ids = append(ids, h.start(Spec{}, func(ctx context.Context, j *Job) error {
				time.Sleep(time.Second)
				j.Answer("nobody waits")
				return j.Child(ctx, Spec{Name: "c"}, lasting(0))
			}))
			h.pass(time.Minute)
		}
		h.start(Spec{Internal: true}, lasting(0))
		if len(h.all) != 6 {
			t.Errorf("%d are held, though nobody asked; want 3 and their children", len(h.all))
		}
		for _, r := range h.roots {
			if r.answer != nil || r.ctx != nil {
				t.Errorf("job %s holds its answer or its request", r.id)
			}
		}
		slow := h.start(Spec{}, lasting(3*time.Hour))
		list := func() (got []string) {
			for _, v := range h.List() {
				got = append(got, v.UUID)
			}
			return got
		}
		if got, want := list(), []string{slow, ids[4], ids[3], ids[2]}; !slices.Equal(got, want) || len(h.all) != 7 {
			t.Errorf("kept %d: %v, want newest first %v", len(h.all), got, want)
		}
		if err := h.Delete(slow); !errors.Is(err, ErrNotDone) {
			t.Errorf("deleted what runs: %v", err)
		}
		if err := errors.Join(h.Delete(h.get(ids[4]).Children[0].UUID), h.Delete(ids[3])); err != nil {
			t.Error(err)
		}
		if err := h.Delete(ids[3]); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if got, want := list(), []string{slow, ids[4], ids[2]}; !slices.Equal(got, want) || len(h.all) != 4 {
			t.Errorf("kept %d: %v, want %v", len(h.all), got, want)
		}
		h.pass(time.Hour)
		if got := list(); !slices.Equal(got, []string{slow}) || len(h.all) != 1 {
			t.Errorf("kept after an hour: %v", got)
		}
		h.pass(2 * time.Hour)
		h.start(Spec{Internal: true}, lasting(0))
		if len(h.all) != 1 {
			t.Errorf("%d are kept, want the last", len(h.all))
		}
	})
}

func TestConditions(t *testing.T) {
	var kept []string
	var broken error
	m := New(t.Context(), Config{Ignored: []string{"free_space", "healthy", "of_tomorrow"}, KeepIgnored: func(l []string) error { kept = l; return broken }})
	if got := m.Ignored(); !slices.Equal(got, []string{"free_space"}) || !m.Ignores(FreeSpace) || m.Ignores("healthy") || m.Ignores("of_tomorrow") {
		t.Errorf("at first: %v", got)
	}
	if err := m.Reset(); err != nil || len(m.Ignored()) != 0 || kept == nil {
		t.Errorf("reset: %v", err)
	}
	for condition, why := range conditions {
		err := m.Ignore([]string{FreeSpace, condition})
		if (err == nil) != (why == "") || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", condition, err, why)
		}
		if err != nil && m.Ignores(condition) {
			t.Errorf("%s is ignored nevertheless", condition)
		}
	}
	for _, name := range []string{"trust", "untrusted", "content_trust", "nonsense", ""} {
		if err := m.Ignore([]string{name}); err == nil || !strings.Contains(err.Error(), "none of that name") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := m.Ignore([]string{FreeSpace, FreeSpace}); err != nil || !slices.Equal(kept, []string{FreeSpace}) || !m.Ignores(FreeSpace) {
		t.Errorf("said twice: %v, kept %v", err, kept)
	}
	broken = errors.New("disk full")
	if err := m.Reset(); !errors.Is(err, broken) || !m.Ignores(FreeSpace) {
		t.Errorf("not kept, yet in force: %v", err)
	}
}

// TestAReferenceMayComeWithTheWork: a backup has its slug once it is made, and who hears of its end knows it.
func TestAReferenceMayComeWithTheWork(t *testing.T) {
	in(t, Config{}, func(h *house) {
		id := h.start(Spec{Name: "backup"}, func(ctx context.Context, j *Job) error {
			err := j.Child(ctx, Spec{Name: "part"}, lasting(0))
			j.SetReference(strings.Repeat("x", 2*mostName))
			j.SetReference("0a1b2c3d")
			return err
		})
		last := h.heard[len(h.heard)-1]
		if v := h.get(id); *v.Reference != "0a1b2c3d" || *last.Reference != "0a1b2c3d" || last.RootAbout != "0a1b2c3d" || !*last.Done {
			t.Errorf("%+v, last heard %+v", v, last)
		}
	})
}
