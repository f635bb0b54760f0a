package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/jobs"
)

// Two changes at once: one downloads 1 MiB a second, one turns round after 2 s.
func downloads() func(context.Context, string) (api.Change, error) {
	began := time.Now()
	return func(_ context.Context, id string) (api.Change, error) {
		s := int64(time.Since(began) / time.Second)
		c := api.Change{ID: id, Service: id, To: "2", State: "pulling"}
		switch {
		case id == "core":
			c.Bytes, c.Total = min(s, 60)<<20, 60<<20
			if s >= 60 {
				c.State, c.Done, c.Good = "committed", true, true
			}
		case s >= 2:
			c.State, c.Done, c.Why = "rolled-back", true, "it is ill"
		default:
			c.Trouble = "no room\x1b[2J"
		}
		return c, nil
	}
}

func TestProgressShowsEachChangeAndTheTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		ended, err := followAll(t.Context(), downloads(), []string{"core", "radio"}, &out, &screen{w: &out, width: 80})
		if err != nil || len(ended) != 2 || !ended[0].Good || ended[1].Good {
			t.Fatalf("%v, %+v", err, ended)
		}
		text := out.String()
		for _, want := range []string{
			"core 2: pulling\nradio 2: pulling\n  it is tried again: no room",       // stages, as they come
			"  core 2 [........................] 0 B of 60.0 MiB\n",                 // no rate is known yet, so none is told
			"  core 2 [############............] 30.0 MiB of 60.0 MiB, 30 s left\n", // measured
			"radio 2: rolled-back\n", // above the bar of the other one
			"core 2: committed\n",    // and the bar is gone
			"  core 2 [#.......................] 4.0 MiB of 60.0 MiB, ", "\x1b[1A\x1b[Jcore 2: committed", // drawn over
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in %q", want, text[:min(len(text), 3000)])
			}
		}
		if strings.Contains(text, "%") || strings.Contains(text, "\x1b[2J") {
			t.Error("a percentage, or an escape code of somebody else, is shown")
		}
	})
}

func TestProgressElsewhereIsALineAStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		if _, err := followAll(t.Context(), downloads(), []string{"core", "radio"}, &out, newScreen(&out)); err != nil {
			t.Fatal(err)
		}
		want := "core 2: pulling\nradio 2: pulling\n  it is tried again: no room[2J\nradio 2: rolled-back\ncore 2: committed\n"
		if out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}

func TestRate(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	for _, c := range []struct {
		name string
		seen []sample
		want string
	}{
		{"nothing seen", nil, "-"},
		{"too early", []sample{{at(0), 0}, {at(1), 10}}, "-"},
		{"stands still", []sample{{at(0), 50}, {at(9), 50}}, "-"},
		{"measured", []sample{{at(0), 0}, {at(5), 50}}, "5 s"},
		{"slower of late", []sample{{at(0), 0}, {at(1), 80}, {at(11), 80}, {at(21), 90}}, "10 s"},
		{"begun anew", []sample{{at(0), 90}, {at(5), 0}, {at(9), 1}}, "7 min"},
		{"hours", []sample{{at(0), 0}, {at(5000), 10}}, "13 h"},
	} {
		var r rate
		for _, s := range c.seen {
			r.add(s.at, s.bytes)
		}
		got := "-"
		if left, ok := r.left(100); ok {
			got = wait(left)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// A narrow terminal has no room for a bar, and no line is wrapped: a line too much would be left behind.
func TestProgressOnANarrowTerminal(t *testing.T) {
	var out bytes.Buffer
	s := &screen{w: &out, width: 30}
	var r rate
	s.draw("", []string{r.bar(strings.Repeat("x", 40), 1, 2, s.width)})
	if line := strings.TrimSuffix(out.String(), "\n"); len(line) > 29 || strings.Contains(line, "[") {
		t.Errorf("%q", line)
	}
}

// A backup of two parts, of which each second another MiB is read.
func copying() func(context.Context, string) (api.JobView, error) {
	began := time.Now()
	return func(_ context.Context, id string) (api.JobView, error) {
		n := time.Since(began) / time.Second
		yes, no, stage, one, two := true, false, "addons", "core_x", "share\x1b[2J"
		part := func(ref *string, done *bool) api.JobView {
			return api.JobView{Fields: jobs.Fields{UUID: *ref, Reference: ref, Done: done}}
		}
		j := api.JobView{Fields: jobs.Fields{Name: "backup_manager_full_backup", UUID: id, Stage: &stage, Done: &no, Extra: map[string]any{"current": float64(n << 20), "total": float64(60 << 20)}},
			Children: []api.JobView{part(&one, &no)}}
		if n >= 20 {
			stage = "folders"
			j.Children = []api.JobView{part(&one, &yes), part(&two, &no)}
		}
		if n >= 60 {
			j.Done, j.Reference, j.Extra["notes"] = &yes, &one, []any{"x: left out"}
		}
		return j, nil
	}
}

func TestProgressOfAJobShowsItsPartsAndBytes(t *testing.T) {
	said := func(j api.JobView) string {
		if *j.Done {
			return ""
		}
		return jobWord(j) + " " + partOf(j)
	}
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		j, err := followJob(t.Context(), copying(), "j1", said, &out, &screen{w: &out, width: 80})
		if err != nil || !*j.Done || strings.Join(notesIn(j), "") != "x: left out" {
			t.Fatalf("%+v, %v", j, err)
		}
		for _, want := range []string{"addons core_x\n  core_x [........................] 0 B of 60.0 MiB\n", "folders share[2J\n  share[2J [########................] 20.0 MiB of 60.0 MiB, 40 s left\n"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is missing in %q", want, out.String()[:min(len(out.String()), 3000)])
			}
		}
		if !strings.HasSuffix(out.String(), "\x1b[1A\x1b[J") || strings.Contains(out.String(), "\x1b[2J") {
			t.Error("the bar stays, or an escape code of somebody else is shown")
		}
		out.Reset()
		if _, err := followJob(t.Context(), copying(), "j1", said, &out, nil); err != nil || out.String() != "addons core_x\nfolders share[2J\n" {
			t.Errorf("elsewhere: %q, %v", out.String(), err)
		}
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, err := followJob(ctx, copying(), "j1", said, &out, nil); err == nil || !strings.Contains(err.Error(), "it goes on as job j1") {
			t.Errorf("who stopped watching is told %v", err)
		}
	})
}
