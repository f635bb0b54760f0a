package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/events"
	"github.com/castellan/castellan/supervisor/jobs"
	"github.com/castellan/castellan/trust/audit"
)

// Bounds of streams. Local users are few and open one each; a test, a dashboard or a support tool many. Who has many leaves as
// many to others, see [events.Config].
const (
	mostStreams     = 512
	mostStreamsEach = 256
)

// news tells those who listen what happens in the house. It waits for nobody, says what did not change only once, and
// nothing depends on it. A nil one tells nobody.
type news struct {
	hub *events.Hub
	log *slog.Logger

	mu       sync.Mutex
	said     map[string][]byte // by topic and key: what was said last
	verdicts map[string]uint64 // since the start, by outcome
	addons   map[string]bool   // slugs that are to be looked at
	all      bool              // every add-on is
	kick     chan struct{}     // holds a token while one is
}

func newNews(ctx context.Context, log *slog.Logger) *news {
	return &news{hub: events.New(ctx, events.Config{Streams: mostStreams, StreamsEach: mostStreamsEach}), log: log,
		said: map[string][]byte{}, verdicts: map[string]uint64{}, addons: map[string]bool{}, kick: make(chan struct{}, 1)}
}

func (n *news) tell(topic events.Topic, key, owner string, data any) {
	if n == nil {
		return
	}
	if err := n.hub.Publish(events.Event{About: events.About{Topic: topic, Key: key, Owner: owner}, Data: data}); err != nil {
		n.log.Error("cannot tell of an event", "error", err)
	}
}

// fresh tells whether what is to be said of a key is new.
func (n *news) fresh(topic events.Topic, key string, what any) bool {
	b, err := json.Marshal(what)
	if err != nil { // our own types; tell says it
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	at := string(topic) + " " + key
	if bytes.Equal(n.said[at], b) {
		return false
	}
	n.said[at] = b
	return true
}

// job is told of each job that moves.
func (n *news) job(e jobs.Event) {
	owner := ""
	if strings.HasPrefix(e.Name, "addon_") {
		owner = e.RootAbout
	}
	n.tell(events.Job, e.UUID, owner, e)
}

// logEvent is a record of the verification log as streams have it.
type logEvent struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Service string    `json:"service"`
	Summary string    `json:"summary"`
}

// record is told of each record that is on disk.
func (n *news) record(r audit.Record) {
	if n == nil {
		return
	}
	if r.Kind == audit.KindVerdict {
		var p audit.VerdictPayload
		if json.Unmarshal(r.Payload, &p) == nil {
			n.mu.Lock()
			n.verdicts[string(p.Verdict.Outcome)]++
			n.mu.Unlock()
		}
	}
	v := view(r, noNames)
	n.tell(events.Log, "", "", logEvent{v.Seq, v.Time, v.Kind, v.Service, v.Summary})
}

// counts are the verdicts by outcome.
func (n *news) counts() map[string]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.verdicts)
}
