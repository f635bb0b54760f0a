package access

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

func BenchmarkLogin(b *testing.B) {
	w, _ := owned(b)
	w.hasher = newHasher(defaultCost)
	w.login(anna, home) // stored at that cost from now on
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Login(context.Background(), anna, home); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	h := newHasher(defaultCost)
	b.ReportAllocs()
	for b.Loop() {
		h.make("correct horse")
	}
}

// full is a house with as many users, sessions and tokens as there can be.
func full(b *testing.B) (*world, Secret, Secret) {
	w, l := owned(b)
	w.opts.Now = time.Now
	s := w.live.clone()
	text := newToken()
	for i := range MaxUsers {
		u := s.Users[0]
		if i > 0 {
			u.Name = "user" + string(rune('a'+i))
			s.Users = append(s.Users, u)
		}
		for len(s.Sessions) < (i+1)*MaxSessionsPerUser {
			_, sum := newCookie()
			s.Sessions = append(s.Sessions, session{ID: newID(), User: u.Name, Hash: sum, Created: begin, Seen: begin, From: netip.MustParseAddr("192.168.100.100"), Agent: label("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")})
		}
	}
	for i := range MaxTokens {
		t := newToken()
		if i == 0 {
			t = text
		}
		sum, _ := readToken(t)
		s.Tokens = append(s.Tokens, token{ID: newID(), User: "anna", Name: newID(), Role: Viewer, Prefix: string(t[:prefixLen]), Hash: sum, Created: begin})
	}
	w.live = newLive(s)
	w.Access.clock = newClock(time.Now, begin)
	for i := range w.live.Sessions {
		v := &w.live.Sessions[i]
		v.Created, v.Seen = time.Now(), time.Now()
	}
	return w, l.Cookie, text
}

func BenchmarkSession(b *testing.B) {
	w, cookie, _ := full(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Session(cookie); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkToken(b *testing.B) {
	w, _, text := full(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Token(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckCSRF(b *testing.B) {
	cookie, _ := newCookie()
	token := CSRF(cookie)
	for b.Loop() {
		if !CheckCSRF(cookie, token) {
			b.Fatal("refused")
		}
	}
}

// BenchmarkWriteFull writes the largest file there can be.
func BenchmarkWriteFull(b *testing.B) {
	w, _, _ := full(b)
	bytes, err := encode(w.live.state)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := w.change(true, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(bytes)), "B/file")
}
