package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/castellan/castellan/supervisor/events"
)

// eventRoutes tell what happens, as it happens.
var eventRoutes = []route{
	{"GET", "/castellan/events", Viewer, never, "What happens, as server-sent events. With Last-Event-ID, or last_event_id, it goes on after that one; " +
		"event \"reset\" says that some were missed.", stream("text/event-stream", (*Server).getEvents)},
	{"GET", "/castellan/metrics", Viewer, never, "Figures in the text format of Prometheus.", raw(mediaMetrics, (*Server).getMetrics)},
}

type eventsIn struct {
	Topics string `query:"topics"`        // with commas; none = all
	Last   string `query:"last_event_id"` // for who cannot set a header
}

func (s *Server) getEvents(_ context.Context, c Caller, in eventsIn) (streamAnswer, error) {
	topics, err := events.ParseTopics(in.Topics)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	want := events.Want{Caller: c.sharer(), Topics: topics}
	return func(w http.ResponseWriter, r *http.Request) error {
		began, err := s.cfg.Events.ServeSSE(w, r, events.Stream{Want: want})
		switch {
		case began: // the client has seen why it ended, or has left
			return nil
		case errors.Is(err, events.ErrTooMany):
			return &Error{Status: http.StatusTooManyRequests, Key: "too_many_streams", Message: err.Error(), Next: "close one of them"}
		case errors.Is(err, events.ErrClosed):
			return &Error{Status: http.StatusServiceUnavailable, Key: "stopping", Message: err.Error(), Next: "systemctl status castellan"}
		}
		return err
	}, nil
}

// streamAnswer writes an answer itself. An error comes before anything was written.
type streamAnswer func(w http.ResponseWriter, r *http.Request) error

// stream makes an endpoint that writes its answer itself, for as long as it takes.
func stream[In any](media string, do func(*Server, context.Context, Caller, In) (streamAnswer, error)) endpoint {
	e := call(do)
	e.out, e.media, e.long = nil, media, true
	return e
}
