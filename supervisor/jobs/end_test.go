package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCancel(t *testing.T) {
	past := func(ctx context.Context, j *Job) error { j.Commit(); return lasting(time.Minute)(ctx, j) }
	broken := func(ctx context.Context, _ *Job) error { <-ctx.Done(); return errors.New("cannot put it back") }
	for _, c := range []struct {
		name string
		spec Spec
		work Work
		err  error
		want string
	}{
		{"what can be", Spec{Cancel: true}, lasting(time.Minute), nil, "failed: cancelled"},
		{"what cannot", Spec{}, lasting(time.Minute), ErrCannotCancel, "running"},
		{"what no longer can", Spec{Cancel: true}, past, ErrCannotCancel, "running"},
		{"what does not succeed in it", Spec{Cancel: true}, broken, nil, "failed: cancelled: cannot put it back"},
		{"what is over", Spec{Cancel: true}, lasting(0), nil, "done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, Config{}, func(h *house) {
				id := h.start(c.spec, c.work)
				time.Sleep(time.Second)
				if err := h.Cancel(id); !errors.Is(err, c.err) {
					t.Errorf("cancel: %v", err)
				}
				synctest.Wait()
				if s := state(h.get(id)); s != c.want {
					t.Errorf("job is %q, want %q", s, c.want)
				}
			})
		})
	}
}

func TestTheDaemonStops(t *testing.T) {
	in(t, Config{}, func(h *house) {
		one, two := h.start(Spec{Group: "g"}, lasting(time.Hour)), h.start(Spec{Group: "g", Queue: true}, lasting(time.Hour))
		deaf := h.start(Spec{}, func(context.Context, *Job) error { time.Sleep(time.Minute); return nil })
		h.stop()
		soon, cancel := context.WithTimeout(h.ctx, time.Second)
		defer cancel()
		if err := h.Wait(soon); err == nil {
			t.Error("it did not wait for work that does not heed its end")
		}
		for id, want := range map[string]string{one: "failed: the daemon is stopping", two: "failed: the daemon is stopping", deaf: "running"} {
			if s := state(h.get(id)); s != want {
				t.Errorf("job is %q, want %q", s, want)
			}
		}
		if _, err := h.Run(h.ctx, Spec{}, lasting(0)); !errors.Is(err, ErrStopping) {
			t.Errorf("a job began: %v", err)
		}
	})
}

func TestACancelledJobCannotCommit(t *testing.T) {
	in(t, Config{}, func(h *house) {
		var could bool
		id := h.start(Spec{Cancel: true}, func(ctx context.Context, j *Job) error {
			return j.Child(ctx, Spec{Name: "part"}, func(ctx context.Context, c *Job) error {
				<-ctx.Done()
				could = c.Commit()
				return context.Cause(ctx)
			})
		})
		part := h.get(id).Children[0].UUID
		if err := h.Cancel(part); !errors.Is(err, ErrCannotCancel) || !strings.Contains(err.Error(), id) {
			t.Errorf("a part was cancelled: %v", err)
		}
		if err := h.Cancel(id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if could || state(h.get(id)) != "failed: cancelled" || state(h.get(part)) != "failed: cancelled" {
			t.Errorf("committed %v, job %s, part %s", could, state(h.get(id)), state(h.get(part)))
		}
		if err := h.Cancel("0"); !errors.Is(err, ErrNotFound) {
			t.Errorf("no job: %v", err)
		}
		if _, err := h.Get(strings.Repeat("x", 1000)); !errors.Is(err, ErrNotFound) || len(err.Error()) > 200 {
			t.Errorf("no job: %v", err)
		}
	})
}

func TestWhatEndedTheWorkIsToldFirst(t *testing.T) {
	other, late := errors.New("disk full"), context.DeadlineExceeded
	for _, c := range []struct {
		err, cause error
		want       string
	}{
		{other, nil, "disk full"},
		{other, late, "disk full"},
		{late, late, "context deadline exceeded"},
		{context.Canceled, late, "context canceled"},
		{context.Canceled, ErrCancelled, "cancelled"},
		{ErrCancelled, ErrCancelled, "cancelled"},
		{other, ErrStopping, "the daemon is stopping: disk full"},
	} {
		if got := told(c.err, c.cause); got.Error() != c.want || !errors.Is(got, c.err) && !errors.Is(c.err, context.Canceled) {
			t.Errorf("%v because of %v: %q, want %q", c.err, c.cause, got, c.want)
		}
	}
}
