package watch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/health"
	"github.com/castellan/castellan/supervisor/spec"
)

// ask probes a running service when its time has come, beside the looks, and says when it must be looked at again for
// that. Callers hold mu.
func (w *Watchdog) ask(ctx context.Context, wg *sync.WaitGroup, s supervisor.Status, k supervisor.Container, g *guarded) time.Duration {
	name := s.Service.Name
	checks := slices.DeleteFunc(slices.Clone(s.Service.Health.Checks), func(c spec.Check) bool { return !health.Probeable(c) })
	if !k.Running || len(checks) == 0 || w.probing[name] {
		return lookEvery
	}
	now := time.Now()
	from := g.since.Add(probeAfter)
	if again := g.probed.Add(probeEvery); again.After(from) {
		from = again
	}
	if left := from.Sub(now); left > 0 {
		return left
	}
	if len(w.probing) >= parallel {
		return lookEvery // the end of another asks for a look
	}
	g.probed, w.probing[name] = now, true
	turn, run := w.turn, g.started
	wg.Go(func() {
		err := w.probes(ctx, health.Target{IP: k.IP}, checks)
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.probing, name)
		w.look()
		if ctx.Err() != nil || w.turn != turn || w.guarded[name] != g || !g.started.Equal(run) || w.trying[name] {
			return // it was about something that is not any more
		}
		if err == nil {
			g.misses = 0
			return
		}
		g.misses, g.miss, g.well = g.misses+1, err.Error(), time.Now()
		w.log.DebugContext(ctx, "a service does not answer its watchdog", "service", name, "misses", g.misses, "error", err)
	})
	return lookEvery
}

// probes runs the checks one after the other, until one fails.
func (w *Watchdog) probes(ctx context.Context, t health.Target, checks []spec.Check) error {
	for _, c := range checks {
		limited, cancel := context.WithTimeout(ctx, probeLimit)
		err := w.probe(limited, t, c)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
