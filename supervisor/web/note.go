package web

import (
	"sync"
	"time"
)

// note is a word about what a form did, shown once on the page after it.
type note struct {
	Tone string // ok, warn (it waits), bad
	Text string
	Next string
	Code string // of the help page

	shown time.Time // first
	read  bool      // on a page that somebody asked for
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
	noteStays     = 12 * time.Second // on a page that is read anew by itself
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

// take gives a session's notes. A page that somebody asked for shows those that none has shown; one that is read anew by itself
// (again) shows those of the page before for a while, or nobody could read them. That one may be in another tab, or a part of the
// page that is just left, so what it shows is shown to whoever asked, too.
func (n *notes) take(session string, again bool, now time.Time) []note {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out, stay []note
	for _, one := range n.all[session] {
		if one.read && !again || !one.shown.IsZero() && now.Sub(one.shown) > noteStays {
			continue
		}
		out = append(out, one)
		if one.shown.IsZero() {
			one.shown = now
		}
		one.read = one.read || !again
		stay = append(stay, one)
	}
	if len(stay) == 0 {
		delete(n.all, session)
	} else {
		n.all[session] = stay
	}
	return out
}
