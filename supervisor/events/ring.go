package events

import (
	"container/list"
	"encoding/json"
)

// Message is an event as a subscriber gets it. Its Data are shared: they are read only.
type Message struct {
	About
	ID   string // the client's next Last-Event-ID
	Name string // the topic, or "reset" for a client that must read everything anew
	Data json.RawMessage

	seq   uint64
	frame []byte // as it goes on the stream
}

// ring holds messages in order, only the newest of each topic and key, in bounded number and size. It serves both what
// is kept for those that come back and what a subscriber has yet to read.
type ring struct {
	most, mostBytes int
	bytes           int
	order           list.List // of *Message, oldest first
	newest          map[About]*list.Element
}

// keyed is what newer messages of the same thing have in common. The owner does not belong to it, so that one who could
// not see the older one cannot keep it alive either.
func (m *Message) keyed() (About, bool) { return About{Topic: m.Topic, Key: m.Key}, m.Key != "" }

// add puts a message at the end and takes out the older one of its key.
func (r *ring) add(m *Message) {
	if k, ok := m.keyed(); ok {
		if r.newest == nil {
			r.newest = map[About]*list.Element{}
		}
		if old := r.newest[k]; old != nil {
			r.remove(old)
		}
		r.newest[k] = r.order.PushBack(m)
	} else {
		r.order.PushBack(m)
	}
	r.bytes += len(m.frame)
}

func (r *ring) remove(e *list.Element) *Message {
	m := r.order.Remove(e).(*Message)
	r.bytes -= len(m.frame)
	if k, ok := m.keyed(); ok && r.newest[k] == e {
		delete(r.newest, k)
	}
	return m
}

// over tells that the ring holds too much.
func (r *ring) over() bool { return r.order.Len() > r.most || r.bytes > r.mostBytes }

// evict takes the oldest out.
func (r *ring) evict() *Message { return r.remove(r.order.Front()) }

// since gives what came after seq, oldest first.
func (r *ring) since(seq uint64) (list []*Message) {
	for e := r.order.Front(); e != nil; e = e.Next() {
		if m := e.Value.(*Message); m.seq > seq {
			list = append(list, m)
		}
	}
	return list
}

// take empties the ring. Its map goes too, so that an idle subscriber costs little.
func (r *ring) take() (list []*Message) {
	list = r.since(0)
	r.order.Init()
	r.newest, r.bytes = nil, 0
	return list
}
