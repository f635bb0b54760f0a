package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestProgressIsHonest(t *testing.T) {
	type job = *Job
	for _, c := range []struct {
		name string
		do   func(ctx context.Context, j job)
		want float64
	}{
		{"nothing known, nothing said", func(_ context.Context, j job) { j.SetDone("a", 50) }, 0},
		{"bytes over all parts", func(_ context.Context, j job) {
			j.SetParts(map[string]int64{"a": 900, "b": 100})
			j.SetDone("b", 100)
		}, 10},
		{"one decimal, never more than there is", func(_ context.Context, j job) { j.SetBytes(666, 1000_0); j.SetBytes(6669, 1000_00) }, 6.6},
		{"not all before the end", func(_ context.Context, j job) { j.SetBytes(10, 10) }, 99},
		{"more than there is counts as all", func(_ context.Context, j job) {
			j.SetParts(map[string]int64{"a": 50, "b": 50})
			j.SetDone("a", 1<<62)
		}, 50},
		{"it does not fall", func(_ context.Context, j job) { j.SetBytes(59, 100); j.SetBytes(20, 100); j.SetBytes(59, 1000) }, 59},
		{"empty and negative parts count nothing", func(_ context.Context, j job) {
			j.SetParts(map[string]int64{"a": 0, "b": -5, "c": 10})
			j.SetDone("c", 5)
			j.SetDone("c", -5)
		}, 50},
		{"a part that is smaller than was said", func(_ context.Context, j job) {
			j.SetParts(map[string]int64{"a": 100, "b": 900})
			j.SetDone("a", 100)
			j.SetParts(map[string]int64{"a": 50})
			j.SetDone("b", 400)
		}, 47.3},
		{"children by their share", func(ctx context.Context, j job) {
			_ = j.Child(ctx, Spec{Share: 0.8}, lasting(0))
			_ = j.Child(ctx, Spec{Share: 0.2}, func(_ context.Context, c job) error { c.SetBytes(50, 100); return errors.New("x") })
		}, 90},
		{"beside bytes of its own", func(ctx context.Context, j job) {
			_ = j.Child(ctx, Spec{Share: 0.5}, lasting(0))
			j.SetBytes(50, 100)
		}, 75},
		{"of children's children", func(ctx context.Context, j job) {
			_ = j.Child(ctx, Spec{Share: 0.5}, func(ctx context.Context, c job) error {
				return c.Child(ctx, Spec{Share: 0.5, Internal: true}, lasting(0))
			})
		}, 50},
		{"children of too large shares", func(ctx context.Context, j job) {
			_ = j.Child(ctx, Spec{Share: 7}, lasting(0))
			_ = j.Child(ctx, Spec{Share: 1}, func(context.Context, job) error { return errors.New("x") })
		}, 99},
		{"children without a share", func(ctx context.Context, j job) { _ = j.Child(ctx, Spec{}, lasting(0)) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, Config{}, func(h *house) {
				var got, after float64
				id := h.start(Spec{}, func(ctx context.Context, j *Job) error {
					c.do(ctx, j)
					v, err := h.Get(j.ID())
					got = float64(v.Progress)
					return err
				})
				if after = float64(h.get(id).Progress); got != c.want || after != 100 {
					t.Errorf("%v %%, then %v %%; want %v %%, then 100 %%", got, after, c.want)
				}
			})
		})
	}
}

func TestProgressOnlyRises(t *testing.T) {
	type step struct {
		do    int
		part  string
		bytes int64
		share float64
	}
	steps := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) step {
		return step{rapid.IntRange(0, 2).Draw(r, "do"), fmt.Sprint(rapid.IntRange(0, 3).Draw(r, "part")), rapid.Int64().Draw(r, "bytes"), rapid.Float64().Draw(r, "share")}
	}), 1, 40)
	rapid.Check(t, func(r *rapid.T) {
		all := steps.Draw(r, "steps")
		m := New(t.Context(), Config{})
		_, err := m.Run(t.Context(), Spec{Accepted: true}, func(ctx context.Context, j *Job) error {
			last := Percent(0)
			for _, s := range all {
				switch s.do {
				case 0:
					j.SetParts(map[string]int64{s.part: s.bytes})
				case 1:
					j.SetDone(s.part, s.bytes)
				case 2:
					_ = j.Child(ctx, Spec{Share: s.share}, func(_ context.Context, c *Job) error { c.SetBytes(s.bytes, s.bytes); return nil })
				}
				v, err := m.Get(j.ID())
				if err != nil || v.Progress < last || v.Progress > 99 {
					return fmt.Errorf("%v %% after %v %%: %v", v.Progress, last, err)
				}
				last = v.Progress
			}
			return nil
		})
		if err != nil {
			r.Fatal(err)
		}
	})
}

