package api_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
	"github.com/castellan/castellan/supervisor/events"
	"github.com/castellan/castellan/supervisor/jobs"
)

// wired is a stage behind a unix socket, as the daemon is.
type wired struct {
	*stage
	socket string
	stop   func() // as the daemon stops
}

func newWired(t *testing.T) wired {
	t.Helper()
	s := newStage(t)
	s.furnish()
	ctx, end := context.WithCancel(context.Background())
	s.events = events.New(ctx, events.Config{Streams: 512, StreamsEach: 256})
	s.jobs = jobs.New(ctx, jobs.Config{Describe: api.JobError, Observe: func(e jobs.Event) {
		if err := s.events.Publish(events.Event{About: events.About{Topic: events.Job, Key: e.UUID}, Data: e}); err != nil {
			t.Error(err)
		}
	}})
	s.srv = api.New(api.Config{Backend: s.house, Home: residence{s.house, s.guests}, Guests: s.guests, Registry: s.reg, Jobs: s.jobs, Events: s.events, Log: slog.New(slog.DiscardHandler)})
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	serving, cut := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.srv.Serve(serving, l) }()
	stop := sync.OnceFunc(func() {
		end() // streams first
		cut()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return wired{s, socket, stop}
}

// until reads a stream until an event is as wanted, and gives it.
func until(t *testing.T, ctx context.Context, w wired, topics []string, last string, begun func(), want func(client.Event) bool) (got client.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := client.New(w.socket).Events(ctx, topics, last)
	if err != nil {
		t.Fatal(err)
	}
	begun()
	for e, err := range list {
		if err != nil {
			t.Fatal(err)
		}
		if want(e) {
			return e
		}
	}
	t.Fatal("the event did not come")
	return got
}

func named(name, holds string) func(client.Event) bool {
	return func(e client.Event) bool { return e.Name == name && strings.Contains(string(e.Data), holds) }
}

// TestAChangeReachesAStreamAndOneThatComesBack goes over the socket: what a change does is told, who was away gets what he
// missed, and who was away while the daemon restarted is told to read everything anew.
func TestAChangeReachesAStreamAndOneThatComesBack(t *testing.T) {
	w := newWired(t)
	c := api.Change{ID: "c1", Service: "radio", Kind: "update", State: "pulling", From: "1", To: "2", Total: 100}
	first := until(t, t.Context(), w, []string{"change"}, "", func() { w.srv.Moved(c, false) }, named("change", `"state":"pulling"`))
	c.State, c.Done, c.Good = "committed", true, true
	w.srv.Moved(c, false)
	missed := until(t, t.Context(), w, []string{"change", "job"}, first.ID, func() {}, named("change", `"state":"committed"`))
	ended := until(t, t.Context(), w, []string{"job"}, first.ID, func() {}, named("job", `"done":true`))
	if missed.ID == first.ID || !strings.Contains(string(ended.Data), `"name":"service_update"`) {
		t.Errorf("missed %+v, job %+v", missed, ended)
	}
	again := newWired(t)
	until(t, t.Context(), again, nil, missed.ID, func() {}, named("reset", "restarted"))
	var refused *api.Error
	if _, err := client.New(w.socket).Events(t.Context(), []string{"jobs"}, ""); !errors.As(err, &refused) || refused.Status != 400 {
		t.Errorf("a topic that is none: %v", err)
	}
}

// TestTwoHundredStreams: each gets the event; those that leave are gone; the daemon's stop ends the rest at once.
func TestTwoHundredStreams(t *testing.T) {
	w := newWired(t)
	conns := make([]net.Conn, 200)
	for i := range conns {
		c, err := net.Dial("unix", w.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("GET /castellan/events?topics=change HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		conns[i] = c
	}
	readers := make([]*bufio.Reader, len(conns))
	read := func(i int, holds string) {
		t.Helper()
		for {
			line, err := readers[i].ReadString('\n')
			if err != nil {
				t.Fatalf("stream %d: %v, before %q", i, err, holds)
			}
			if strings.Contains(line, holds) {
				return
			}
		}
	}
	for i, c := range conns {
		readers[i] = bufio.NewReader(c)
		read(i, "retry: ") // it has begun
	}
	if n := w.events.Streams(); n != 200 {
		t.Fatalf("%d streams", n)
	}
	w.srv.Moved(api.Change{ID: "c1", Service: "radio", Kind: "update", State: "pulling"}, false)
	for i := range conns {
		read(i, `"state":"pulling"`)
	}
	for _, c := range conns[:150] {
		_ = c.Close()
	}
	for end := time.Now().Add(10 * time.Second); w.events.Streams() != 50; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d streams after 150 of 200 left", w.events.Streams())
		}
	}
	began := time.Now()
	w.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("open streams held the server up for %s", took)
	}
}

// TestStreamsAreBounded: one too many is told so, and nothing is written before that.
func TestStreamsAreBounded(t *testing.T) {
	s := newStage(t)
	hub := events.New(t.Context(), events.Config{Streams: 1})
	s.srv = api.New(api.Config{Backend: s.house, Events: hub, Log: slog.New(slog.DiscardHandler)})
	sub, err := hub.Subscribe(events.Want{Caller: "another"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if rec := send(s.by(api.Viewer), "GET", "/castellan/events", "", ""); rec.Code != http.StatusTooManyRequests || !strings.Contains(rec.Body.String(), `"error_key":"too_many_streams"`) {
		t.Errorf("%d %s", rec.Code, rec.Body.String())
	}
}
