package web

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestNotes: what a form did is told to who pressed it, once, whatever reads itself anew meanwhile.
func TestNotes(t *testing.T) {
	const asked, itself = false, true
	for name, steps := range map[string][]struct {
		again bool
		after time.Duration
		want  int
	}{
		"once":                              {{asked, 0, 1}, {asked, 1, 0}},
		"stays on a page that reads itself": {{asked, 0, 1}, {itself, 2 * time.Second, 1}, {itself, 9 * time.Second, 1}, {itself, 9 * time.Second, 0}},
		"another tab was faster":            {{itself, 0, 1}, {asked, time.Second, 1}, {asked, time.Second, 0}},
		"it was busy with something else":   {{itself, 0, 1}, {itself, time.Minute, 0}, {asked, time.Minute, 1}, {itself, 10 * time.Second, 1}},
		"it came long ago":                  {{itself, 0, 1}, {asked, 6 * time.Minute, 0}},
	} {
		var n notes
		now := time.Now()
		n.add("anna", note{Text: "done"})
		for i, s := range steps {
			now = now.Add(s.after)
			if got := len(n.take("anna", s.again, now)); got != s.want {
				t.Errorf("%s: at step %d there are %d notes, want %d", name, i, got, s.want)
			}
			if len(n.take("ben", s.again, now)) != 0 {
				t.Error("somebody else is told")
			}
		}
	}
}

// TestTooManyNotes: the newest is never the one that is lost, and nobody's notes go because somebody else has many.
func TestTooManyNotes(t *testing.T) {
	var n notes
	n.add("anna", note{Tone: "bad", Text: "first"})
	for i := range 3 {
		n.add("anna", note{Tone: "ok", Text: fmt.Sprint("good ", i)})
	}
	for i := range 3 {
		n.add("anna", note{Tone: "bad", Text: fmt.Sprint("bad ", i)})
	}
	var told []string
	for _, one := range n.take("anna", false, time.Now()) {
		told = append(told, one.Text)
	}
	if got := strings.Join(told, ", "); got != "first, bad 0, bad 1, bad 2" {
		t.Errorf("she is told %s", got)
	}
	for i := range mostNotes {
		n.add(fmt.Sprint("session ", i), note{Text: "one"})
	}
	n.add("session 0", note{Text: "two"})
	n.add("ben", note{Text: "last"})
	if len(n.all) != mostNotes || len(n.all["session 0"]) != 2 || len(n.all["session 1"]) != 0 || len(n.all["ben"]) != 1 {
		t.Errorf("%d sessions, of the first %d, of the second %d, of the last %d", len(n.all), len(n.all["session 0"]), len(n.all["session 1"]), len(n.all["ben"]))
	}
}
