package web

import (
	"context"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// What somebody asks for is answered by the daemon when it has looked at the ledger and the channel, and made a backup where
// one comes before; that may take long. A person sees at once that it was heard: what he asked for stands on the page of
// everybody until the daemon answers.

// begun are the calls that are not answered yet.
type begun struct {
	mu  sync.Mutex
	all map[string]time.Time // by service: when it was asked for
}

// Limits on calls that go on after their request.
const (
	glance    = 60 * time.Millisecond // how long an answer is waited for before the page is shown without it
	mostBegun = 2 * time.Hour         // and how long a call may take
)

// since is when something was asked of a service that is not answered yet.
func (b *begun) since(service string) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := b.all[service]
	return at, ok
}

// take notes a call, unless one for the same service goes on.
func (b *begun) take(service string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.all[service]; ok {
		return false
	}
	if b.all == nil {
		b.all = map[string]time.Time{}
	}
	b.all[service] = now
	return true
}

func (b *begun) drop(service string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, service)
}

// begin asks the API for a change of a service.
func (v *visit) begin(service, to string, call func(ctx context.Context) (api.Accepted, error)) (answer, error) {
	name := v.called(service, "")
	return v.detach(service, to, v.say("updates.asked_already", name), func(ctx context.Context) (note, bool) {
		a, err := call(ctx)
		return v.unbegun(name, a, err)
	})
}

// detach does what may take long, and sends the visitor on. A browser that looks again by itself is sent on soon, and what came
// of it is told on the page after; any other waits for the answer. What is done already under that name is not done twice.
func (v *visit) detach(what, to, already string, work func(ctx context.Context) (note, bool)) (answer, error) {
	if !v.ui.begun.take(what, v.now) {
		v.ui.notes.add(v.me.CSRF, note{Tone: "ok", Text: already})
		return seeOther(to), nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.ctx()), mostBegun) // the visitor may leave
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		defer v.ui.begun.drop(what)
		if n, ok := work(ctx); ok {
			v.ui.notes.add(v.me.CSRF, n)
		}
	}()
	enough := v.ctx().Done()
	if v.r.Header.Get("HX-Request") != "" {
		soon, cancel := context.WithTimeout(v.ctx(), glance)
		defer cancel()
		enough = soon.Done()
	}
	select {
	case <-ended:
	case <-enough:
	}
	return seeOther(to), nil
}

// failed is a word about what went wrong.
func (v *visit) failed(err error) note {
	f := v.fail(err)
	return note{Tone: "bad", Text: f.What, Next: f.Next, Code: f.Code}
}

// unbegun is a word about what did not begin; ok is false when it did.
func (v *visit) unbegun(name string, a api.Accepted, err error) (note, bool) {
	if err != nil {
		return v.failed(err), true
	}
	if len(a.Changes) > 0 {
		return note{}, false
	}
	for _, s := range a.Skips {
		if s.Code != "up-to-date" {
			return note{Tone: "warn", Text: v.skipText(api.PlanService{Service: s.Service, Code: s.Code, Why: s.Why, To: s.To}, name), Next: v.say("updates.not_begun", name)}, true
		}
	}
	return note{Tone: "ok", Text: v.say("updates.nothing_newer", name)}, true
}
