package events

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Hub takes events and hands them to those who want and may have them. Its methods may be called at the same time.
type Hub struct {
	cfg   Config
	ctx   context.Context
	epoch string

	mu      sync.Mutex
	seq     uint64 // of the newest event
	floor   uint64 // newest event that is held no more and was no older one of a key
	kept    ring
	subs    map[*Subscriber]struct{}
	callers map[string]int
}

// New makes a hub whose streams end with ctx.
func New(ctx context.Context, cfg Config) *Hub {
	h := &Hub{cfg: cfg.withDefaults(), ctx: ctx, epoch: newEpoch(), subs: map[*Subscriber]struct{}{}, callers: map[string]int{}}
	h.kept.most, h.kept.mostBytes = h.cfg.Keep, h.cfg.KeepBytes
	context.AfterFunc(ctx, func() { h.end(func(*Subscriber) bool { return true }, ErrClosed) })
	return h
}

// Publish hands an event to all that want it. It waits for none of them. An error is a mistake in the event.
func (h *Hub) Publish(e Event) error {
	data, err := encode(e)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	m := &Message{About: e.About, ID: id{h.epoch, h.seq}.String(), Name: string(e.Topic), Data: data, seq: h.seq}
	m.frame = frame(m.ID, m.Name, m.Data)
	h.kept.add(m)
	for h.kept.over() {
		h.floor = max(h.floor, h.kept.evict().seq)
	}
	for s := range h.subs {
		if s.wants(m.About) && !s.offer(m) {
			h.drop(s, ErrSlow)
		}
	}
	return nil
}

// AddonState tells of an add-on's new state, the add-on itself too.
func (h *Hub) AddonState(s AddonState) error {
	return h.Publish(Event{About{Addon, s.Slug, s.Slug}, s})
}

// Update tells that what is known of updates changed.
func (h *Hub) Update(u Update) error {
	if u.Data == nil {
		u.Data = map[string]any{}
	}
	return h.Publish(Event{About{SupervisorUpdate, u.Key, ""}, u})
}

// Health tells whether the system is healthy.
func (h *Hub) Health(s Health) error { return h.Publish(Event{About{HealthChanged, "health", ""}, s}) }

// Support tells whether the system is supported.
func (h *Hub) Support(s Support) error {
	return h.Publish(Event{About{SupportedChanged, "supported", ""}, s})
}

// Reloaded tells which repositories were read anew.
func (h *Hub) Reloaded(r Reloaded) error {
	r.Repositories = append([]string{}, r.Repositories...) // never null
	return h.Publish(Event{About{StoreReloaded, "", ""}, r})
}

// Evict ends all streams of a caller, such as one whose token was taken away.
func (h *Hub) Evict(caller, reason string) {
	h.end(func(s *Subscriber) bool { return s.caller == caller }, fmt.Errorf("access ended: %s", reason))
}

// Newest is the ID of the newest event: a stream that goes on from it misses nothing that happens from now on.
func (h *Hub) Newest() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return id{h.epoch, h.seq}.String()
}

// Streams is how many there are.
func (h *Hub) Streams() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

func (h *Hub) end(which func(*Subscriber) bool, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		if which(s) {
			h.drop(s, why)
		}
	}
}

// drop ends a subscription. The caller holds mu.
func (h *Hub) drop(s *Subscriber, why error) {
	if _, ok := h.subs[s]; !ok {
		return
	}
	delete(h.subs, s)
	if h.callers[s.caller]--; h.callers[s.caller] == 0 {
		delete(h.callers, s.caller)
	}
	s.why = why
	s.pending.take()
	s.poke()
}

// join lets a subscriber in, with what it missed since the event it saw last; "" is a new one.
func (h *Hub) join(s *Subscriber, last string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.ctx.Err() != nil:
		return ErrClosed
	case len(h.subs) >= h.cfg.Streams:
		return fmt.Errorf("%w: %d are open; close one, or come back later", ErrTooMany, len(h.subs))
	case h.callers[s.caller] >= min(h.cfg.StreamsEach, h.cfg.Streams-len(h.subs)): // so whoever comes next finds a place
		return fmt.Errorf("%w: this caller has %d open; close one", ErrTooMany, h.callers[s.caller])
	}
	h.subs[s] = struct{}{}
	h.callers[s.caller]++
	s.joined = id{h.epoch, h.seq}.String()
	if last == "" {
		return nil
	}
	seen, ok := parseID(last)
	var reason string
	switch {
	case !ok:
		reason = "the last event is none of this daemon's"
	case seen.epoch != h.epoch:
		reason = "the daemon was restarted"
	case seen.seq > h.seq:
		reason = "the last event has not happened"
	case seen.seq < h.floor:
		reason = "the last event was too long ago"
	}
	if reason != "" {
		s.begin = []*Message{notice(nameReset, s.joined, reason)}
		return nil
	}
	s.begin = slices.DeleteFunc(h.kept.since(seen.seq), func(m *Message) bool { return !s.wants(m.About) })
	return nil
}
