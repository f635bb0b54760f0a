package web

import (
	"slices"
	"sync"
	"time"
)

// note is a word about what a form did, shown once on the page after it.
type note struct {
	Tone string // ok, warn (it waits), bad
	Text string
	Next string
	Code string // of the help page

	nth   uint64    // of all
	shown time.Time // first; on a page that somebody asked for, if one showed it
	read  bool      // on a page that somebody asked for
}

// notes wait for the next page of each session, by the session's CSRF token, which no address and no cookie carries. A lost
// one loses nothing: the page tells how things are.
type notes struct {
	mu  sync.Mutex
	all map[string][]note
	n   uint64
}

// Limits on notes.
const (
	mostNotes     = 256 // sessions
	mostNotesEach = 4
	noteStays     = 12 * time.Second // on a page that is read anew by itself
	noteWaits     = 5 * time.Minute  // for a page that somebody asks for, when one that reads itself anew has shown it
)

// add keeps a note. Where there are too many, one that was read goes first, then a good one, then the oldest; and of sessions the
// one that has been silent for longest.
func (n *notes) add(session string, one note) {
	if session == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[string][]note{}
	}
	list, ok := n.all[session]
	if !ok && len(n.all) >= mostNotes {
		n.forget()
	}
	if len(list) >= mostNotesEach {
		at := slices.IndexFunc(list, func(o note) bool { return o.read })
		if at < 0 {
			at = max(0, slices.IndexFunc(list, func(o note) bool { return o.Tone == "ok" }))
		}
		list = slices.Delete(list, at, at+1)
	}
	n.n++
	one.nth = n.n
	n.all[session] = append(list, one)
}

// forget drops the session whose last note is the oldest. It needs mu.
func (n *notes) forget() {
	oldest, at := "", n.n+1
	for session, list := range n.all {
		if last := list[len(list)-1].nth; last < at {
			oldest, at = session, last
		}
	}
	delete(n.all, oldest)
}

// take gives a session's notes. A page that somebody asked for shows those that none such has shown; one that is read anew by
// itself (again) shows those of the page before for a while, or nobody could read them. That one may be in another tab, or a part of
// the page that is just left, so what it shows is shown to whoever asked, too.
func (n *notes) take(session string, again bool, now time.Time) []note {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out, stay []note
	for _, one := range n.all[session] {
		since, fresh := now.Sub(one.shown), one.shown.IsZero()
		if !fresh && (since > noteWaits || one.read && (since > noteStays || !again)) {
			continue
		}
		if !again || fresh || since <= noteStays {
			out = append(out, one)
			if fresh || !again {
				one.shown, one.read = now, !again
			}
		}
		stay = append(stay, one)
	}
	if len(stay) == 0 {
		delete(n.all, session)
	} else {
		n.all[session] = stay
	}
	return out
}
