package access

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestLogin(t *testing.T) {
	w, _ := owned(t)
	for _, tc := range []struct {
		name string
		c    Credentials
		want error
	}{
		{"right", anna, nil},
		{"name in capitals", Credentials{" ANNA ", anna.Password}, nil},
		{"wrong", Credentials{"anna", "correct hors"}, ErrDenied},
		{"none", Credentials{"anna", ""}, ErrDenied},
		{"too long", Credentials{"anna", Secret(strings.Repeat("x", MaxPassword+1))}, ErrDenied},
		{"other case", Credentials{"anna", "Correct horse"}, ErrDenied},
		{"nobody", Credentials{"bert", anna.Password}, ErrDenied},
		{"no name", Credentials{"", anna.Password}, ErrDenied},
		{"a path", Credentials{"../anna\x00", anna.Password}, ErrDenied},
	} {
		w.clock.add(2 * time.Minute) // no waiting here
		l, err := w.Login(t.Context(), tc.c, home)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if (l.Cookie != "") != (err == nil) {
			t.Errorf("%s: a cookie with %v", tc.name, err)
		}
		want(t, w.Confirm(t.Context(), tc.c, Origin{}), tc.want)
	}
}

// TestAnUnknownNameCostsWhatAWrongPasswordCosts by the memory of the hash, which is what takes the time.
func TestAnUnknownNameCostsWhatAWrongPasswordCosts(t *testing.T) {
	h := newHasher(cost{kib: 4096, passes: 1, lanes: 1})
	stored := h.make("something")
	for _, stored := range []string{stored, ""} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if ok, _, err := h.verify(t.Context(), stored, "else"); ok || err != nil {
			t.Fatal(ok, err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n < 4096<<10 || n > 5000<<10 {
			t.Errorf("%d bytes for %.10q", n, stored)
		}
	}
}

func TestAPasswordIsHashedAgainWhenTheCostChanged(t *testing.T) {
	w, _ := owned(t)
	stored := func() phc {
		p, ok := parsePHC(w.live.byName["anna"].Password)
		if !ok {
			t.Fatal("no PHC string")
		}
		return p
	}
	w.hasher = newHasher(cost{kib: 16, passes: 2, lanes: 1})
	_, err := w.Login(t.Context(), Credentials{"anna", "wrong password"}, home)
	want(t, err, ErrDenied)
	if stored().cost != cheap {
		t.Error("a wrong password was hashed again")
	}
	w.login(anna, home)
	if stored().cost != w.hasher.cost {
		t.Errorf("cost %+v stays", stored().cost)
	}
	w.login(anna, home)
	w.restart()
	w.login(anna, home)
}

func TestDefaultCost(t *testing.T) {
	h := newHasher(defaultCost)
	s := h.make("correct horse")
	if !strings.HasPrefix(s, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error(s)
	}
	if ok, fresh, err := h.verify(t.Context(), s, "correct horse"); !ok || fresh != "" || err != nil {
		t.Error(ok, fresh, err)
	}
}

func TestPHCStrings(t *testing.T) {
	good := newHasher(cheap).make("x")
	if p, ok := parsePHC(good); !ok || p.String() != good {
		t.Fatalf("%q became %q", good, p)
	}
	for _, bad := range []string{
		"", good + "x", good[:len(good)-1], strings.Replace(good, "argon2id", "argon2i", 1),
		strings.Replace(good, "m=8", "m=7", 1), strings.Replace(good, "m=8", "m=999999", 1), strings.Replace(good, "t=1", "t=99", 1),
		strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "p=1", "p=2", 1), strings.Replace(good, "v=19", "v=16", 1),
		good[:len(good)-1] + "/", // bits that mean nothing
	} {
		if _, ok := parsePHC(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestHashesAreFewAtATime(t *testing.T) {
	h := newHasher(cheap)
	ctx, cancel := context.WithCancel(t.Context())
	for range hashesAtOnce {
		want(t, h.enter(ctx), nil)
	}
	errs := make(chan error, hashesWait)
	for range hashesWait {
		go func() { errs <- h.enter(ctx) }()
	}
	waitFor(t, func() bool { return h.waiting.Load() == hashesAtOnce+hashesWait })
	_, _, err := h.verify(ctx, "", "x")
	want(t, err, ErrBusy)
	cancel()
	for range hashesWait {
		want(t, <-errs, context.Canceled)
	}
	for range hashesAtOnce {
		h.leave()
	}
	if _, _, err := h.verify(t.Context(), "", "x"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if n := h.waiting.Load(); n != 0 {
		t.Errorf("%d wait for ever", n)
	}
}

func TestAPasswordThatChangedDuringALoginIsNotTheOldOne(t *testing.T) {
	w, _ := owned(t)
	for range hashesAtOnce {
		want(t, w.hasher.enter(t.Context()), nil)
	}
	got := make(chan error, 1)
	go func() {
		_, err := w.Login(t.Context(), anna, home)
		got <- err
	}()
	waitFor(t, func() bool { return w.hasher.waiting.Load() == hashesAtOnce+1 }) // it has read what is stored
	other := w.hasher.make("another one")
	want(t, w.change(true, func(s *state, _ time.Time) error { s.user("anna").Password = other; return nil }), nil)
	w.hasher.leave()
	want(t, <-got, ErrDenied)
}

func waitFor(t *testing.T, fn func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !fn(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it does not come")
		}
	}
}

func TestLabelsShowWhatTheyAre(t *testing.T) {
	for in, out := range map[string]string{
		"Firefox 140": "Firefox 140", "a\x1b[31mb\n": "a[31mb", "x\u202ey": "xy", "\xff": "", " ä ": "ä",
		strings.Repeat("ä", 200): strings.Repeat("ä", 60),
	} {
		if got := label(in); got != out || label(got) != got {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func TestTheAddressIsTheBareOne(t *testing.T) {
	w, _ := owned(t)
	w.login(anna, Origin{Addr: netip.MustParseAddr("::ffff:192.168.1.20")})
	w.login(anna, Origin{Addr: netip.MustParseAddr("fe80::1%eth0")})
	if k := w.live.byName["anna"].Known; len(k) != 2 || k[0] != netip.MustParseAddr("fe80::1") || k[1] != home.Addr {
		t.Errorf("known are %v", k)
	}
	w.restart() // it can be read again
	want(t, w.Closed(), nil)
}

func TestTheMemoryOfAHashGoesBack(t *testing.T) {
	h := newHasher(defaultCost)
	for range 3 {
		if _, err := h.hash(t.Context(), "correct horse"); err != nil {
			t.Fatal(err)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if held := m.HeapSys - m.HeapReleased; held >= uint64(defaultCost.kib)<<10 {
		t.Errorf("the heap holds %d bytes at rest, as much as a hash", held)
	}
}
