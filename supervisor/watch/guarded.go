package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor"
)

// guarded is what a watchdog knows of a service.
type guarded struct {
	container string
	started   time.Time // of the run that since is about, by the engine's clock
	since     time.Time // when that run was first seen
	well      time.Time // since when nothing is wrong with it
	due       time.Time // when it is tried next; zero = nothing is wrong
	tries     int
	tried     time.Time // when last
	failed    string    // why that one failed, "" = it ran
	gaveUp    bool      // although it runs

	probed time.Time
	misses int    // in a row
	miss   string // why the last one
}

// once looks at all services and begins what is due. It says how long until the next look, at most.
func (w *Watchdog) once(ctx context.Context, wg *sync.WaitGroup) (next time.Duration, err error) {
	w.mu.Lock()
	away, turn := w.away, w.turn
	w.mu.Unlock()
	if away || !w.house.Risen() {
		return lookEvery, nil
	}
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	list, err := w.engine.List(limited, "")
	if errors.Is(err, supervisor.ErrEngineAway) {
		w.interrupted(func() {}) // its events say so soon
		return lookEvery, nil
	}
	if err != nil {
		return lookEvery, fmt.Errorf("cannot list the containers: %w", err)
	}
	all, err := w.house.Services() // after the list: what an owner stopped since is seen stopped
	if err != nil {
		return lookEvery, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn != turn {
		return lookGap, nil // the engine went or came meanwhile: the list is of before
	}
	next = lookEvery
	seen := map[string]bool{}
	for _, s := range all {
		if !s.Service.Tended || !s.Service.Watchdog || s.Current == nil || s.Stopped != "" || s.Open != "" || s.Held {
			continue
		}
		i := slices.IndexFunc(list, func(k supervisor.Container) bool { return k.ID == s.Current.Container })
		if i < 0 {
			continue // the supervisor makes it anew, by a change
		}
		seen[s.Service.Name] = true
		if d := w.judge(ctx, wg, s, list[i]); d < next {
			next = d
		}
	}
	for name := range w.guarded {
		if !seen[name] {
			delete(w.guarded, name)
		}
	}
	return max(next, lookGap), nil
}

// judge looks at one service, begins what is due for it, and says when it must be looked at again. Callers hold mu.
func (w *Watchdog) judge(ctx context.Context, wg *sync.WaitGroup, s supervisor.Status, k supervisor.Container) time.Duration {
	name, now := s.Service.Name, time.Now()
	g := w.guarded[name]
	if g == nil {
		g = &guarded{}
		w.guarded[name] = g
	}
	if g.container != k.ID || k.Running && !g.started.Equal(k.Started) {
		if g.gaveUp {
			g.gaveUp, g.tries = false, 0 // somebody else took it in hand
		}
		g.container, g.started, g.since, g.well = k.ID, k.Started, now, now
		g.probed, g.misses = time.Time{}, 0
	}
	why := g.trouble(k)
	switch {
	case w.trying[name]:
		return lookEvery // its end asks for a look
	case s.Trouble != "":
		g.due, g.well = time.Time{}, now
		return lookEvery // it never started; the supervisor tries that again
	case why == "":
		g.due = time.Time{}
		if k.Health == "starting" {
			g.well = now // nobody knows
		}
		if now.Sub(g.well) >= forgetAfter {
			g.tries, g.gaveUp = 0, false
		}
		return w.ask(ctx, wg, s, k, g)
	}
	g.well = now
	if g.gaveUp && k.Running {
		return w.ask(ctx, wg, s, k, g) // it may answer again
	}
	if g.due.IsZero() {
		g.due = now.Add(lastPause)
		if g.tries < mostTries {
			g.due = now.Add(firstPause << g.tries)
		}
	}
	if left := g.due.Sub(now); left > 0 {
		return min(left, w.ask(ctx, wg, s, k, g))
	}
	switch {
	case g.tries < mostTries && len(w.trying) >= parallel:
		// the end of another asks for a look
	case g.tries < mostTries:
		w.restart(ctx, wg, s, g, why)
	case !k.Running:
		w.giveUp(ctx, wg, name, g, k.ExitCode)
	default:
		g.gaveUp, g.due = true, time.Time{}
		w.log.WarnContext(ctx, "the watchdog gave up and leaves a service as it is", "service", name, "tries", g.tries, "why", why)
	}
	return lookEvery
}

// trouble says what is wrong with a service that must run, "" when nothing is.
func (g *guarded) trouble(k supervisor.Container) string {
	switch {
	case !k.Running:
		return fmt.Sprintf("it ended with exit code %d", k.ExitCode)
	case k.Health == "unhealthy":
		return "it is unhealthy by its image's own health check"
	case g.misses >= mostMisses:
		return fmt.Sprintf("it did not answer %d times in a row (last: %s)", g.misses, g.miss)
	}
	return ""
}

// restart makes a try. Callers hold mu.
func (w *Watchdog) restart(ctx context.Context, wg *sync.WaitGroup, s supervisor.Status, g *guarded, why string) {
	name, turn := s.Service.Name, w.turn
	why = fmt.Sprintf("%s; try %d of %d of its watchdog", why, g.tries+1, mostTries)
	w.try(ctx, wg, name, restartLimit+s.Service.Container.StopTimeout, func(ctx context.Context) {
		err := w.house.Restart(ctx, name, why)
		busy := (*supervisor.BusyError)(nil)
		w.mu.Lock()
		defer w.mu.Unlock()
		g.due, g.misses = time.Time{}, 0
		if w.turn != turn || errors.Is(err, supervisor.ErrEngineAway) || errors.Is(err, supervisor.ErrStopped) || errors.As(err, &busy) {
			return // it is looked at anew, as if nothing had been tried
		}
		g.tries++
		g.tried, g.failed = time.Now(), ""
		if err != nil {
			g.failed = err.Error()
			w.log.WarnContext(ctx, "the watchdog could not restart a service", "service", name, "try", g.tries, "error", err)
		}
	})
}

// giveUp ends the tries. Callers hold mu.
func (w *Watchdog) giveUp(ctx context.Context, wg *sync.WaitGroup, name string, g *guarded, exit int) {
	why := fmt.Sprintf("its watchdog gave up after %d tries; it last ended with exit code %d", g.tries, exit)
	if g.failed != "" {
		why = fmt.Sprintf("its watchdog gave up after %d tries; the last one failed: %.300s", g.tries, g.failed)
	}
	w.try(ctx, wg, name, restartLimit, func(ctx context.Context) {
		err := w.house.Ended(ctx, name, why)
		w.mu.Lock()
		defer w.mu.Unlock()
		g.due = time.Time{}
		if err != nil {
			w.log.WarnContext(ctx, "the watchdog could not give a service up", "service", name, "error", err)
			return
		}
		g.tries = 0 // whoever starts it again starts anew
	})
}

// try does something with a service beside the looks, in bounded time. Callers hold mu.
func (w *Watchdog) try(ctx context.Context, wg *sync.WaitGroup, name string, limit time.Duration, do func(context.Context)) {
	w.trying[name] = true
	wg.Go(func() {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		do(limited)
		w.mu.Lock()
		delete(w.trying, name)
		w.mu.Unlock()
		w.look()
	})
}
