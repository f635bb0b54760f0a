package web

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// page is what a template sees: D is the screen's own data, the rest is the same on every page.
type page struct {
	v *visit
	D any
}

// head is what the frame of a page needs to know of it.
type head struct {
	page
	Room  string // of the menu
	Title string
	Live  string // an htmx trigger: the page is read anew by it, "" = never
}

// Head begins a page. topics are the names on the stream that have it read anew, with spaces; none for a page with a form that
// somebody fills in.
func (p page) Head(room, title, topics string) head {
	h := head{page: p, Room: room, Title: title}
	if topics != "" {
		var on []string
		for _, t := range append(strings.Fields(topics), "reset") {
			on = append(on, "sse:"+t+" delay:150ms")
		}
		h.Live = strings.Join(on, ", ")
	}
	return h
}

// Rooms are the classes of the page: a room's style sheet concerns its own pages, and those that show something of it.
func (h head) Rooms() string {
	switch h.Room {
	case "overview":
		return "in-overview in-updates"
	case "backups", "":
		return "in-settings"
	}
	return "in-" + h.Room
}

// In reports whether somebody is logged in.
func (p page) In() bool { return p.v.me.Name != "" }

// Me is who is.
func (p page) Me() api.Me { return p.v.me }

// May tells whether he has a role.
func (p page) May(role string) bool { return p.v.may(role) }

// CSRF is the token that each form carries in a field "csrf".
func (p page) CSRF() string { return p.v.me.CSRF }

// Theme is the one that was chosen, "" = as the device has it.
func (p page) Theme() string { return p.v.theme }

// Language is the one that was chosen, "" = the browser's.
func (p page) Language() string {
	if c, err := p.v.r.Cookie("lang"); err == nil && slices.Contains(languages, c.Value) {
		return c.Value
	}
	return ""
}

// Path is the page's own address, to be read anew, and to come back to.
func (p page) Path() string { return p.v.r.URL.RequestURI() }

// Host is the appliance's name.
func (p page) Host() string { return p.v.ui.cfg.Host }

// Version is the daemon's.
func (p page) Version() string { return p.v.ui.cfg.Version }

// Notes are the words about what was done, which are shown this once; while the page is read anew by itself they stay for a while.
func (p page) Notes() []note {
	h := p.v.r.Header
	again := h.Get("HX-Request") != "" && h.Get("HX-Boosted") == ""
	return p.v.ui.notes.take(p.v.me.CSRF, again, p.v.now)
}

// Query is a parameter of the address.
func (p page) Query(name string) string { return p.v.query(name) }

// With is the page's address with one parameter set, "" = without it.
func (p page) With(name, value string) string {
	q := p.v.r.URL.Query()
	q.Del("page")
	if value == "" {
		q.Del(name)
	} else {
		q.Set(name, value)
	}
	u := url.URL{Path: p.v.r.URL.Path, RawQuery: q.Encode()}
	return u.String()
}

// House is the one line about the house that stands on every page.
func (p page) House() house { return p.v.house() }

// house is the state of the house in a few words.
type house struct {
	Known   bool
	Tone    string // ok, warn, bad
	Line    string
	Waiting int // updates
}

// house asks for the status, once for a page.
func (v *visit) house() house {
	s, err := v.status()
	if err != nil {
		return house{Tone: "warn", Line: v.say("layout.house_unknown")}
	}
	h := house{Known: true, Tone: "ok", Line: v.say("layout.house_verified")}
	for _, one := range s.Services {
		if g := skipGroup(one.Code); one.Available != "" && (g == groupYou || g == groupSelf) { // as the page of updates does
			h.Waiting++
		}
	}
	switch m := moodOf(s); m.word {
	case "bad":
		h.Tone, h.Line = "bad", v.say("layout.house_bad")
	case "engine", "ledger", "down", "some":
		h.Tone, h.Line = "warn", v.say("layout.house_"+m.word)
	}
	return h
}

// status is the state of the house, asked for once in a request.
func (v *visit) status() (api.Status, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.asked == nil {
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(v.ctx()), statusWithin, errSlow) // what went wrong is put in words also for who left
		defer cancel()
		s, err := v.api.Status(ctx)
		v.asked = &answeredStatus{s, err}
	}
	return v.asked.status, v.asked.err
}

type answeredStatus struct {
	status api.Status
	err    error
}

// Called is what people call a service.
func (p page) Called(service, slug string) string { return p.v.called(service, slug) }
