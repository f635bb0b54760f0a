package engine

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
)

// Kind says what an [Event] is about.
type Kind string

// Kinds of events. Connected and Away are the connection's; the others are Docker's own words.
const (
	Connected Kind = "connected" // from here on nothing is missed; what happened before must be listed
	Away      Kind = "away"      // the engine cannot be reached; said once until Connected
	Started   Kind = "start"
	Died      Kind = "die"
	OOM       Kind = "oom"
	Health    Kind = "health_status"
	Destroyed Kind = "destroy"
)

// Event is a hint that something changed. It may be late or come twice: look at the container, then act.
type Event struct {
	Kind      Kind
	Time      time.Time
	Container string // ID; "" for Connected and Away, as are the fields below
	Name      string
	Service   string
	Change    string
	ExitCode  int    // of Died
	Health    string // of Health: "healthy" or "unhealthy"
	Err       error  // of Away
}

const (
	eventOverlap  = time.Second      // events this old are asked for again at every connection
	eventPing     = 30 * time.Second // how often a silent connection is checked
	eventRetry    = time.Second      // first pause before connecting again; doubles up to eventRetryMax
	eventRetryMax = 30 * time.Second
)

// Events reports on this appliance's containers until ctx ends; then the channel is closed. A lost connection is made
// again, for ever. The receiver must keep up or the engine's events wait.
func (e *Engine) Events(ctx context.Context) <-chan Event {
	out := make(chan Event, 64)
	send := func(ev Event) {
		select {
		case out <- ev:
		case <-ctx.Done():
		}
	}
	go func() {
		defer close(out)
		away, pause := false, eventRetry
		for ctx.Err() == nil {
			err := e.watch(ctx, func(ev Event) {
				away, pause = false, eventRetry
				send(ev)
			})
			if !away {
				away = true
				send(Event{Kind: Away, Time: time.Now(), Err: err})
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, eventRetryMax)
		}
	}()
	return out
}

// watch is one connection's worth of Events.
func (e *Engine) watch(ctx context.Context, send func(Event)) error {
	const never = 100000 * time.Hour // the pings are the ceiling
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := e.call(ctx, never, "watch the engine's events", func(ctx context.Context, cli *client.Client) error {
		go e.pingWhile(ctx, cli, cancel)
		args := filters.NewArgs(filters.Arg("type", "container"), filters.Arg("label", supervisor.LabelHouse+"="+e.cfg.House))
		for _, k := range []Kind{Started, Died, OOM, Health, Destroyed} {
			args.Add("event", string(k))
		}
		// The engine answers a moment before it subscribes; the overlap closes that gap.
		since := strconv.FormatInt(time.Now().Add(-eventOverlap).Unix(), 10)
		messages, errs := cli.Events(ctx, events.ListOptions{Since: since, Filters: args})
		// The SDK reports a refusal a moment after it returns; a ping leaves it the time, and shows that answers come.
		if _, err := cli.Ping(ctx); err != nil {
			return err
		}
		select {
		case err := <-errs:
			return err
		default:
		}
		send(Event{Kind: Connected, Time: time.Now()})
		for {
			select {
			case err := <-errs:
				return err
			case m := <-messages:
				send(eventOf(m))
			}
		}
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// pingWhile ends a connection whose engine stopped answering: the stream itself just stays silent.
func (e *Engine) pingWhile(ctx context.Context, cli *client.Client, give context.CancelCauseFunc) {
	tick := time.NewTicker(min(eventPing, e.cfg.CallTimeout))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := e.call(ctx, e.cfg.CallTimeout, "reach the engine", func(ctx context.Context, _ *client.Client) error {
			_, err := cli.Ping(ctx)
			return err
		})
		if err != nil {
			give(err)
			return
		}
	}
}

func eventOf(m events.Message) Event {
	kind, detail, _ := strings.Cut(string(m.Action), ": ") // "health_status: healthy"
	ev := Event{
		Kind: Kind(kind), Time: time.Unix(0, m.TimeNano), Container: m.Actor.ID,
		Name: m.Actor.Attributes["name"], Service: m.Actor.Attributes[supervisor.LabelService],
		Change: m.Actor.Attributes[supervisor.LabelChange], Health: detail,
	}
	ev.ExitCode, _ = strconv.Atoi(m.Actor.Attributes["exitCode"]) // 0 for all but Died
	return ev
}
