package access

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scenarios are changes; each is tried with the power cut at every call that reaches the disk.
var scenarios = []struct {
	name   string
	before func(w *world)
	do     func(w *world)
}{
	{"setup", func(w *world) {}, func(w *world) {
		code, _ := w.SetupCode()
		_, _ = w.Setup(context.Background(), code, anna, home)
	}},
	{"login", owner, func(w *world) { _, _ = w.Login(context.Background(), anna, away) }},
	{"add a user", owner, func(w *world) {
		_ = w.AddUser(context.Background(), Credentials{"carl", "password of carl"}, Viewer)
	}},
	{"another password", owner, func(w *world) {
		_ = w.SetPassword(context.Background(), Credentials{"anna", "another one"}, "")
	}},
	{"more rights", people, func(w *world) { _ = w.SetRole("bert", Admin) }},
	{"fewer rights", people, func(w *world) { _ = w.SetRole("bert", Viewer) }},
	{"remove a user", people, func(w *world) { _ = w.RemoveUser("bert") }},
	{"add a token", people, func(w *world) { _, _, _ = w.AddToken("bert", "display", Viewer, time.Time{}) }},
	{"remove a token", people, func(w *world) { _ = w.RemoveToken("", w.Tokens("")[0].ID) }},
	{"end a session", people, func(w *world) { _ = w.EndSession("", w.Sessions("bert")[0].ID) }},
	{"last uses", people, func(w *world) { w.clock.add(2 * time.Hour); w.use(); _ = w.Tend() }},
	{"sessions that ended", people, func(w *world) { w.clock.add(8 * 24 * time.Hour); _ = w.Tend() }},
	{"the clock is given up", func(w *world) { w.clock.add(1000 * time.Hour); people(w) }, func(w *world) {
		w.clock.add(-1000 * time.Hour)
		for range 10 {
			_ = w.Tend()
			w.clock.add(10 * time.Minute)
		}
	}},
	{"reset", people, func(w *world) { _, _ = w.Reset() }},
	{"reset of a damaged file", func(w *world) {
		people(w)
		w.damage([]byte("{"))
	}, func(w *world) { _, _ = w.Reset() }},
	{"upgrade", func(w *world) {
		w.disk.refuses = true // what is on disk stays as old as it is
		w.damage(format1)
		w.disk.refuses = false
	}, func(w *world) { w.stop(); w.start() }},
}

func owner(w *world) {
	code, err := w.SetupCode()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.Setup(context.Background(), code, anna, home); err != nil {
		w.t.Fatal(err)
	}
}

func people(w *world) {
	owner(w)
	w.login(w.addUser("bert", Operator), home)
	w.token("bert", "backup", Operator, time.Time{})
}

// damage puts other bytes into the file, and reads it.
func (w *world) damage(b []byte) {
	w.t.Helper()
	w.stop()
	if err := os.WriteFile(w.path, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.start()
}

func (w *world) use() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.live.Sessions {
		w.live.Sessions[i].Seen, w.touched = w.clock.now(), true
	}
}

// story is who may come in, in words.
func (w *world) story() string {
	if err := w.Closed(); err != nil {
		return "closed"
	}
	var b strings.Builder
	for _, u := range w.Users() {
		fmt.Fprintf(&b, "%s %s %d sessions %d tokens", u.Name, u.Role, u.Sessions, u.Tokens)
		for _, pw := range []Secret{anna.Password, "another one", "password of bert", "password of carl"} {
			if ok, _, _ := w.hasher.verify(context.Background(), w.live.byName[u.Name].Password, pw); ok {
				fmt.Fprintf(&b, " knows %q", string(pw))
			}
		}
		b.WriteString("; ")
	}
	return b.String()
}

func TestPowerCut(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			clean := empty(t)
			sc.before(clean)
			before := clean.story()
			clean.disk.calls = 0
			sc.do(clean)
			calls := clean.disk.calls
			clean.restart()
			after := clean.story()
			if calls == 0 {
				t.Fatal("nothing reaches the disk")
			}
			for at := 1; at <= calls; at++ {
				for _, how := range []string{"lost", "half", "applied"} {
					w := empty(t)
					sc.before(w)
					w.disk.calls, w.disk.cutAt, w.disk.how = 0, at, how
					sc.do(w)
					w.restart()
					got := w.story()
					if w.clock.now().After(begin.Add(7*24*time.Hour)) && sc.name == "sessions that ended" {
						before = strings.ReplaceAll(before, "1 sessions", "0 sessions") // they have ended, whatever is on disk
					}
					if got != before && got != after {
						t.Errorf("cut at %d (%s): %q, which is neither %q nor %q", at, how, got, before, after)
					}
					w.notForEverybody()
				}
			}
		})
	}
}

// notForEverybody holds that nobody comes in without proof, and that there is a way in.
func (w *world) notForEverybody() {
	w.t.Helper()
	cookie, _ := newCookie()
	if _, err := w.Session(cookie); err == nil {
		w.t.Error("anybody has a session")
	}
	if _, err := w.Token(newToken()); err == nil {
		w.t.Error("anybody has a token")
	}
	if _, err := w.Login(w.t.Context(), Credentials{"anna", "guessed password"}, away); err == nil {
		w.t.Error("anybody logs in")
	}
	if _, err := w.Setup(w.t.Context(), "0000-0000-0000-0000", Credentials{"eve", "password"}, away); err == nil {
		w.t.Error("anybody becomes the owner")
	}
	if w.Closed() != nil {
		if _, err := w.Reset(); err != nil { // the way it says
			w.t.Error(err)
		}
	}
	if _, err := w.SetupCode(); (err == nil) == (w.live.admins() > 0) {
		w.t.Errorf("%d admins, and the setup code says %v", w.live.admins(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(w.dir, ".access*")); len(left) > 1 {
		w.t.Errorf("left behind: %v", left)
	}
}
