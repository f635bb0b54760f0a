package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/castellan/castellan/trust"
)

const testOrigin = "ledger.example/test"

func TestSignerFollowsOneHistory(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, filepath.Join(dir, "a"))
	defer store.Close()
	s, err := openSigner(dir, testOrigin, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		appendOne(t, store, fmt.Sprint("k", i), "v")
		head, _ := store.Head()
		if err := s.advance(head); err != nil {
			t.Fatal(err)
		}
		if again, err := openSigner(dir, testOrigin, store, nil); err != nil || again.state.Last != head {
			t.Fatalf("what was signed is not on disk: %v, %v", again, err)
		}
	}
}

// A folder restored from a backup, and one restored and then written to, must both stop before a signature.
func TestSignerRefusesARolledBackStore(t *testing.T) {
	dir := t.TempDir()
	grow := func(name string, n int, salt string) (*Embedded, trust.Anchor) {
		store := openStore(t, filepath.Join(dir, name))
		t.Cleanup(func() { store.Close() })
		for i := range n {
			appendOne(t, store, fmt.Sprint("k", i, salt), "v")
		}
		head, _ := store.Head()
		return store, head
	}
	live, head := grow("live", 5, "")
	if err := os.WriteFile(filepath.Join(dir, signedFile), []byte(fmt.Sprintf(
		`{"format":1,"origin":%q,"last":{"count":5,"alh":%q}}`, testOrigin, head.Alh)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSigner(dir, testOrigin, live, nil); err != nil {
		t.Fatalf("the live store: %v", err)
	}
	older, olderHead := grow("older", 3, "x")
	forked, forkedHead := grow("forked", 7, "y")
	for what, store := range map[string]*Embedded{"older": older, "forked": forked} {
		_, err := openSigner(dir, testOrigin, store, nil)
		if !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), "`resume`") {
			t.Errorf("%s: %v, want ErrRolledBack with the way out", what, err)
		}
	}
	// The running signer looks at each signature, too.
	s, err := openSigner(dir, testOrigin, live, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.store = forked
	if err := s.advance(forkedHead); !errors.Is(err, ErrRolledBack) {
		t.Errorf("advance on a fork: %v", err)
	}

	// A resume that the store does not contain helps nobody.
	if _, err := openSigner(dir, testOrigin, older, &trust.Anchor{Count: 2, Alh: head.Alh}); !errors.Is(err, ErrRolledBack) {
		t.Errorf("resume with a foreign alh: %v", err)
	}
	// The root's resume is the way out, once.
	if s, err = openSigner(dir, testOrigin, older, &olderHead); err != nil {
		t.Fatalf("resume: %v", err)
	}
	if err := s.advance(olderHead); err != nil {
		t.Fatal(err)
	}
	if _, err := openSigner(dir, testOrigin, live, &olderHead); !errors.Is(err, ErrRolledBack) {
		t.Errorf("the same resume a second time: %v", err)
	}
}

func TestSignerMemoryIsNeverMadeUp(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, filepath.Join(dir, "a"))
	defer store.Close()
	if _, err := openSigner(dir, testOrigin, store, nil); err != nil {
		t.Fatal(err)
	}
	appendOne(t, store, "k", "v")
	path := filepath.Join(dir, signedFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string]string{
		"empty":         "",
		"cut":           string(good[:len(good)/2]),
		"other ledger":  strings.Replace(string(good), testOrigin, "other.example", 1),
		"newer format":  strings.Replace(string(good), `"format": 1`, `"format": 2`, 1),
		"unknown field": strings.Replace(string(good), `"format"`, `"x": 1, "format"`, 1),
		"bad digest":    strings.Replace(string(good), "sha256:", "sha255:", 1),
	} {
		if bad == string(good) {
			t.Fatalf("%s: nothing was changed in %s", what, good)
		}
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openSigner(dir, testOrigin, store, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error that names the file", what, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := openSigner(dir, testOrigin, store, nil); !errors.Is(err, ErrSignedStateMissing) {
		t.Errorf("missing: %v, want ErrSignedStateMissing", err)
	}
	head, _ := store.Head()
	if _, err := openSigner(dir, testOrigin, store, &head); err != nil {
		t.Errorf("missing, with a resume: %v", err)
	}
}
