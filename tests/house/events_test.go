package house

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

// listener reads a stream of events until the test ends, or the daemon ends it.
type listener struct {
	mu   sync.Mutex
	got  []client.Event
	done chan struct{}
}

func (h *house) listen(last string, topics ...string) *listener {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	h.t.Cleanup(cancel)
	list, err := h.client.Events(ctx, topics, last)
	must(h.t, err)
	l := &listener{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for e, err := range list {
			if err != nil {
				return
			}
			l.mu.Lock()
			l.got = append(l.got, e)
			l.mu.Unlock()
		}
	}()
	return l
}

// hears waits for an event whose data hold all words, and gives it.
func (h *house) hears(l *listener, name string, words ...string) (found client.Event) {
	h.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		for _, e := range l.got {
			ok := e.Name == name
			for _, w := range words {
				ok = ok && strings.Contains(string(e.Data), w)
			}
			if ok {
				l.mu.Unlock()
				return e
			}
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.got {
		h.t.Logf("%s %s %.200s", e.ID, e.Name, e.Data)
	}
	h.t.Fatalf("no event %s with %q", name, words)
	return found
}

// TestEventsAndJobsOfAWholeUpdate listens to a daemon through an update, a stop and a restart.
func TestEventsAndJobsOfAWholeUpdate(t *testing.T) {
	w := newWorld(t)
	w.core("2026.11.1")
	w.release("2026.11.1")
	h := newHouse(w)
	h.begin()
	l := h.listen("")
	w.core("2026.11.2")
	w.release("2026.11.2")
	c := h.change(0, "update", h.core)
	for _, words := range [][]string{
		{"change", `"id":"` + c.ID + `"`, `"state":"committed"`},
		{"job", `"name":"home_assistant_core_update"`, `"done":true`, `"progress":100.0`, c.ID},
		{"log", `"kind":"verdict"`, "2026.11.2"},
		{"ledger", `"state":"fresh"`},
	} {
		h.hears(l, words[0], words[1:]...)
	}
	var list api.JobsInfo
	h.castellan("job", "list", "--json").decode(t, &list)
	if len(list.Jobs) == 0 || list.Jobs[0].Name != "home_assistant_core_update" || list.Jobs[0].Done == nil || !*list.Jobs[0].Done {
		t.Fatalf("jobs: %+v", list)
	}
	seen := h.hears(l, "change", c.ID)
	h.hears(h.listen(seen.ID, "change", "log"), "log", "committed") // what came after
	id := list.Jobs[0].UUID

	if took, code := h.daemon.stop(t); took > 5*time.Second || code != 0 {
		t.Errorf("under an open stream the daemon took %s to stop, exit code %d", took, code)
	}
	<-l.done
	h.restart()
	h.hears(h.listen(seen.ID), "reset", "restarted")
	a := h.castellan("job", "show", id, "--json") // from what is kept of the change
	a.says(t, 0)
	var j api.JobView
	a.decode(t, &j)
	if j.UUID != id || j.Name != "home_assistant_core_update" || len(j.Errors) != 0 || float64(j.Progress) != 100 {
		b, _ := json.Marshal(j)
		t.Errorf("after the restart the job is %s", b)
	}
}
