package access

import (
	_ "embed"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/config/durable"
)

// format1 was written by format 1: of anna, admin, and bert, operator, with a token each.
//
//go:embed testdata/format1.json
var format1 []byte

const (
	cookie1 Secret = "UOlMBK-2geCe7ahhlUyhE-ELFaEhun5Ma0ulXNfblAw"
	annas1  Secret = "cst_lgc2huqgdmpe6i7b547nzisimq7vzmguk3c7xzltzzcutcqu23jcbcc5"
	berts1  Secret = "cst_g2kxg5zqfmvtmqfjvmcla624r7cpw7htlvyyxncqljmwt4hzm37glcl3"
)

func TestFormat1IsUpgraded(t *testing.T) {
	w := empty(t)
	w.damage(format1)
	for range 2 {
		want(t, w.Closed(), nil)
		for text, role := range map[Secret]Role{annas1: Admin, berts1: Operator} { // what their users were
			if p, err := w.Token(text); err != nil || p.Role != role {
				t.Errorf("%+v, %v, want %s", p, err, role)
			}
		}
		w.wantSession(cookie1, nil)
		w.login(anna, home)
		b, err := os.ReadFile(w.path)
		if err != nil || !strings.HasPrefix(string(b), `{"format":2,`) {
			t.Fatalf("%.40s, %v", b, err)
		}
		w.restart()
	}
	want(t, w.SetRole("bert", Admin), nil)
	if p, err := w.Token(berts1); err != nil || p.Role != Operator {
		t.Errorf("the token grew with its user: %+v, %v", p, err)
	}

	w = empty(t)
	w.disk.refuses = true // a full disk does not keep them out
	w.damage(format1)
	w.wantSession(cookie1, nil)
}

func TestWhatCannotBeReadLetsInNobody(t *testing.T) {
	w, l := owned(t)
	text, _ := w.token("anna", "backup", Admin, time.Time{})
	good, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	swap := func(old, new string) []byte {
		s := strings.Replace(string(good), old, new, 1)
		if s == string(good) {
			t.Fatalf("%q is not in the file", old)
		}
		return []byte(s)
	}
	many := w.live.clone()
	for range MaxSessionsPerUser {
		_, sum := newCookie()
		many.Sessions = append(many.Sessions, session{ID: newID(), User: "anna", Hash: sum, Created: begin, Seen: begin})
	}
	tooMany, err := encode(many)
	if err != nil {
		t.Fatal(err)
	}
	const reset = "castellan user reset"
	for _, tc := range []struct {
		name, says string
		b          []byte
	}{
		{"empty", reset, nil},
		{"cut", reset, good[:len(good)/2]},
		{"zeros", reset, make([]byte, len(good))},
		{"twice", reset, append(append([]byte{}, good...), good...)},
		{"newer", "format 3, this program reads up to 2; install the version of castellan that wrote it", swap(`"format":2`, `"format":3`)},
		{"newer and other", "install the version", []byte(`{"format":9,"people":{}}`)},
		{"no format", "format 0 is none", []byte(`{"users":[],"sessions":[],"tokens":[]}`)},
		{"nobody", "no admin", []byte(`{"format":2,"mark":"2026-08-01T12:00:00Z","users":[],"sessions":[],"tokens":[]}`)},
		{"null", "a part is missing", []byte(`{"format":2,"mark":"2026-08-01T12:00:00Z","users":null,"sessions":[],"tokens":[]}`)},
		{"no admin", "no admin", swap(`"role":"admin"`, `"role":"viewer"`)},
		{"no role", reset, swap(`"role":"admin"`, `"role":"root"`)},
		{"unknown key", reset, swap(`{"format"`, `{"everybody":true,"format"`)},
		{"key twice", reset, swap(`{"format"`, `{"format":2,"format"`)},
		{"other case", reset, swap(`"users"`, `"Users"`)},
		{"costly hash", "user 0", swap(`m=8`, `m=9999999`)},
		{"session of nobody", "session 0", swap(`"user":"anna"`, `"user":"eve"`)},
		{"too many sessions", "session 16", tooMany},
		{"short hash", reset, swap(`"hash":"`, `"hash":"0`)},
		{"no mark", reset, swap(`"mark":"2026`, `"mark":"x`)},
		{"large", "larger than", append([]byte(strings.Repeat(" ", maxBytes)), good...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.damage(tc.b)
			err := w.Closed()
			if !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), w.path) {
				t.Errorf("says %v", err)
			}
			if strings.Contains(err.Error(), "argon2id") {
				t.Errorf("shows what it read: %v", err)
			}
			w.wantSession(l.Cookie, ErrClosed)
			w.wantToken(text, ErrClosed)
			_, err = w.Login(t.Context(), anna, home)
			want(t, err, ErrClosed)
			_, err = w.SetupCode()
			want(t, err, ErrClosed)
			_, err = w.Setup(t.Context(), "", anna, home)
			want(t, err, ErrClosed)
			want(t, w.AddUser(t.Context(), anna, Admin), ErrClosed)
			want(t, w.SetPassword(t.Context(), anna, ""), ErrClosed)
			want(t, w.Tend(), nil)
			want(t, w.Close(), nil)
			if b, err := os.ReadFile(w.path); err != nil || string(b) != string(tc.b) {
				t.Errorf("the file was changed: %v", err)
			}
			w.start()
			aside, err := w.Reset()
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(aside); err != nil || string(b) != string(tc.b) {
				t.Errorf("it was not kept: %v", err)
			}
			want(t, w.Closed(), nil)
			w.wantSession(l.Cookie, ErrNoSession)
			if code, err := w.SetupCode(); err != nil || code == "" {
				t.Errorf("no setup code: %v", err)
			}
		})
	}
	w.damage(good)
	w.wantSession(l.Cookie, nil) // brought back
}

