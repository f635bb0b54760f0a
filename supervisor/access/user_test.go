package access

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
)

func TestUsers(t *testing.T) {
	w, l := owned(t)
	for _, tc := range []struct {
		name, password string
		role           Role
		want           error
	}{
		{"bert", "12345678", Viewer, nil},
		{"bert", "12345678", Viewer, ErrExists},
		{"BERT", "12345678", Viewer, ErrExists},
		{"carl", "1234567", Viewer, ErrInvalid},
		{"carl", strings.Repeat("x", MaxPassword+1), Viewer, ErrInvalid},
		{"carl", strings.Repeat("ä", MaxPassword/2), Viewer, nil},
		{"", "12345678", Viewer, ErrInvalid},
		{"-x", "12345678", Viewer, ErrInvalid},
		{"a/b", "12345678", Viewer, ErrInvalid},
		{"jörg", "12345678", Viewer, ErrInvalid},
		{strings.Repeat("x", 33), "12345678", Viewer, ErrInvalid},
		{"dora", "12345678", "", ErrInvalid},
		{"dora", "12345678", "ADMIN", ErrInvalid},
	} {
		if err := w.AddUser(t.Context(), Credentials{tc.name, Secret(tc.password)}, tc.role); !isOrNil(err, tc.want) {
			t.Errorf("%+v: %v", tc, err)
		} else if err != nil && tc.password != "" && strings.Contains(err.Error(), tc.password) {
			t.Errorf("%v shows the password", err)
		}
	}
	for i := len(w.Users()); i < MaxUsers; i++ {
		w.addUser(fmt.Sprint("user", i), Viewer)
	}
	want(t, w.AddUser(t.Context(), Credentials{"more", "12345678"}, Viewer), ErrInvalid)
	w.restart()
	if u := w.Users(); len(u) != MaxUsers || u[0].Name != "anna" || u[0].Sessions != 1 {
		t.Errorf("%+v", u)
	}
	w.wantSession(l.Cookie, nil)
}

func isOrNil(err, want error) bool {
	return err == want || want != nil && err != nil && strings.Contains(fmt.Sprintf("%T", err), "refusal") && err.(*refusal).why == want
}

func TestTheLastAdminStays(t *testing.T) {
	w, l := owned(t)
	w.addUser("bert", Operator)
	want(t, w.SetRole("anna", Operator), ErrLastAdmin)
	want(t, w.RemoveUser("anna"), ErrLastAdmin)
	w.wantSession(l.Cookie, nil)
	if p, err := w.Session(l.Cookie); err != nil || p.Role != Admin {
		t.Errorf("%+v, %v", p, err)
	}
	want(t, w.SetRole("bert", Admin), nil)
	var wg sync.WaitGroup // two who remove each other
	for _, name := range []string{"anna", "bert"} {
		wg.Go(func() { _ = w.RemoveUser(name) })
	}
	wg.Wait()
	if u := w.Users(); len(u) != 1 || u[0].Role != Admin {
		t.Errorf("%+v", u)
	}
	want(t, w.SetRole("nobody", Admin), ErrNotFound)
	want(t, w.SetRole("anna", "god"), ErrInvalid)
	want(t, w.RemoveUser("nobody"), ErrNotFound)
}

func TestAnotherPasswordEndsTheOtherSessions(t *testing.T) {
	w, l := owned(t)
	other := w.login(anna, away)
	text, _ := w.token("anna", "backup", Viewer, begin.AddDate(1, 0, 0))
	next := Credentials{"anna", "battery staple"}
	want(t, w.SetPassword(t.Context(), next, l.Principal.ID), nil)
	w.wantSession(l.Cookie, nil)
	w.wantSession(other.Cookie, ErrNoSession)
	w.wantToken(text, nil)
	_, err := w.Login(t.Context(), anna, home)
	want(t, err, ErrDenied)
	w.login(next, home)
	want(t, w.SetPassword(t.Context(), Credentials{"nobody", "battery staple"}, ""), ErrNotFound)
	want(t, w.SetPassword(t.Context(), Credentials{"anna", "short"}, ""), ErrInvalid)
}

func TestRoles(t *testing.T) {
	for i, r := range []Role{Viewer, Operator, Admin} {
		for j, need := range []Role{Viewer, Operator, Admin} {
			if r.May(need) != (i >= j) {
				t.Errorf("%s may %s: %v", r, need, r.May(need))
			}
		}
		if r.May("") || r.May("root") || Role("").May(r) || Role("root").May(r) {
			t.Errorf("what is no role counts with %s", r)
		}
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	const s = "hunter2!"
	v := struct {
		S Secret
		P *Secret
		L []Secret
	}{s, new(Secret), []Secret{s}}
	*v.P = s
	var log strings.Builder
	l := slog.New(slog.NewTextHandler(&log, nil))
	l.Info("x", "a", Secret(s), "b", v, "c", Credentials{"anna", s})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "a", Secret(s), "b", v, "c", Login{Cookie: s})
	v1, err1 := json.Marshal(map[string]any{"v": v})
	v2, err2 := jsonv2.Marshal(v)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	shown := []string{log.String(), string(v1), string(v2), fmt.Sprint(v, Secret(s)), Secret(s).String(), fmt.Errorf("x: %v", Secret(s)).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%10s", "%T %v"} {
		shown = append(shown, fmt.Sprintf(verb, Secret(s)), fmt.Sprintf(verb, v), fmt.Sprintf(verb, Credentials{"anna", s}))
	}
	for _, text := range shown {
		if low := strings.ToLower(text); strings.Contains(low, s) || strings.Contains(low, "68756e") || strings.Contains(low, "68 75 6e") || strings.Contains(low, "104 117") {
			t.Errorf("shown: %s", text)
		}
	}
	var in struct{ S Secret }
	if err := json.Unmarshal([]byte(`{"S":"hunter2!"}`), &in); err != nil || in.S.Reveal() != s {
		t.Error("can't be read", err)
	}
	if err := jsonv2.Unmarshal([]byte(`{"S":"hunter2!"}`), &in); err != nil || in.S.Reveal() != s {
		t.Error("can't be read", err)
	}
}
