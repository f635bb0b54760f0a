package access

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestASessionEnds(t *testing.T) {
	const d = 24 * time.Hour
	for _, tc := range []struct {
		name string
		use  []time.Duration // after the login
		ends bool
	}{
		{"used", []time.Duration{6 * d, 12 * d, 18 * d}, false},
		{"idle", []time.Duration{1 * d, 8 * d}, true},
		{"just not idle", []time.Duration{1 * d, 8*d - time.Second}, false},
		{"too old", []time.Duration{6 * d, 12 * d, 18 * d, 24 * d, 30 * d}, true},
	} {
		for _, restarts := range []bool{false, true} {
			w, l := owned(t)
			var err error
			for i, at := range tc.use {
				w.clock.t = begin.Add(at)
				_, err = w.Session(l.Cookie)
				if restarts && i < len(tc.use)-1 {
					want(t, w.Close(), nil)
					w.start()
				}
			}
			if (err != nil) != tc.ends {
				t.Errorf("%s, restarts %v: %v", tc.name, restarts, err)
			}
			w.clock.t = begin // an ended one never comes back, with a power cut in between either
			w.restart()
			if _, err = w.Session(l.Cookie); (err != nil) != tc.ends {
				t.Errorf("%s, restarts %v, with the clock back: %v", tc.name, restarts, err)
			}
		}
	}
}

func TestCookies(t *testing.T) {
	w, l := owned(t)
	p, err := w.Session(l.Cookie)
	if err != nil || p != l.Principal || p.Kind != BySession || p.Name != "anna" {
		t.Fatalf("%+v, %v", p, err)
	}
	c := string(l.Cookie)
	for _, bad := range []string{"", "x", c[:42], c + "A", c[:20] + "\n" + c[21:], c[:42] + "_", strings.ToLower(c), strings.Repeat("A", 43), c[:42] + "=", strings.Repeat("x", 1<<20)} {
		w.wantSession(Secret(bad), ErrNoSession)
	}
	if !CheckCSRF(l.Cookie, l.CSRF) || CheckCSRF(l.Cookie, l.Cookie) || CheckCSRF(l.Cookie, "") || CheckCSRF(w.login(anna, home).Cookie, l.CSRF) {
		t.Error("a CSRF token counts for another session, or not for its own")
	}
	b, err := encode(w.live.state)
	if err != nil || strings.Contains(string(b), c) || strings.Contains(string(b), string(l.CSRF)) || strings.Contains(string(b), string(anna.Password)) {
		t.Errorf("the file holds a secret: %v", err)
	}
}

