package access

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func waits(t *testing.T, err error) time.Duration {
	t.Helper()
	var w *WaitError
	if !errors.As(err, &w) {
		t.Fatalf("%v, want to wait", err)
	}
	return w.Wait
}

func TestWrongGuessesWaitLongerAndLonger(t *testing.T) {
	w, _ := owned(t)
	var got []time.Duration
	for range 16 {
		_, err := w.Login(t.Context(), Credentials{"anna", "wrong password"}, away)
		if errors.Is(err, ErrDenied) {
			got = append(got, 0)
			continue
		}
		d := waits(t, err)
		got = append(got, d)
		w.clock.add(d - time.Second)
		_, err = w.Login(t.Context(), anna, away) // even the right one
		if waits(t, err) != time.Second {
			t.Errorf("a second before: %v", err)
		}
		w.clock.add(time.Second)
	}
	s := time.Second
	wantWaits := []time.Duration{0, 0, 0, 0, 0, s, 0, 2 * s, 0, 4 * s, 0, 8 * s, 0, 16 * s, 0, 32 * s}
	if fmt.Sprint(got) != fmt.Sprint(wantWaits) {
		t.Errorf("waits %v, want %v", got, wantWaits)
	}
	w.clock.add(forgetAfter)
	w.login(anna, away)
}

func TestNobodyKeepsTheOwnerOut(t *testing.T) {
	w, _ := owned(t)
	lan := netip.MustParsePrefix("10.0.0.0/8").Addr()
	for range 2000 { // all addresses of a network guess at anna, as often as they may
		lan = lan.Next()
		_, _ = w.Login(t.Context(), Credentials{"anna", "wrong password"}, Origin{Addr: lan})
		w.clock.add(100 * time.Millisecond)
	}
	_, err := w.Login(t.Context(), anna, away)
	if d := waits(t, err); d > 30*time.Second {
		t.Errorf("a new place waits %v", d)
	}
	w.login(anna, home) // as before, from where she was
	want(t, w.Remember("anna", netip.MustParseAddr("fd00::7")), nil)
	for range 10 { // and somebody beside her in the same /64
		_, _ = w.Login(t.Context(), Credentials{"anna", "wrong password"}, Origin{Addr: netip.MustParseAddr("fd00::8")})
	}
	w.login(anna, Origin{Addr: netip.MustParseAddr("fd00::7")})
	want(t, w.Remember("anna", netip.Addr{}), ErrInvalid)
	want(t, w.Remember("bert", home.Addr), ErrNotFound)
}

func TestAKnownPlaceGuessesNoFaster(t *testing.T) {
	w, _ := owned(t)
	for range freeGuesses + 1 {
		_, err := w.Login(t.Context(), Credentials{"anna", "wrong password"}, home)
		want(t, err, ErrDenied)
	}
	_, err := w.Login(t.Context(), anna, home)
	if waits(t, err) != time.Second {
		t.Error(err)
	}
}

func TestIPv6CountsByNetwork(t *testing.T) {
	w, _ := owned(t)
	at := func(s string) Origin { return Origin{Addr: netip.MustParseAddr(s)} }
	for i := range freeGuesses + 1 {
		_, err := w.Login(t.Context(), Credentials{fmt.Sprint("user", i), "wrong password"}, at(fmt.Sprintf("2001:db8::%d", i+1)))
		want(t, err, ErrDenied)
	}
	_, err := w.Login(t.Context(), anna, at("2001:db8::ffff"))
	waits(t, err)
	w.login(anna, at("2001:db8:0:1::1"))
}

func TestAnAccountOfOnesOwnDoesNotBeginAnew(t *testing.T) {
	w, _ := owned(t)
	eve := w.addUser("eve", Viewer)
	n := 0
	guess := func() error { // at another name each time, so that only the address counts
		n++
		_, err := w.Login(t.Context(), Credentials{fmt.Sprint("user", n), "wrong password"}, Origin{Addr: away.Addr})
		return err
	}
	for range freeGuesses + 2 {
		if err := guess(); !errors.Is(err, ErrDenied) {
			w.clock.add(waits(t, err))
			want(t, guess(), ErrDenied)
		}
		w.clock.add(30 * time.Second)
		if _, err := w.Login(t.Context(), eve, away); err != nil {
			t.Fatal(err)
		}
	}
	want(t, guess(), ErrDenied)
	if d := waits(t, guess()); d < 4*time.Second {
		t.Errorf("after logins of its own it waits only %v", d)
	}
}

func TestManyAtOnceGainNothing(t *testing.T) {
	th := newThrottle()
	g := guess{name: "anna", addr: away.Addr, user: true}
	let := 0
	for range 100 { // none has been compared yet
		if th.begin(g, begin) == nil {
			let++
		}
	}
	if let != freeGuesses+1 {
		t.Errorf("%d guesses were let in", let)
	}
}

func TestTheThrottleIsBounded(t *testing.T) {
	th := newThrottle()
	a := netip.MustParseAddr("10.0.0.0")
	for i := range 3 * th.nets.most {
		a = a.Next()
		_ = th.begin(guess{name: fmt.Sprint(i), addr: a}, begin.Add(time.Duration(i)))
		_ = th.begin(guess{name: fmt.Sprint(i), addr: a, user: true, known: true}, begin.Add(time.Duration(i)))
	}
	if len(th.nets.m) > th.nets.most || len(th.names.m) > strangers || len(th.pairs.m) > th.pairs.most {
		t.Errorf("%d, %d and %d are kept", len(th.nets.m), len(th.names.m), len(th.pairs.m))
	}
}

func TestAClockThatGoesBackMakesNobodyWaitForEver(t *testing.T) {
	var tab table[string]
	tab.most, tab.cap = 10, time.Minute
	for range 30 {
		tab.charge("x", begin)
	}
	back := begin.AddDate(-50, 0, 0)
	if d := tab.wait("x", back); d != time.Minute {
		t.Errorf("waits %v", d)
	}
	if d := tab.wait("x", back.Add(time.Minute)); d > 0 {
		t.Errorf("still waits %v", d)
	}
}