func TestWhatIsNoFileLetsInNobody(t *testing.T) {
	w := empty(t)
	w.stop()
	if err := os.Mkdir(w.path, 0o700); err != nil {
		t.Fatal(err)
	}
	w.start()
	want(t, w.Closed(), ErrClosed)
	_, err := w.SetupCode()
	want(t, err, ErrClosed)
}

func TestTheFolderIsOfOneProcess(t *testing.T) {
	w, _ := owned(t)
	_, err := Open(w.dir, Options{})
	want(t, err, durable.ErrLocked)
	if fi, err := os.Stat(w.path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	want(t, os.Chmod(w.path, 0o644), nil) // a careless restore
	w.restart()
	if fi, _ := os.Stat(w.path); fi.Mode().Perm() != 0o600 {
		t.Errorf("stays %v", fi.Mode())
	}
	if _, err := Open(filepath.Join(w.path, "x"), Options{}); err == nil {
		t.Error("opened below a file")
	}
	if _, err := Open(t.TempDir(), Options{Idle: -1}); err == nil {
		t.Error("a negative limit")
	}
}

func FuzzState(f *testing.F) {
	f.Add(format1)
	f.Add([]byte(`{"format":2,"mark":"2026-08-01T12:00:00Z","users":[],"sessions":[],"tokens":[]}`))
	if s, _, err := parse(format1); err != nil {
		f.Fatal(err)
	} else if b, err := encode(s); err != nil {
		f.Fatal(err)
	} else {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, err := parse(b)
		if err != nil {
			if !strings.Contains(err.Error(), "castellan user reset") {
				t.Errorf("%v tells no next step", err)
			}
			return
		}
		if s.admins() == 0 {
			t.Error("without an admin")
		}
		newLive(s) // must not lose anybody
		out, err := encode(s)
		if err != nil {
			t.Fatal(err)
		}
		again, old, err := parse(out)
		if err != nil || old {
			t.Fatalf("%v reading what was written: %s", err, out)
		}
		if out2, _ := encode(again); string(out2) != string(out) {
			t.Errorf("%s became %s", out, out2)
		}
	})
}