func TestAtMostFourReportsASecond(t *testing.T) {
	in(t, Config{}, func(h *house) {
		var at []time.Duration
		began := time.Now()
		heard := h.cfg.Observe
		h.cfg.Observe = func(e Event) { heard(e); at = append(at, time.Since(began)) }
		id := h.start(Spec{}, func(_ context.Context, j *Job) error {
			for i := range int64(1000) {
				time.Sleep(2 * time.Millisecond)
				j.SetBytes(i, 1000)
				j.SetStage(fmt.Sprint(i / 500))
			}
			time.Sleep(time.Second)
			j.SetStage("last")
			return nil
		})
		h.pass(time.Minute)
		for i := 1; i < len(at)-1; i++ {
			if at[i]-at[i-1] < pace {
				t.Errorf("report %d came %v after the one before", i, at[i]-at[i-1])
			}
		}
		last, before := h.heard[len(h.heard)-1], h.heard[len(h.heard)-3]
		if !*last.Done || last.Progress != 100 || *last.Stage != "last" || last.UUID != id || *h.heard[0].Done || before.Progress != 99 || len(at) < 9 || len(at) > 12 {
			t.Errorf("%d reports: first %+v, before the last %+v, last %+v", len(at), h.heard[0], before, last)
		}
	})
}

func TestAParentHearsOfWholePercents(t *testing.T) {
	in(t, Config{}, func(h *house) {
		h.start(Spec{}, func(ctx context.Context, j *Job) error {
			return j.Child(ctx, Spec{Share: 1}, func(_ context.Context, c *Job) error {
				for i := range int64(30) {
					c.SetBytes(i, 1000)
					time.Sleep(time.Second)
				}
				return nil
			})
		})
		h.pass(time.Minute)
		var of []float64
		for _, e := range h.heard {
			if e.Parent == nil {
				of = append(of, float64(e.Progress))
			}
		}
		if want := []float64{0, 1, 2, 99, 100}; !slices.Equal(of, want) {
			t.Errorf("reports of the parent: %v, want %v", of, want)
		}
	})
}

