package access

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	w, _ := owned(t)
	w.addUser("bert", Operator)
	text, info := w.token("bert", "backup", Viewer, begin.Add(48*time.Hour))
	if !regexp.MustCompile(`^cst_[a-z2-7]{56}$`).MatchString(string(text)) || info.Prefix != string(text[:10]) || !info.Used.IsZero() {
		t.Fatalf("%q, %+v", string(text), info)
	}
	w.clock.add(time.Hour)
	for range 2 {
		p, err := w.Token(text)
		if err != nil || p != (Principal{"bert", Viewer, ByToken, info.ID}) {
			t.Fatalf("%+v, %v", p, err)
		}
		want(t, w.Close(), nil)
		w.start()
	}
	if l := w.Tokens("bert"); len(l) != 1 || !l[0].Used.Equal(begin.Truncate(24*time.Hour)) || l[0].Ended || len(w.Tokens("anna")) != 0 {
		t.Errorf("%+v", l)
	}
	if b, _ := encode(w.live.state); strings.Contains(string(b), string(text)) {
		t.Error("the file holds the token")
	}
	w.clock.add(47*time.Hour - time.Second)
	w.wantToken(text, nil)
	w.clock.add(time.Second)
	w.wantToken(text, ErrNoToken)
	if l := w.Tokens(""); !l[0].Ended {
		t.Errorf("%+v", l)
	}
	want(t, w.RemoveToken("anna", info.ID), ErrNotFound) // another's
	want(t, w.RemoveToken("bert", info.ID), nil)
	want(t, w.RemoveToken("", info.ID), ErrNotFound)
}

func TestWhatIsNoTokenIsNotMade(t *testing.T) {
	w, _ := owned(t)
	w.addUser("bert", Operator)
	w.token("bert", "taken", Viewer, time.Time{})
	for _, tc := range []struct {
		user, name string
		role       Role
		end        time.Time
		want       error
	}{
		{"carl", "x", Viewer, time.Time{}, ErrNotFound},
		{"bert", "", Viewer, time.Time{}, ErrInvalid},
		{"bert", "a\nb", Viewer, time.Time{}, ErrInvalid},
		{"bert", strings.Repeat("x", maxLabel+1), Viewer, time.Time{}, ErrInvalid},
		{"bert", "x", "", time.Time{}, ErrInvalid},
		{"bert", "x", "root", time.Time{}, ErrInvalid},
		{"bert", "x", Admin, time.Time{}, ErrInvalid},
		{"bert", "x", Viewer, begin, ErrInvalid},
		{"bert", "x", Viewer, begin.AddDate(9000, 0, 0), ErrInvalid},
		{"bert", "taken", Viewer, time.Time{}, ErrExists},
		{"anna", "taken", Viewer, time.Time{}, nil},
	} {
		text, _, err := w.AddToken(tc.user, tc.name, tc.role, tc.end)
		want(t, err, tc.want)
		if (text != "") != (err == nil) {
			t.Errorf("%+v: a text with %v", tc, err)
		}
	}
	for i := len(w.Tokens("")); i < MaxTokens; i++ {
		w.token("anna", strings.Repeat("x", i), Viewer, time.Time{})
	}
	_, _, err := w.AddToken("anna", "one more", Viewer, time.Time{})
	want(t, err, ErrInvalid)
}

func TestATokenNeverMayMoreThanItsUser(t *testing.T) {
	w, _ := owned(t)
	bert := w.addUser("bert", Admin)
	text, _ := w.token("bert", "all", Admin, time.Time{})
	l := w.login(bert, home)
	role := func(r Role) {
		t.Helper()
		want(t, w.SetRole("bert", r), nil)
		p, err := w.Token(text)
		q, err2 := w.Session(l.Cookie)
		if err != nil || err2 != nil || p.Role != r || q.Role != r {
			t.Errorf("%+v, %v; %+v, %v; want %s", p, err, q, err2, r)
		}
	}
	role(Viewer)
	role(Admin)
	want(t, w.RemoveUser("bert"), nil)
	w.wantToken(text, ErrNoToken)
	w.wantSession(l.Cookie, ErrNoSession)
	w.addUser("bert", Admin) // another one of that name
	w.wantToken(text, ErrNoToken)
	w.wantSession(l.Cookie, ErrNoSession)
}

func FuzzToken(f *testing.F) {
	f.Add(string(newToken()))
	f.Add("cst_" + strings.Repeat("a", 56))
	f.Add("cst_" + strings.Repeat("\n", 56))
	f.Add(strings.ToUpper(string(newToken())))
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := readToken(Secret(s))
		if !ok {
			if d != (digest{}) {
				t.Error("a hash of none")
			}
			return
		}
		b, err := tokenText.DecodeString(s[len(tokenPrefix):])
		if err != nil || tokenPrefix+tokenText.EncodeToString(b) != s {
			t.Errorf("%q is not how a token is written: %v", s, err)
		}
	})
}

func FuzzCookie(f *testing.F) {
	c, _ := newCookie()
	f.Add(string(c))
	f.Add(strings.Repeat("A", 42) + "B")
	f.Add(strings.Repeat("A", 42) + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		if _, ok := readCookie(Secret(s)); !ok {
			return
		}
		if b, err := cookieText.DecodeString(s); err != nil || cookieText.EncodeToString(b) != s {
			t.Errorf("%q is not how a cookie is written: %v", s, err)
		}
	})
}

func TestAMistypedTokenIsNone(t *testing.T) {
	for range 200 {
		s := []byte(newToken())
		if _, ok := readToken(Secret(s)); !ok {
			t.Fatalf("%s is none", s)
		}
		i := len(tokenPrefix) + int(random(1)[0])%(len(s)-len(tokenPrefix))
		if s[i]++; s[i] == 'z'+1 || s[i] == '8' {
			s[i] = 'a'
		}
		if _, ok := readToken(Secret(s)); ok {
			t.Errorf("%s is one", s)
		}
	}
}
