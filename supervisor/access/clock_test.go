package access

import (
	"testing"
	"time"
)

// later lets hours pass, with the daemon at work.
func (w *world) later(d time.Duration) {
	w.t.Helper()
	for ; d > 0; d -= 5 * time.Minute {
		w.clock.add(5 * time.Minute)
		want(w.t, w.Tend(), nil)
	}
}

func TestAClockThatJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, tc := range []struct {
		name string
		do   func(w *world)
		ends bool // the session of begin
	}{
		{"back by seconds", func(w *world) { w.clock.add(-5 * time.Second); w.later(3 * time.Hour) }, false},
		{"back for ever", func(w *world) { w.clock.add(-50 * year); w.later(6 * 24 * time.Hour) }, false},
		{"back for ever, and idle", func(w *world) { w.clock.add(-50 * year); w.later(8 * 24 * time.Hour) }, true},
		{"a start without a battery", func(w *world) {
			w.clock.t = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
			w.restart()
			w.later(30 * time.Minute)
			w.clock.t = begin.Add(5 * 24 * time.Hour)
		}, false},
		{"a start without a battery, after a long time", func(w *world) {
			w.clock.t = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
			w.restart()
			w.later(30 * time.Minute)
			w.clock.t = begin.Add(8 * 24 * time.Hour)
		}, true},
		{"ahead and back", func(w *world) {
			w.clock.add(50 * year)
			want(w.t, w.Tend(), nil)
			w.clock.add(-50 * year)
		}, true},
		{"ahead and back, nobody looked", func(w *world) {
			w.clock.add(50 * year)
			w.Sessions("") // a look that writes nothing
			w.clock.add(-50 * year)
			w.later(2 * time.Hour)
		}, true},
		{"ahead and back, a cut in between", func(w *world) {
			w.clock.add(50 * year)
			_, _ = w.Session("")
			want(w.t, w.Tend(), nil)
			w.clock.add(-50 * year)
			w.restart()
			w.later(2 * time.Hour)
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, l := owned(t)
			text, _ := w.token("anna", "month", Viewer, begin.Add(30*24*time.Hour))
			tc.do(w)
			ended := tc.ends
			if _, err := w.Session(l.Cookie); (err != nil) != ended {
				t.Errorf("session: %v, want an end: %v", err, ended)
			}
			_, tokenErr := w.Token(text)
			w.restart()
			w.later(2 * time.Hour)
			if _, err := w.Session(l.Cookie); ended && err == nil {
				t.Error("it came back")
			}
			if _, err := w.Token(text); tokenErr != nil && err == nil {
				t.Error("the token came back")
			}
			// Nobody is kept out, and what is new lives as long as it should.
			fresh := w.login(anna, home)
			if text, _, err := w.AddToken("anna", "fresh", Viewer, w.clock.now().Add(24*time.Hour)); err != nil {
				t.Error(err)
			} else {
				w.wantToken(text, nil)
				w.later(25 * time.Hour)
				w.wantToken(text, ErrNoToken)
			}
			w.wantSession(fresh.Cookie, nil)
			w.later(8 * 24 * time.Hour)
			w.wantSession(fresh.Cookie, ErrNoSession)
		})
	}
}

func TestOneReadingDoesNotGiveUpTheTime(t *testing.T) {
	c := &handClock{t: begin}
	k := newClock(c.now, begin.Add(48*time.Hour))
	c.add(24 * time.Hour)
	if k.read(); k.wrong() {
		t.Error("after one long step")
	}
	for range 6 {
		c.add(10 * time.Minute)
		k.read()
	}
	if !k.wrong() {
		t.Error("not after an hour")
	}
	k.giveUp(k.ahead())
	if got := k.read(); !got.Equal(c.now()) || k.wrong() {
		t.Errorf("it is %v, the clock shows %v", got, c.now())
	}
}