func TestJSONIsHomeAssistants(t *testing.T) {
	in(t, Config{Describe: func(err error) Error {
		key := "k"
		return Error{Type: "AddonsError", Message: err.Error(), Key: &key, Fields: map[string]any{"app": 1}}
	}}, func(h *house) {
		id := strings.Repeat("0a", 16)
		if err := h.Adopt(id, time.Unix(1, 5000), Spec{Name: "addon_manager_update", Reference: "radio", Extra: map[string]any{"n": 1}}, func(ctx context.Context, j *Job) error {
			j.SetStage("Downloading")
			j.SetBytes(5, 40)
			j.Capture(errors.New("slow"))
			_ = j.Child(ctx, Spec{Name: "one"}, lasting(0))
			return j.Child(ctx, Spec{Name: "two"}, func(context.Context, *Job) error {
				return fmt.Errorf("cannot: %w", &Error{Type: "HassioError", Message: "x"})
			})
		}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		v := h.get(id)
		for i := range v.Children {
			v.Children[i].UUID, v.Children[i].Created = "u", "c"
		}
		got, err := json.Marshal(v)
		want := `{"name":"addon_manager_update","reference":"radio","uuid":"` + id + `","progress":12.5,"stage":"Downloading","done":true,"created":"1970-01-01T00:00:01.000005+00:00","errors":[` +
			`{"type":"AddonsError","message":"slow","stage":"Downloading","error_key":"k","extra_fields":{"app":1}},` +
			`{"type":"HassioError","message":"cannot: x","stage":"Downloading","error_key":null,"extra_fields":null}],"extra":{"current":5,"n":1,"total":40},"child_jobs":[` +
			`{"name":"one","reference":null,"uuid":"u","progress":100.0,"stage":null,"done":true,"created":"c","errors":[],"extra":null,"child_jobs":[]},` +
			`{"name":"two","reference":null,"uuid":"u","progress":0.0,"stage":null,"done":true,"created":"c","errors":[{"type":"HassioError","message":"cannot: x","stage":null,"error_key":null,"extra_fields":null}],"extra":null,"child_jobs":[]}]}`
		if err != nil || string(got) != want {
			t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
		}
		event, err := json.Marshal(h.heard[1])
		if want := `"extra":null,"parent_id":"` + id + `"}`; err != nil || !strings.HasSuffix(string(event), want) || strings.Contains(string(event), "child_jobs") || h.heard[1].RootAbout != "radio" {
			t.Errorf("event %s %v, want it to end %s", event, err, want)
		}
	})
}

func TestChildrenAndGroups(t *testing.T) {
	in(t, Config{}, func(h *house) {
		hidden := h.start(Spec{}, func(ctx context.Context, j *Job) error {
			return j.Child(ctx, Spec{Internal: true}, func(ctx context.Context, c *Job) error { return c.Child(ctx, Spec{}, lasting(0)) })
		})
		if n := len(h.get(hidden).Children); n != 0 || len(h.all) != 1 || len(h.heard) != 2 {
			t.Errorf("an internal child shows: %d children, %d known, %d reports", n, len(h.all), len(h.heard))
		}
		backup := h.start(Spec{Group: "backup_manager"}, lasting(time.Minute))
		id := h.start(Spec{Group: "app_radio"}, func(ctx context.Context, j *Job) error {
			if err := j.Child(ctx, Spec{Name: "own", Group: "app_radio"}, lasting(0)); err != nil {
				t.Errorf("the group of its parent: %v", err)
			}
			var busy *BusyError
			if err := j.Child(ctx, Spec{Name: "backup", Group: "backup_manager"}, lasting(0)); !errors.As(err, &busy) {
				t.Errorf("a taken group: %v", err)
			}
			time.Sleep(2 * time.Minute)
			if err := j.Child(ctx, Spec{Name: "backup", Group: "backup_manager"}, func(context.Context, *Job) error {
				_, err := h.Run(h.ctx, Spec{Group: "backup_manager"}, lasting(0))
				if !errors.As(err, &busy) {
					t.Errorf("a group that a child holds: %v", err)
				}
				panic("x")
			}); err == nil || !strings.Contains(err.Error(), "internal error in backup") {
				t.Errorf("a child that panicked: %v", err)
			}
			return nil
		})
		h.pass(time.Hour)
		if v := h.get(id); len(v.Children) != 2 || state(v) != "done" || state(h.get(backup)) != "done" || len(h.groups) != 0 {
			t.Errorf("%d children, %s, groups %v", len(v.Children), state(v), h.groups)
		}
		if err := h.Cancel(h.get(id).Children[0].UUID); err != nil {
			t.Errorf("cancel of what is over: %v", err)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var last sync.Map
	m := New(ctx, Config{Keep: 10, Observe: func(e Event) {
		if p, ok := last.Swap(e.UUID, e.Progress); ok && p.(Percent) > e.Progress {
			t.Errorf("job %s fell from %v to %v", e.UUID, p, e.Progress)
		}
	}})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			o, _ := m.Run(ctx, Spec{Group: fmt.Sprint(i % 5), Queue: i%2 == 0, Background: i%3 == 0, Cancel: true}, func(ctx context.Context, j *Job) error {
				j.Accepted()
				j.SetParts(map[string]int64{"a": 100, "b": 100})
				var parts sync.WaitGroup
				for _, p := range []string{"a", "b"} {
					parts.Go(func() {
						_ = j.Child(ctx, Spec{Share: 0.3}, func(context.Context, *Job) error {
							for n := range int64(100) {
								j.SetDone(p, n)
							}
							return nil
						})
					})
				}
				parts.Wait()
				return nil
			})
			_ = m.Cancel(o.ID)
			m.List()
			_ = m.Delete(o.ID)
		})
	}
	wg.Wait()
	stop()
	if err := m.Wait(t.Context()); err != nil || m.open != 0 || m.waiting != 0 || len(m.groups) != 0 || len(m.roots) > 10 {
		t.Errorf("%v; left over: %d open, %d waiting, groups %v, %d kept", err, m.open, m.waiting, m.groups, len(m.roots))
	}
}
