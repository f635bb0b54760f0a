package web

import "sync"

// note is a word about what a form did, shown once on the page after it.
type note struct {
	Tone string // ok, bad
	Text string
	Next string
	Code string // of the help page
}

// notes wait for the next page of each session, by the session's CSRF token, which no address and no cookie carries. A lost
// one loses nothing: the page tells how things are.
type notes struct {
	mu  sync.Mutex
	all map[string][]note
}

// Limits on notes.
const (
	mostNotes     = 256 // sessions
	mostNotesEach = 4
)

func (n *notes) add(session string, one note) {
	if session == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil || len(n.all) >= mostNotes {
		n.all = map[string][]note{}
	}
	if len(n.all[session]) < mostNotesEach {
		n.all[session] = append(n.all[session], one)
	}
}

func (n *notes) take(session string) []note {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.all[session]
	delete(n.all, session)
	return out
}
