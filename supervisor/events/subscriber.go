package events

import (
	"context"
	"encoding/json"
	"slices"
)

// Want is who subscribes, and to what.
type Want struct {
	Caller string  // who counts for the bound of streams: a user, an add-on
	Topics []Topic // nil = all
	// May tells whether the caller may have an event; nil = every one. It is called by who publishes, with the hub
	// locked: it must return at once and call nothing of the hub.
	May func(About) bool
}

// Owned is a [Want.May] for an add-on: its own events alone.
func Owned(addon string) func(About) bool {
	return func(a About) bool { return addon != "" && a.Owner == addon }
}

// Subscriber gets events. It is for one goroutine.
type Subscriber struct {
	hub    *Hub
	caller string
	topics []Topic
	may    func(About) bool
	news   chan struct{} // holds one token while there is something
	joined string        // ID of the newest event when it came

	// Under the hub's mu.
	begin   []*Message // before everything else: what it missed
	pending ring
	why     error // it is over
}

// Subscribe begins a subscription after the event that the client saw last, "" for a new client. Errors are [ErrTooMany]
// and [ErrClosed]. It ends with Close.
func (h *Hub) Subscribe(w Want, last string) (*Subscriber, error) {
	s := &Subscriber{hub: h, caller: w.Caller, topics: slices.Clone(w.Topics), may: w.May, news: make(chan struct{}, 1)}
	s.pending.most, s.pending.mostBytes = h.cfg.Pending, h.cfg.PendingBytes
	if err := h.join(s, last); err != nil {
		return nil, err
	}
	if len(s.begin) > 0 {
		s.poke()
	}
	return s, nil
}

// Close ends the subscription. It may be called again.
func (s *Subscriber) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.drop(s, context.Canceled)
}

// Next waits for events and gives all there are, oldest first, with the newest alone of each key. Its error is why the
// subscription ended, or ctx's.
func (s *Subscriber) Next(ctx context.Context) ([]*Message, error) {
	for {
		select {
		case <-s.news:
			list, _, err := s.take()
			if len(list) > 0 || err != nil {
				return list, err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// take gives all there is, and the ID of the newest event that the subscriber then has seen, or need not.
func (s *Subscriber) take() (list []*Message, at string, err error) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.why != nil {
		return nil, "", s.why
	}
	list = append(s.begin, s.pending.take()...)
	s.begin = nil
	return list, id{s.hub.epoch, s.hub.seq}.String(), nil
}

// wants tells whether the subscriber is to have it. The caller holds mu.
func (s *Subscriber) wants(a About) bool {
	return (s.topics == nil || slices.Contains(s.topics, a.Topic)) && (s.may == nil || s.may(a))
}

// offer gives it a message; false is one too many. The caller holds mu.
func (s *Subscriber) offer(m *Message) bool {
	s.pending.add(m)
	if s.pending.over() {
		return false
	}
	s.poke()
	return true
}

func (s *Subscriber) poke() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// notice is a message of the stream itself.
func notice(name, at, reason string) *Message {
	data, _ := json.Marshal(map[string]string{"reason": reason}) // strings always can be
	return &Message{ID: at, Name: name, Data: data, frame: frame(at, name, data)}
}
