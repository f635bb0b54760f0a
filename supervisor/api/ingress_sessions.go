package api

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"sync"
	"time"
)

// Limits on sessions for add-ons' pages.
const (
	ingressLasts     = 15 * time.Minute // after the last use
	maxIngress       = 512              // sessions in all
	maxIngressEach   = 32               // of one person; the oldest makes room
	maxIngressOpen   = 64               // requests and streams of one session at a time
	ingressCookie    = "ingress_session"
	ingressTokenSize = 64
)

// ingressSession is a person's permission to see add-ons' pages.
type ingressSession struct {
	owner Caller
	user  string // ID of the person at Home Assistant
	used  time.Time
	open  int
}

// ingressSessions are kept in memory: after a restart a person begins anew.
type ingressSessions struct {
	in func(owner Caller) bool // tells whether who began a session is let in still

	mu  sync.Mutex
	all map[string]*ingressSession
}

// begin makes a session.
func (v *ingressSessions) begin(c Caller, user string) string {
	var b [ingressTokenSize]byte
	_, _ = rand.Read(b[:]) // it never fails
	id := hex.EncodeToString(b[:])
	if c.visit != nil { // the cookie that let him in is not needed for it
		at := *c.visit
		at.cookie, c.visit = "", &at
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all == nil {
		v.all = map[string]*ingressSession{}
	}
	now := time.Now()
	v.tidy(now, c)
	v.all[id] = &ingressSession{owner: c, user: user, used: now}
	return id
}

// tidy makes room for one more session of a person.
func (v *ingressSessions) tidy(now time.Time, c Caller) {
	oldest := func(of func(*ingressSession) bool) (id string, n int) {
		for k, s := range v.all {
			if !of(s) {
				continue
			}
			if n++; id == "" || s.used.Before(v.all[id].used) {
				id = k
			}
		}
		return id, n
	}
	for id, s := range v.all {
		if s.over(now) {
			delete(v.all, id)
		}
	}
	if id, n := oldest(func(s *ingressSession) bool { return s.owner.sameAs(c) }); n >= maxIngressEach {
		delete(v.all, id)
	}
	if id, n := oldest(func(*ingressSession) bool { return true }); n >= maxIngress {
		delete(v.all, id)
	}
}

// over tells whether a session has ended. One with an open stream is in use.
func (s *ingressSession) over(now time.Time) bool {
	return s.open == 0 && now.Sub(s.used) > ingressLasts
}

// sameAs tells whether two callers are one.
func (c Caller) sameAs(d Caller) bool { return c.Kind == d.Kind && c.Name == d.Name }

// use finds a session of its owner and makes it longer. On the bridge Home Assistant sends on what the person's browser
// sends, without saying who it is itself: its sessions are its own there.
func (v *ingressSessions) use(id string, c Caller) (*ingressSession, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.find(id, c.sameAs)
}

// find is use for who may.
func (v *ingressSessions) find(id string, may func(owner Caller) bool) (*ingressSession, bool) {
	s, now := v.all[id], time.Now() // 512 random bits: how long a look takes tells nothing of them
	if s == nil || s.over(now) || !may(s.owner) || !v.in(s.owner) {
		return nil, false
	}
	s.used = now
	return s, true
}

// enter is use for as long as a request lasts, by who may; free is false when the session has too many open.
func (v *ingressSessions) enter(r *http.Request, may func(owner Caller) bool) (s *ingressSession, leave func(), ok, free bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, cookie := range r.CookiesNamed(ingressCookie) { // a page's script can set some, and locks nobody out with them
		if s, ok = v.find(cookie.Value, may); !ok {
			continue
		}
		if s.open >= maxIngressOpen {
			return nil, nil, true, false
		}
		s.open++
		return s, func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			s.open--
			s.used = time.Now()
		}, true, true
	}
	return nil, nil, false, false
}
