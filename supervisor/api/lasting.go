package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/access"
)

// lookAgain is how often a call that lasts looks whether its caller may still make it.
const lookAgain = 5 * time.Second

// whileIn ends a context when what let a caller in does, see [Server.in].
func (s *Server) whileIn(ctx context.Context, c Caller) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if c.visit == nil && c.Kind != KindAddon { // who calls on the appliance, or has the host's token, is always in
		return ctx, cancel
	}
	go func() {
		again := time.NewTicker(lookAgain)
		defer again.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-again.C:
			}
			if !s.in(c) {
				cancel()
				return
			}
		}
	}()
	return ctx, cancel
}

// in tells whether a caller is let in still, and may no less than when it came: a person's session or token goes on, an
// add-on runs with the token it showed. Looking is no use of a session.
func (s *Server) in(c Caller) bool {
	switch {
	case c.Kind == KindAddon:
		a, ok := s.cfg.Guests.Caller(c.token)
		return ok && a.Slug == c.Slug && a.Manifest.HassioAPI == c.manifest.HassioAPI && a.Manifest.HassioRole == c.manifest.HassioRole &&
			a.Manifest.CoreAPI == c.manifest.CoreAPI
	case c.visit == nil:
		return true
	}
	who := c.visit.who
	mayStill := slices.ContainsFunc(s.cfg.People.Users(), func(u access.UserInfo) bool { return u.Name == who.Name && u.Role.May(who.Role) })
	if who.Kind == access.ByToken {
		return mayStill && slices.ContainsFunc(s.cfg.People.Tokens(who.Name), func(k access.TokenInfo) bool { return k.ID == who.ID && !k.Ended })
	}
	return mayStill && slices.ContainsFunc(s.cfg.People.Sessions(who.Name), func(i access.SessionInfo) bool { return i.ID == who.ID })
}

// sharer is whom a caller's streams are counted for. All sessions and tokens of a person are his.
func (c Caller) sharer() string {
	if c.visit != nil {
		return string(KindPerson) + " " + c.visit.who.Name
	}
	return string(c.Kind) + " " + c.Name
}

// shares counts the open streams of people on the network: their connections are few, and what is not a stream must find one.
type shares struct {
	mu  sync.Mutex
	all int
	per map[string]int
}

// begin counts a stream until done. Callers who are not on the network of the house are counted elsewhere.
func (s *shares) begin(c Caller) (done func(), err error) {
	if c.visit == nil {
		return func() {}, nil
	}
	who := c.sharer()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.per == nil {
		s.per = map[string]int{}
	}
	if s.all >= peopleStreams || s.per[who] >= personStreams {
		return nil, &Error{Status: http.StatusTooManyRequests, Key: "too_many_streams",
			Message: fmt.Sprintf("%s follows %d streams already, and all people together %d", c.visit.who.Name, s.per[who], s.all), Next: "close one of them"}
	}
	s.all++
	s.per[who]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.per[who]--; s.per[who] == 0 {
			delete(s.per, who)
		}
	}, nil
}
