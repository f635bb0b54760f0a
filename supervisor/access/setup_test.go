package access

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestTheSetupCodeMakesOneOwner(t *testing.T) {
	w := empty(t)
	ctx := context.Background()
	code, err := w.SetupCode()
	if err != nil || !regexp.MustCompile(`^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$`).MatchString(code.Reveal()) {
		t.Fatalf("code %q, %v", code.Reveal(), err)
	}
	if _, err := os.Stat(w.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the code is on disk: %v", err)
	}
	_, err = w.Login(ctx, anna, home)
	want(t, err, ErrNoOwner)
	want(t, w.AddUser(ctx, anna, Admin), ErrNoOwner)

	for _, wrong := range []Secret{"", "0000-0000-0000-0000", code[:len(code)-1], code + "0", Secret(strings.Repeat("0", 1<<20))} {
		_, err := w.Setup(ctx, wrong, anna, Origin{})
		var wait *WaitError
		if !errors.Is(err, ErrCode) && !errors.As(err, &wait) {
			t.Errorf("code of %d characters: %v", len(wrong), err)
		}
	}
	_, err = w.Setup(ctx, code, Credentials{"anna", "short"}, home)
	want(t, err, ErrInvalid)
	_, err = w.Setup(ctx, code, Credentials{"An na", anna.Password}, home)
	want(t, err, ErrInvalid)

	typed := strings.NewReplacer("0", "o", "1", "l", "V", "u").Replace(strings.ToLower(strings.ReplaceAll(code.Reveal(), "-", " ")))
	l, err := w.Setup(ctx, Secret(typed), Credentials{" Anna ", anna.Password}, home)
	if err != nil || l.Principal.Name != "anna" || l.Principal.Role != Admin {
		t.Fatalf("%+v, %v", l, err)
	}
	w.wantSession(l.Cookie, nil)
	_, err = w.Setup(ctx, code, Credentials{"eve", anna.Password}, away)
	want(t, err, ErrOwned)
	_, err = w.SetupCode()
	want(t, err, ErrOwned)
	w.restart()
	_, err = w.SetupCode()
	want(t, err, ErrOwned)
	w.login(anna, home)
}

func TestOfManyOwnersAtOnceOneCounts(t *testing.T) {
	w := empty(t)
	code, _ := w.SetupCode()
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = w.Setup(t.Context(), code, Credentials{fmt.Sprint("user", i), anna.Password}, home)
		})
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if !errors.Is(err, ErrOwned) {
			t.Error(err)
		}
	}
	if made != 1 || len(w.Users()) != 1 {
		t.Errorf("%d owners, %d users", made, len(w.Users()))
	}
}

func TestWrongSetupCodesWaitByAddress(t *testing.T) {
	w := empty(t)
	code, _ := w.SetupCode()
	for range freeGuesses + 1 {
		_, err := w.Setup(t.Context(), "no", anna, away)
		want(t, err, ErrCode)
	}
	var wait *WaitError
	if _, err := w.Setup(t.Context(), code, anna, away); !errors.As(err, &wait) || wait.Seconds() != 1 {
		t.Fatalf("the right code at once after: %v", err)
	}
	if _, err := w.Setup(t.Context(), code, anna, home); err != nil {
		t.Errorf("the owner waits for others: %v", err)
	}
}

func TestResetKeepsTheFileAsideAndBeginsAnew(t *testing.T) {
	w, l := owned(t)
	before, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	var asides []string
	for range 2 {
		aside, err := w.Reset()
		if err != nil {
			t.Fatal(err)
		}
		asides = append(asides, aside)
		w.wantSession(l.Cookie, ErrNoSession)
		code, err := w.SetupCode()
		if err != nil {
			t.Fatal(err)
		}
		if l, err = w.Setup(t.Context(), code, Credentials{"bert", "other password"}, home); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(asides[0]); err != nil || string(kept) != string(before) || asides[0] == asides[1] {
		t.Errorf("kept as %v: %v", asides, err)
	}
	_, err = w.Login(t.Context(), anna, home)
	want(t, err, ErrDenied)
}
