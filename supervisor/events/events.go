// Package events is the one hub through which the daemon tells what happens, and the streams of it: server-sent events
// for the web UI, the command line and add-ons. Topics and what they hold are Home Assistant's where it has them
// (reference/ha-compat.md §6), and ours beside them.
//
// What may go wrong, and what becomes of it. A subscriber reads slowly: of what has a key it gets the newest alone; if
// that is not enough, its stream ends with the reason, and it may come back. It never holds up who publishes. A stream
// breaks: the client says which event it saw last, and gets what came since, as long as that is held. It is held no
// more, or the daemon was restarted: the client is told to read everything anew, by an event "reset". A caller opens
// streams without end: they are bounded, for each and in all. The client's word about what it saw is hostile text.
//
// Nothing of it is on disk, and nothing may depend on an event: each says what changed, and reading that says the truth.
package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Topic is what an event is about, and its name on the stream.
type Topic string

// Topics. Their events' data are JSON objects.
const (
	Job              Topic = "job"               // a job without its tree
	Addon            Topic = "addon"             // AddonState
	SupervisorUpdate Topic = "supervisor_update" // Update
	IssueChanged     Topic = "issue_changed"     // an issue, with its suggestions
	IssueRemoved     Topic = "issue_removed"     // an issue
	HealthChanged    Topic = "health_changed"    // Health
	SupportedChanged Topic = "supported_changed" // Support
	StoreReloaded    Topic = "store_reloaded"    // Reloaded

	Change Topic = "change" // a change's new state, or its progress
	Plan   Topic = "plan"   // what would happen now
	Ledger Topic = "ledger" // how far a replica is
	Log    Topic = "log"    // a record of the verification log
	Engine Topic = "engine" // whether the engine answers
)

// topics are all that can be asked for, in the order of the list above.
var topics = []Topic{Job, Addon, SupervisorUpdate, IssueChanged, IssueRemoved, HealthChanged, SupportedChanged, StoreReloaded, Change, Plan, Ledger, Log, Engine}

// Names on the stream that are no topics: every stream may get them.
const (
	nameReset   = "reset"   // {"reason"}: events were missed; read everything anew
	nameDropped = "dropped" // {"reason"}: the stream ends here
)

// ParseTopics reads a list with commas, as a query gives it. An empty one is all topics.
func ParseTopics(list string) ([]Topic, error) {
	if list == "" {
		return nil, nil
	}
	var asked []Topic
	for name := range strings.SplitSeq(list, ",") {
		t := Topic(name)
		if !slices.Contains(topics, t) {
			return nil, fmt.Errorf("cannot stream topic %.40q: there is none of that name; the topics are %s", name, names())
		}
		if !slices.Contains(asked, t) {
			asked = append(asked, t)
		}
	}
	return asked, nil
}

func names() string {
	s := make([]string, len(topics))
	for i, t := range topics {
		s[i] = string(t)
	}
	return strings.Join(s, ", ")
}

// AddonState is an add-on's new state.
type AddonState struct {
	Slug  string `json:"slug"`
	State string `json:"state"` // startup, started, stopped, error, unknown
}

// Update tells that what is known of updates changed.
type Update struct {
	Key  string         `json:"update_key"` // core, supervisor, os, info, network
	Data map[string]any `json:"data"`
}

// Health tells whether the system is healthy.
type Health struct {
	Healthy bool     `json:"healthy"`
	Reasons []string `json:"unhealthy_reasons,omitempty"`
}

// Support tells whether the system is supported.
type Support struct {
	Supported bool     `json:"supported"`
	Reasons   []string `json:"unsupported_reasons,omitempty"`
}

// Reloaded tells which repositories were read anew.
type Reloaded struct {
	Repositories []string `json:"repositories"`
}

// About is what a subscriber may be chosen by.
type About struct {
	Topic Topic
	// Key names the thing whose newest event counts, such as a job's ID: an older one of the same topic and key that
	// was not read yet is left out. "" = each event counts.
	Key string
	// Owner is the add-on whose event it is; "" = the house's.
	Owner string
}

// Event is what is published. Data is made JSON once, for all subscribers.
type Event struct {
	About
	Data any
}

// Errors by what a caller does about them; those that are returned say more.
var (
	ErrTooMany = errors.New("too many event streams")      // 429: later
	ErrClosed  = errors.New("the daemon is stopping")      // 503: come back when it runs
	ErrSlow    = errors.New("the client reads too slowly") // why a stream ended
	ErrInvalid = errors.New("invalid event")               // a mistake of who publishes
)

// Bounds that no setting changes.
const (
	mostData = 64 << 10 // bytes of an event's JSON
	mostKey  = 256      // bytes of a key and of an owner
)

// Config is what a hub is made of. Zero values are the defaults.
type Config struct {
	Keep      int // events kept for those that come back; 1024
	KeepBytes int // of their JSON; 1 MiB

	Pending      int // events a subscriber may lag behind; 256
	PendingBytes int // of their JSON; 1 MiB

	Streams     int // at a time, in all; 256
	StreamsEach int // of one caller, who never has more than are left to all others; 16

	Heartbeat time.Duration // between signs of life on a silent stream; 25 s
	Stuck     time.Duration // in which a client must take what it is sent; 20 s
	Retry     time.Duration // after which a client comes back; 3 s
}

func (c Config) withDefaults() Config {
	for _, n := range []struct {
		set   *int
		value int
	}{{&c.Keep, 1024}, {&c.KeepBytes, 1 << 20}, {&c.Pending, 256}, {&c.PendingBytes, 1 << 20}, {&c.Streams, 256}, {&c.StreamsEach, 16}} {
		if *n.set == 0 {
			*n.set = n.value
		}
	}
	for _, d := range []struct {
		set   *time.Duration
		value time.Duration
	}{{&c.Heartbeat, 25 * time.Second}, {&c.Stuck, 20 * time.Second}, {&c.Retry, 3 * time.Second}} {
		if *d.set == 0 {
			*d.set = d.value
		}
	}
	return c
}

// encode makes an event's JSON, checked.
func encode(e Event) (json.RawMessage, error) {
	if !slices.Contains(topics, e.Topic) {
		return nil, fmt.Errorf("cannot publish %.40q: %w: there is no topic of that name", e.Topic, ErrInvalid)
	}
	data, err := json.Marshal(e.Data)
	if err != nil {
		return nil, fmt.Errorf("cannot publish %s %.40q: %w: %w", e.Topic, e.Key, ErrInvalid, err)
	}
	if len(data) > mostData || len(e.Key) > mostKey || len(e.Owner) > mostKey {
		return nil, fmt.Errorf("cannot publish %s %.40q: %w: %d bytes of data, at most %d; key and owner at most %d", e.Topic, e.Key, ErrInvalid, len(data), mostData, mostKey)
	}
	return data, nil
}
