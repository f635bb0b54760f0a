package web

import (
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
		"it came long ago":                  {{itself, 0, 1}, {asked, time.Minute, 0}},
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
