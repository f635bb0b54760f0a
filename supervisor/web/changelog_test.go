package web

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// TestNewsBetweenVersions takes the way between two versions out of a changelog, a real one too.
func TestNewsBetweenVersions(t *testing.T) {
	text := "# Changelog\n\n## [2.0.0] - 2026-03-01\n### Breaking changes\n- The port moved\n\n## v1.2.0\n- Add a lamp\n\n## 1.1.1\n- Fix a crash\n- Update base image\n\n## 1.1\n- Update base image\n\n## 1.0\n- First"
	for _, c := range []struct {
		from, to, kind string
		has, not       string
	}{
		{"1.2.0", "2.0.0", "breaking", "The port moved", "Add a lamp"},
		{"1.0", "1.2.0", "features", "Fix a crash", "The port moved"},
		{"1.1", "1.1.1", "fixes", "Fix a crash", "First"},
		{"1.0", "1.1", "", "Update base image", "Fix a crash"},
		{"", "1.0", "", "First", "Fix a crash"},
	} {
		n := between(markdown(text, 2), c.from, c.to)
		said := words(n.Blocks)
		if first := n.Blocks[0]; first.Kind != "heading" || first.Level != underNews+1 {
			t.Errorf("%s to %s begins with %+v", c.from, c.to, first)
		}
		if n.Kind != c.kind || n.Whole || !strings.Contains(said, c.has) || strings.Contains(said, c.not) {
			t.Errorf("%s to %s: %q, whole %v: %s", c.from, c.to, n.Kind, n.Whole, said)
		}
	}
	if n := between(markdown("# News\n\nBetter.", 2), "1", "2"); !n.Whole || n.Kind != "" {
		t.Errorf("a changelog without versions: %+v", n)
	}
	b, err := os.ReadFile("testdata/changelog_ssh.md")
	if err != nil {
		t.Fatal(err)
	}
	all := markdown(string(b), 2)
	if n := between(all, "9.16.0", "9.17.0"); n.Whole || len(n.Blocks) == 0 || len(n.Blocks) > 8 {
		t.Errorf("the way from 9.16.0 to 9.17.0 has %d blocks of %d, whole %v", len(n.Blocks), len(all), n.Whole)
	}
}

func words(blocks []mdBlock) (out string) {
	for _, b := range blocks {
		out += b.Plain() + "\n"
		for _, i := range b.Items {
			out += words(i)
		}
	}
	return out
}

// TestVerdictsDrawn: columns lie within the drawing, and one refusal among thousands can be seen.
func TestVerdictsDrawn(t *testing.T) {
	c := drawVerdicts([]api.LogDay{{Day: "2026-01-01", Allowed: 5000, Refused: 1}, {Day: "2026-01-02"}, {Day: "no day", Allowed: 9}, {Day: "2026-01-03", Allowed: 1, Unsigned: 1, Forced: 1, Deferred: 1, Refused: 1}})
	if len(c.Days) != 3 || c.Most != 5001 || c.Sum("refused") != 2 || c.Sum("good") != 5003 {
		t.Fatalf("%+v", c)
	}
	for _, d := range c.Days {
		for _, p := range d.Parts {
			if p.H < chartLeast || p.Y < 0 || p.Y+p.H > chartHeight {
				t.Errorf("%s %s lies from %d, %d high", d.Day, p.Kind, p.Y, p.H)
			}
		}
	}
}

// TestNotesStayWhileThePageIsReadAnew: a word that was just said is not taken away by an event, and is not said twice.
func TestNotesStayWhileThePageIsReadAnew(t *testing.T) {
	var n notes
	now := time.Now()
	n.add("s", note{Text: "done"})
	for _, c := range []struct {
		again bool
		after time.Duration
		want  int
	}{{false, 0, 1}, {true, time.Second, 1}, {true, noteStays + time.Second, 0}} {
		if got := n.take("s", c.again, now.Add(c.after)); len(got) != c.want {
			t.Errorf("after %s: %d, want %d", c.after, len(got), c.want)
		}
	}
	n.add("s", note{Text: "done"})
	n.take("s", false, now)
	if got := n.take("s", false, now.Add(time.Second)); len(got) != 0 {
		t.Error("the next page says it again")
	}
	if len(n.all) != 0 {
		t.Error("what was said is kept")
	}
}
