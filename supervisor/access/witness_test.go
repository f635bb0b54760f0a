package access

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// scribe is a witness that writes to memory, or to nothing.
type scribe struct {
	wrote []string
	err   error
	sees  func() // what is so when it is told
}

func (s *scribe) told(e Event) error {
	if s.sees != nil {
		s.sees()
	}
	if s.err != nil {
		return s.err
	}
	line := strings.TrimRight(fmt.Sprintf("%s %s %s %s", e.What, e.User, e.Role, e.Name), " ")
	if e.Token != "" {
		line += " with an ID"
	}
	s.wrote = append(s.wrote, line)
	return nil
}

// TestAChangeIsWrittenDownBeforeItCounts asks for every change of an account.
func TestAChangeIsWrittenDownBeforeItCounts(t *testing.T) {
	w := empty(t)
	s := &scribe{}
	bert := Credentials{Name: "Bert", Password: "another long phrase"}
	var id, before string
	code, err := w.SetupCode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		do   func() error
		so   func() bool // it counts
	}{
		{"owner made anna admin", func() error { _, err := w.Setup(t.Context(), code, anna, home, s.told); return err }, func() bool { return len(w.Users()) == 1 }},
		{"user added bert viewer", func() error { return w.AddUser(t.Context(), bert, Viewer, s.told) }, func() bool { return len(w.Users()) == 2 }},
		{"role changed bert operator", func() error { return w.SetRole("bert", Operator, s.told) }, func() bool { return w.Users()[1].Role == Operator }},
		{"token made bert viewer ci with an ID", func() error {
			_, info, err := w.AddToken("bert", "ci", Viewer, time.Time{}, s.told)
			id = info.ID
			return err
		}, func() bool { return len(w.Tokens("bert")) == 1 }},
		{"password set bert", func() error {
			return w.SetPassword(t.Context(), Credentials{Name: "bert", Password: "a third long phrase"}, "", s.told)
		},
			func() bool { return w.live.byName["bert"].Password != before }},
		{"token removed bert viewer ci with an ID", func() error { return w.RemoveToken("", id, s.told) }, func() bool { return len(w.Tokens("")) == 0 }},
		{"user removed bert", func() error { return w.RemoveUser("bert", s.told) }, func() bool { return len(w.Users()) == 1 }},
		{"register reset", func() error { _, err := w.Reset(s.told); return err }, func() bool { return len(w.Users()) == 0 }},
	} {
		if u := w.live.byName["bert"]; u != nil {
			before = u.Password
		}
		calls, early := w.disk.calls, false
		s.sees = func() { early = c.so() || w.disk.calls != calls }
		s.wrote = nil
		if err := c.do(); err != nil || len(s.wrote) != 1 || s.wrote[0] != c.want || early || !c.so() {
			t.Errorf("%s: %v, written down %q, counted before: %v, counts: %v", c.want, err, s.wrote, early, c.so())
		}
	}
	s.sees = nil
}

// TestWhatIsRefusedIsNotWrittenDown, for nothing came of it.
func TestWhatIsRefusedIsNotWrittenDown(t *testing.T) {
	w, _ := owned(t)
	s := &scribe{}
	_, _, tokenErr := w.AddToken("anna", "", Admin, time.Time{}, s.told)
	_, setupErr := w.Setup(t.Context(), "wrong", anna, home, s.told)
	for i, err := range []error{w.AddUser(t.Context(), anna, Viewer, s.told), w.SetRole("anna", Viewer, s.told), w.RemoveUser("anna", s.told), w.RemoveToken("", "none", s.told),
		w.SetPassword(t.Context(), Credentials{Name: "nobody", Password: "another long phrase"}, "", s.told), tokenErr, setupErr} {
		if err == nil {
			t.Errorf("call %d is not refused", i)
		}
	}
	if len(s.wrote) != 0 {
		t.Errorf("written down: %q", s.wrote)
	}
}

// TestALogThatFails: nothing gives a right then; what takes one away counts, is told of as failed, and is written down before it
// reaches the disk.
func TestALogThatFails(t *testing.T) {
	w, _ := owned(t)
	w.addUser("bert", Operator)
	_, info := w.token("anna", "ci", Admin, time.Time{})
	broken := errors.New("the log's disk is full")
	s := &scribe{err: broken}
	calls := w.disk.calls
	_, _, tokenErr := w.AddToken("anna", "new", Admin, time.Time{}, s.told)
	_, resetErr := w.Reset(s.told)
	for what, err := range map[string]error{"user": w.AddUser(t.Context(), Credentials{Name: "eve", Password: "another long phrase"}, Admin, s.told), "role": w.SetRole("bert", Admin, s.told), "token": tokenErr, "reset": resetErr} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if u := w.Users(); len(u) != 2 || u[1].Role != Operator || len(w.Tokens("")) != 1 || w.disk.calls != calls {
		t.Fatalf("a right was given: %+v %+v, %d writes", u, w.Tokens(""), w.disk.calls-calls)
	}
	for what, err := range map[string]error{"role": w.SetRole("bert", Viewer, s.told), "token": w.RemoveToken("", info.ID, s.told)} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if u := w.Users(); u[1].Role != Viewer || len(w.Tokens("")) != 0 || w.disk.calls != calls {
		t.Fatalf("what takes rights away does not count: %+v %+v, %d writes", u, w.Tokens(""), w.disk.calls-calls)
	}
	if err := w.Tend(); !errors.Is(err, broken) || w.disk.calls != calls {
		t.Errorf("still broken: %v, %d writes", err, w.disk.calls-calls)
	}
	s.err = nil
	if err := w.Tend(); err != nil || w.disk.calls != calls+1 {
		t.Errorf("mended: %v, %d writes", err, w.disk.calls-calls)
	}
	got := strings.Join(s.wrote, "; ")
	if !strings.Contains(got, "role changed bert viewer") || !strings.Contains(got, "token removed anna admin ci with an ID") || len(s.wrote) != 2 {
		t.Errorf("written down later: %q", got)
	}
	w.restart()
	if u := w.Users(); len(u) != 2 || u[1].Role != Viewer || len(w.Tokens("")) != 0 {
		t.Errorf("after a restart: %+v %+v", u, w.Tokens(""))
	}
}
