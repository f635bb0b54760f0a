package house

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// seed is CASTELLAN_SEED, or a new one; it is printed.
func seed(t testing.TB) *rand.Rand {
	n, err := strconv.ParseUint(os.Getenv("CASTELLAN_SEED"), 10, 64)
	if err != nil {
		n = uint64(time.Now().UnixNano())
	}
	t.Logf("to see this run again: CASTELLAN_SEED=%d", n)
	return rand.New(rand.NewPCG(n, n))
}

// TestThirtyKills kills the daemon at random moments of its first start, of updates that end well, of updates that end
// ill, and of rollbacks. Each time it must come to rest by itself, with exactly one generation running.
func TestThirtyKills(t *testing.T) {
	const firstStarts, kills = 6, 34
	dice := seed(t)
	w := newWorld(t)
	w.core("1.0.0")
	w.core("1.1.0")
	w.core("1.2.0", ill)
	w.image("lights", "1.0.0")
	w.release("1.0.0")
	h := newHouse(w, withLights)

	for range firstStarts {
		h.launch()
		pause := time.Duration(dice.IntN(700)) * time.Millisecond
		select {
		case <-h.daemon.done:
			t.Fatalf("the first start ends by itself after a kill in an earlier one:\n%s", h.daemon.tail())
		case <-time.After(pause): // the moment of the power cut
		}
		h.daemon.kill()
	}
	h.restart()
	h.soundness()
	h.runs(h.core, "1.0.0", "verified")

	most := h.watchGenerations(h.core)
	began := time.Now()
	h.change(0, "update", h.core, "--to", "1.1.0")
	whole := time.Since(began) // how long a change takes on this machine
	ended, hit := map[string]int{}, map[string]int{}
	for i := range kills - firstStarts {
		what := h.disturb(dice)
		pause := time.Duration(dice.Int64N(int64(whole)))
		<-time.After(pause) // the moment of the power cut
		hit[h.lastChange().State]++
		h.daemon.kill()
		h.restart()
		h.soundness()
		if v := h.service(h.core).Version; v == "1.2.0" {
			t.Errorf("an ill version runs at rest")
		}
		end := h.lastChange().State
		ended[end]++
		t.Logf("kill %d: %s, %s after it began: core %s, last change %s", i+1+firstStarts, what, pause.Round(time.Millisecond), h.service(h.core).Version, end)
		if t.Failed() {
			return
		}
	}
	t.Logf("a change takes %s; the kills came when the change was: %v; the changes ended: %v", whole, hit, ended)
	if cut := kills - firstStarts - hit["committed"] - hit["rolled-back"]; cut < (kills-firstStarts)/3 {
		t.Errorf("only %d kills came in the middle of a change", cut)
	}
	if n := most(); n != 1 {
		t.Errorf("%d generations of core ran at the same time", n)
	}
	h.daemon.kill()
	h.castellan("log", "verify", h.path("data", "log")).says(t, 0, "chain good")
}

// disturb begins something on core: a good update, an ill one, or a rollback.
func (h *house) disturb(dice *rand.Rand) string {
	h.t.Helper()
	ctx, s := context.Background(), h.service(h.core)
	if dice.IntN(4) == 0 && s.Previous != "" {
		if _, err := h.client.Rollback(ctx, h.core); err != nil {
			h.t.Fatal(err)
		}
		return "rollback from " + s.Version
	}
	to := "1.2.0"
	if dice.IntN(3) != 0 {
		if to = "1.1.0"; s.Version == to {
			to = "1.0.0"
		}
	}
	acc, err := h.client.Update(ctx, api.UpdateRequest{Service: h.core, Version: to})
	if err != nil || len(acc.Changes) != 1 {
		h.t.Fatalf("update to %s: %+v, %v", to, acc, err)
	}
	return "update from " + s.Version + " to " + to
}

// lastChange is the newest change.
func (h *house) lastChange() api.Change {
	h.t.Helper()
	list, err := h.client.Changes(context.Background())
	must(h.t, err)
	if len(list.Changes) == 0 {
		h.t.Fatal("there are no changes")
	}
	return list.Changes[0]
}

// watchGenerations looks all the time how many containers of a service run; the returned function ends that and tells
// the most that were seen at once.
func (h *house) watchGenerations(service string) (most func() int) {
	stop, out := make(chan struct{}), make(chan int, 1)
	go func() {
		seen := 0
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				out <- seen
				return
			case <-tick.C:
			}
			list, err := h.list()
			n := 0
			for _, c := range list {
				if err == nil && c.service() == service && c.running() {
					n++
				}
			}
			seen = max(seen, n)
		}
	}()
	return func() int { close(stop); return <-out }
}
