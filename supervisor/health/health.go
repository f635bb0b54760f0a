// Package health decides whether a service that was just started is well: it runs the checks of its health gate
// until each has passed n times in a row, or until a deadline, or until the container dies.
//
// The service under probation is not trusted: answers are read up to a limit, redirects to other hosts are not
// followed, no try outlives its timeout. Text that comes from it is cut and quoted before it enters an error.
package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
)

// Defaults for zero fields of [spec.Health] and [spec.Check].
const (
	DefaultDeadline  = 2 * time.Minute
	DefaultSettle    = 10 * time.Second
	DefaultPeriod    = time.Second
	DefaultTimeout   = 3 * time.Second
	DefaultSuccesses = 3
)

// statePeriod is how often the container's own state is looked at; parallelTries bounds the tries under way.
const (
	statePeriod   = 500 * time.Millisecond
	parallelTries = 4
)

// State is the container as the engine reports it.
type State struct {
	Running   bool
	ExitCode  int
	OOMKilled bool
	Restarts  int
	Health    string // the image's own HEALTHCHECK: "", "starting", "healthy", "unhealthy"
}

// Target is a container on probation. Its functions may be called at the same time.
type Target struct {
	// IP is the container's address, for checks that name no host; "" means the host's loopback (host network).
	IP string
	// State looks the container up. An error means that nothing is known: it is neither a pass nor a failure.
	State func(ctx context.Context) (State, error)
	// Exec runs a command inside the container.
	Exec func(ctx context.Context, command []string) (exit int, output []byte, err error)
}

// Result is one try of one check.
type Result struct {
	Check  string
	Err    error  // nil when it passed
	Note   string // what a pass could not look at, "" = nothing
	Passes int    // in a row, with this one
	Needed int
}

// DeadError says that the container did not live through its probation.
type DeadError struct {
	State State
	After time.Duration // since probation began
}

func (e *DeadError) Error() string {
	after := e.After.Round(100 * time.Millisecond)
	switch {
	case e.State.OOMKilled:
		return fmt.Sprintf("it was killed for want of memory after %s (exit code %d)", after, e.State.ExitCode)
	case e.State.Running:
		return fmt.Sprintf("it restarted by itself within %s (%d restarts)", after, e.State.Restarts)
	default:
		return fmt.Sprintf("it stopped with exit code %d after %s", e.State.ExitCode, after)
	}
}

// CheckError says that a check had not passed often enough when the deadline came.
type CheckError struct {
	Check         string
	Failed, Tries int
	Within        time.Duration
	Last          error // of the last failed try, nil when none failed
}

func (e *CheckError) Error() string {
	if e.Last == nil {
		return fmt.Sprintf("check %q had passed only %d times when its %s were over", e.Check, e.Tries, e.Within)
	}
	return fmt.Sprintf("check %q failed %d of %d times in %s (last: %v)", e.Check, e.Failed, e.Tries, e.Within, e.Last)
}

func (e *CheckError) Unwrap() error { return e.Last }

// Run holds t to h: nil when every check has passed as often in a row as it needs, or, without checks, when the
// container ran for h.Settle. A [spec.CoreCheck] may move the deadline, up to [MaxDeadline], while Core answers that it
// starts or migrates its database. Run fails with [*DeadError] as soon as the container stops, restarts or runs out of
// memory, with [*CheckError] at the deadline, and with ctx's error when that ends first. observe, which may be nil,
// is told of each try, one at a time.
func Run(ctx context.Context, t Target, h spec.Health, observe func(Result)) error {
	err := run(ctx, t, h, observe)
	var dead *DeadError
	if h.Ends && errors.As(err, &dead) && !dead.State.Running && !dead.State.OOMKilled && dead.State.ExitCode == 0 {
		return nil
	}
	return err
}

func run(ctx context.Context, t Target, h spec.Health, observe func(Result)) error {
	deadline := or(h.Deadline, DefaultDeadline)
	if len(h.Checks) == 0 {
		deadline = or(h.Settle, DefaultSettle)
	}
	inner, clock := start(ctx, deadline)
	defer clock.stop()

	var (
		wg    sync.WaitGroup
		mu    sync.Mutex // observe
		tries = make(chan struct{}, parallelTries)
		ends  = make(chan error, len(h.Checks)+1) // one from each check, nil = passed; one from watch if it died
	)
	defer wg.Wait() // after stop: nothing of the probation outlives it
	defer clock.stop()
	wg.Go(func() {
		if err := watch(inner, t, clock); err != nil {
			ends <- err
		}
	})
	for _, c := range h.Checks {
		wg.Go(func() {
			ends <- repeat(inner, t, c, clock, tries, func(r Result) {
				mu.Lock()
				defer mu.Unlock()
				if observe != nil {
					observe(r)
				}
			})
		})
	}
	var err error
	if len(h.Checks) == 0 {
		select {
		case err = <-ends:
		case <-inner.Done(): // it lived as long as it had to
		}
	}
	for left := len(h.Checks); left > 0 && err == nil; left-- {
		err = <-ends
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// The last pass may be older than a death, and a check that failed may have failed because of one.
	if dead := lives(ctx, t, clock.began); dead != nil && (err == nil || errors.As(dead, new(*DeadError))) {
		return dead
	}
	return err
}

// lives looks once more at the end.
func lives(ctx context.Context, t Target, began time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	s, err := t.State(ctx)
	if err != nil {
		return fmt.Errorf("cannot see whether it still runs: %w", err)
	}
	if !s.Running || s.OOMKilled {
		return &DeadError{State: s, After: time.Since(began)}
	}
	return nil
}

// watch returns when the container dies; nil when ctx ends first.
func watch(ctx context.Context, t Target, clock *clock) error {
	restarts := -1
	for {
		if s, err := t.State(ctx); err == nil { // an engine that does not answer says nothing about the container
			if restarts < 0 {
				restarts = s.Restarts
			}
			if !s.Running || s.OOMKilled || s.Restarts > restarts {
				return &DeadError{State: s, After: time.Since(clock.began)}
			}
		}
		if !clock.sleep(ctx, statePeriod) {
			return nil
		}
	}
}

// repeat tries c until it passed often enough; a [*CheckError] when ctx ends first.
func repeat(ctx context.Context, t Target, c spec.Check, clock *clock, slots chan struct{}, observe func(Result)) error {
	need := or(c.Successes, DefaultSuccesses)
	sum := CheckError{Check: c.Name}
	over := func() error {
		sum.Within = clock.within()
		return &sum
	}
	try := prober(c)
	for passes := 0; ; {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return over()
		}
		tryCtx, cancel := context.WithTimeout(ctx, or(c.Timeout, DefaultTimeout))
		note, err := try(tryCtx, t)
		cancel()
		<-slots
		if ctx.Err() != nil && err != nil {
			return over() // the deadline cut this try off: it says nothing
		}
		var wants *waiting
		if c.Core != nil {
			errors.As(err, &wants)
			clock.grant(wants)
		}
		sum.Tries++
		if passes++; err != nil {
			passes, sum.Last = 0, err
			sum.Failed++
		}
		observe(Result{Check: c.Name, Err: err, Note: note, Passes: passes, Needed: need})
		if passes >= need {
			return nil
		}
		if !clock.sleep(ctx, or(c.Period, DefaultPeriod)) {
			return over()
		}
	}
}

func or[T int | time.Duration](v, zero T) T {
	if v <= 0 {
		return zero
	}
	return v
}
