package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Stream is how a subscription goes over HTTP.
type Stream struct {
	Want
	// Render makes of a message what the client is sent instead of JSON, under a name of its own, such as a piece of
	// HTML. False leaves the message out. nil = JSON. "reset" comes as it is.
	Render func(*Message) (name string, data []byte, ok bool)
}

// ServeSSE answers a request with a stream of events (WHATWG HTML §9.2) until the client leaves, reads too slowly, or the
// daemon stops. What the client saw last is in header Last-Event-ID, or in query parameter last_event_id for clients
// that cannot set headers.
//
// When it has not begun, nothing was written and the caller answers the error: [ErrTooMany], [ErrClosed]. Else the error
// says why the stream ended, and the answer is complete.
func (h *Hub) ServeSSE(w http.ResponseWriter, r *http.Request, st Stream) (began bool, err error) {
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = r.URL.Query().Get("last_event_id")
	}
	s, err := h.Subscribe(st.Want, last)
	if err != nil {
		return false, err
	}
	defer s.Close()
	c := http.NewResponseController(w)
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx would hold events back
	o := &out{w: w, c: c, stuck: h.cfg.Stuck, render: st.Render}
	if err := c.Flush(); errors.Is(err, http.ErrNotSupported) {
		return false, fmt.Errorf("cannot stream events over %s: the answer is held back: %w", r.Proto, err)
	}
	first := "retry: " + strconv.FormatInt(h.cfg.Retry.Milliseconds(), 10) + "\n\n"
	if last == "" {
		first += mark(s.joined) // a client that is cut off before the first event has seen this
	}
	if err := o.send([]byte(first), nil); err != nil {
		return true, err
	}
	return true, h.feed(r.Context(), s, o)
}

// feed sends until something ends it.
func (h *Hub) feed(ctx context.Context, s *Subscriber, o *out) error {
	beat := time.NewTimer(h.cfg.Heartbeat)
	defer beat.Stop()
	for {
		silent := false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.news:
		case <-beat.C:
			silent = true
		}
		list, at, err := s.take()
		switch {
		case errors.Is(err, ErrClosed):
			return err // the client comes back by itself
		case err != nil:
			_ = o.send(notice(nameDropped, "", err.Error()).frame, nil) // it may be past reading
			return err
		case len(list) == 0 && !silent:
			continue // they went with the ones before
		case len(list) == 0:
			// A sign of life. Its ID is that of the newest event, whoever's: so that one who sees few of them still can
			// come back after many.
			err = o.send([]byte(": \n"+mark(at)), nil)
		default:
			err = o.send(nil, list)
		}
		if err != nil {
			return err
		}
		beat.Reset(h.cfg.Heartbeat)
	}
}

// out is the way to the client. Each send must get through in time.
type out struct {
	w      http.ResponseWriter
	c      *http.ResponseController
	stuck  time.Duration
	render func(*Message) (string, []byte, bool)
}

func (o *out) send(first []byte, list []*Message) error {
	if err := o.c.SetWriteDeadline(time.Now().Add(o.stuck)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("cannot send events: %w", err)
	}
	_, err := o.w.Write(first)
	for _, m := range list {
		if err != nil {
			break
		}
		_, err = o.w.Write(o.frame(m))
	}
	if err == nil {
		err = o.c.Flush()
	}
	if err != nil {
		return fmt.Errorf("cannot send events: %w", err)
	}
	_ = o.c.SetWriteDeadline(time.Time{}) // over HTTP/2 an idle stream would be cut by it; of a writer without, see above
	return nil
}

func (o *out) frame(m *Message) []byte {
	if o.render == nil || m.Topic == "" {
		return m.frame
	}
	name, data, ok := o.render(m)
	if !ok {
		return []byte(mark(m.ID))
	}
	return frame(m.ID, name, data)
}

// mark sets the ID that the client comes back with, without an event.
func mark(id string) string { return "id: " + id + "\n\n" }

// frame is an event on the stream. Lines of the data become lines of the frame; a name loses what would end its line.
func frame(id, name string, data []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(id) + len(name) + len(data) + 32)
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	b.WriteString("event: ")
	for _, c := range []byte(name) {
		if c >= ' ' {
			b.WriteByte(c)
		}
	}
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		b.WriteString("\ndata: ")
		b.Write(line)
	}
	b.WriteString("\n\n")
	return b.Bytes()
}