func TestTheSessionNotUsedForLongestMakesRoom(t *testing.T) {
	w, first := owned(t)
	bert := w.addUser("bert", Viewer)
	other := w.login(bert, home)
	var all []Login
	for range MaxSessionsPerUser - 1 {
		w.clock.add(time.Minute)
		all = append(all, w.login(anna, home))
	}
	w.clock.add(time.Minute)
	w.wantSession(first.Cookie, nil) // used just now
	w.login(anna, home)
	w.wantSession(first.Cookie, nil)
	w.wantSession(other.Cookie, nil)
	w.wantSession(all[0].Cookie, ErrNoSession)
	w.wantSession(all[1].Cookie, nil)
	if n := len(w.Sessions("anna")); n != MaxSessionsPerUser {
		t.Errorf("%d sessions", n)
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	w, l := owned(t)
	w.clock.add(time.Hour)
	second := w.login(anna, away)
	bert := w.login(w.addUser("bert", Viewer), home)
	list := w.Sessions("anna")
	if len(list) != 2 || list[0].ID != second.Principal.ID || list[1].Agent != "Firefox" || list[1].From != home.Addr ||
		!list[1].Ends.Equal(begin.Add(7*24*time.Hour)) || len(w.Sessions("")) != 3 {
		t.Fatalf("%+v", list)
	}
	want(t, w.EndSession("bert", second.Principal.ID), ErrNotFound) // another's
	w.wantSession(second.Cookie, nil)
	want(t, w.EndSession("anna", second.Principal.ID), nil)
	want(t, w.EndSession("anna", second.Principal.ID), ErrNotFound)
	w.wantSession(second.Cookie, ErrNoSession)

	third := w.login(anna, away)
	n, err := w.EndSessions("anna", l.Principal.ID)
	if n != 1 || err != nil {
		t.Errorf("%d ended, %v", n, err)
	}
	w.wantSession(third.Cookie, ErrNoSession)
	w.wantSession(l.Cookie, nil)
	for range 2 {
		want(t, w.Logout(l.Cookie), nil)
	}
	want(t, w.Logout("x"), nil)
	w.restart()
	for _, c := range []Secret{l.Cookie, second.Cookie, third.Cookie} {
		w.wantSession(c, ErrNoSession)
	}
	w.wantSession(bert.Cookie, nil)
	_, err = w.EndSessions("nobody", "")
	want(t, err, ErrNotFound)
}

func TestLastUsesAreWrittenRarely(t *testing.T) {
	w, l := owned(t)
	before := w.disk.calls
	for range 24 * 60 {
		w.clock.add(time.Minute)
		w.wantSession(l.Cookie, nil)
		want(t, w.Tend(), nil)
	}
	if n := w.disk.calls - before; n != 24 {
		t.Errorf("%d writes in a day of use", n)
	}
	w.clock.add(time.Hour)
	want(t, w.Tend(), nil)
	before = w.disk.calls
	for range 10 * 24 * 12 {
		w.clock.add(5 * time.Minute)
		want(t, w.Tend(), nil)
	}
	if n := w.disk.calls - before; n != 1 || len(w.live.Sessions) != 0 {
		t.Errorf("%d writes in ten days without use, want the one of the session's end; %d sessions are kept", n, len(w.live.Sessions))
	}
}

func TestAUseDuringAWriteIsNotLost(t *testing.T) {
	w, l := owned(t)
	text, _ := w.token("anna", "backup", Viewer, time.Time{})
	w.disk.during = func() {
		w.clock.add(24 * time.Hour)
		w.wantSession(l.Cookie, nil)
		w.wantToken(text, nil)
	}
	w.addUser("bert", Viewer)
	w.disk.during = nil
	want(t, w.Close(), nil)
	w.start()
	if s := w.Sessions("anna")[0]; !s.Seen.Equal(begin.Add(24 * time.Hour)) {
		t.Errorf("last use was %v", s.Seen)
	}
	if k := w.Tokens("")[0]; !k.Used.Equal(begin.Add(24 * time.Hour).Truncate(day)) {
		t.Errorf("last use was %v", k.Used)
	}
}

func TestWhatTakesAccessAwayCountsOnAFullDisk(t *testing.T) {
	w, l := owned(t)
	bert := w.addUser("bert", Admin)
	text, info := w.token("bert", "backup", Viewer, time.Time{})
	second, third := w.login(bert, home), w.login(anna, home)
	w.disk.refuses = true
	for i, err := range []error{
		w.Logout(l.Cookie), w.EndSession("", third.Principal.ID), w.RemoveToken("", info.ID), w.SetRole("bert", Viewer),
		w.SetPassword(t.Context(), Credentials{"bert", "another one"}, second.Principal.ID), w.Tend(),
	} {
		if err == nil {
			t.Errorf("call %d tells nothing", i)
		}
	}
	w.wantSession(l.Cookie, ErrNoSession)
	w.wantSession(third.Cookie, ErrNoSession)
	w.wantToken(text, ErrNoToken)
	if p, err := w.Session(second.Cookie); err != nil || p.Role != Viewer {
		t.Errorf("%+v, %v", p, err)
	}
	// What gives access does not count.
	if err := w.AddUser(t.Context(), Credentials{"carl", "password of carl"}, Viewer); err == nil || len(w.Users()) != 2 {
		t.Error("a user came without a trace")
	}
	if err := w.SetRole("bert", Admin); err == nil || w.live.byName["bert"].Role != Viewer {
		t.Error("a role grew without a trace")
	}
	fourth := w.login(anna, home) // whom the disk needs
	w.wantSession(fourth.Cookie, nil)
	w.disk.refuses = false
	want(t, w.Tend(), nil)
	w.restart()
	w.wantSession(l.Cookie, ErrNoSession)
	w.wantSession(fourth.Cookie, nil)
	w.wantToken(text, ErrNoToken)
	if got := fmt.Sprint(w.Users()[1].Role); got != "viewer" {
		t.Errorf("bert is %s after a restart", got)
	}
}
