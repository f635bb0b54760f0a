package audit

import (
	"encoding/json"
	"sync"
	"testing"
)

// TestWhoObservesHearsWhatIsOnDisk holds what was told against what is read back, heads included.
func TestWhoObservesHearsWhatIsOnDisk(t *testing.T) {
	var told []Record
	l, _ := newLog(t, Options{OnRecord: func(r Record) { told = append(told, r) }})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range 5 {
				if _, err := l.Append(t.Context(), KindAction, map[string]int{"n": n}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var kept []Record
	for r, err := range l.Records(Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, r)
	}
	if err := l.Close(); err != nil { // the flusher has ended
		t.Fatal(err)
	}
	a, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	if len(told) < 41 || string(a) != string(b) {
		t.Errorf("told of %d records, %d are kept:\n%s\n%s", len(told), len(kept), a, b)
	}
}
