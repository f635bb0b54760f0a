package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestAJobIsBounded(t *testing.T) {
	in(t, Config{Log: slog.New(slog.DiscardHandler)}, func(h *house) {
		long := strings.Repeat("ä", mostExtra)
		id := h.start(Spec{Name: long, Reference: long, Extra: map[string]any{"x": long}}, func(ctx context.Context, j *Job) error {
			j.SetStage(long)
			if err := j.SetExtra(map[string]any{"x": long}); err == nil {
				t.Error("a large extra was taken")
			}
			parts := map[string]int64{}
			for i := range 2 * mostParts {
				parts[fmt.Sprint(i)] = 1 << 62
			}
			j.SetParts(parts)
			for range 2 * mostChildren {
				_ = j.Child(ctx, Spec{Name: long}, func(context.Context, *Job) error {
					return &Error{Type: long, Message: long, Fields: map[string]any{"x": long}}
				})
			}
			return nil
		})
		v := h.get(id)
		if len(v.Name) > mostName || len(*v.Reference) > mostName || len(*v.Stage) > mostName || len(v.Children) != mostChildren || len(h.all) != mostChildren+1 ||
			v.Extra["x"] != nil || len(h.roots[0].parts) != mostParts || v.Progress != 100 {
			t.Errorf("%d children, %d known, extra %v, %v %%", len(v.Children), len(h.all), v.Extra, v.Progress)
		}
		var errs []Error
		for _, c := range v.Children {
			errs = append(errs, c.Errors...)
		}
		if last := errs[len(errs)-1]; len(errs) != mostErrors || len(last.Message) > mostText || last.Fields != nil || !strings.HasSuffix(last.Message, "further errors of this job are not kept") {
			t.Errorf("%d errors", len(errs))
		}
	})
}

func TestOthersMistakesEndNothing(t *testing.T) {
	var log strings.Builder
	m := New(t.Context(), Config{
		Observe:  func(Event) { panic("observer") },
		Describe: func(error) Error { panic("describer") },
		Log:      slog.New(slog.NewTextHandler(&log, nil)),
	})
	var job *Job
	o, err := m.Run(t.Context(), Spec{Name: "n"}, func(_ context.Context, j *Job) error {
		job = j
		j.Accepted()
		j.Accepted()
		j.Capture(nil)
		return errors.New("x")
	})
	if v, _ := m.Get(o.ID); err == nil || state(v) != "failed: unknown error; the daemon's log says more" {
		t.Errorf("%v, job %s", err, state(v))
	}
	for _, who := range []string{"observer", "describer"} {
		if !strings.Contains(log.String(), who) {
			t.Errorf("the log does not say that the %s panicked: %s", who, log.String())
		}
	}
	job.SetStage("late")
	job.SetBytes(1, 2)
	job.Accepted()
	job.Answer("late")
	if err := job.Child(t.Context(), Spec{Name: "late"}, lasting(0)); err == nil || job.Commit() {
		t.Errorf("a job that is over has a child (%v), or could commit", err)
	}
	if v, _ := m.Get(o.ID); v.Stage != nil || v.Progress != 0 || len(v.Children) != 0 || job.answer != nil {
		t.Errorf("a job changed after its end: %+v", v)
	}
	if _, ok := From(t.Context()); ok {
		t.Error("a context without a job holds one")
	}
}
