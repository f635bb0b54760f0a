package archive

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns gives up waiting for another backup when ctx ends, and keeps no turn that was not taken.
func TestTurns(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	write(t, filepath.Join(dir, "core/x"), "x")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 { // a select takes either way
		if _, err := s.Create(over, request(addon(dir, "core"))); !errors.Is(err, context.Canceled) {
			t.Fatalf("with a context that is over: %v", err)
		}
		if len(s.turn) != 0 {
			t.Fatal("the turn was kept")
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := &Store{turn: make(chan struct{}, 1)}
		if err := s.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		said := make(chan error, 1)
		go func() { said <- s.begin(ctx) }()
		synctest.Wait()
		select {
		case err := <-said:
			t.Fatalf("did not wait: %v", err)
		default:
		}
		cancel()
		if err := <-said; !errors.Is(err, context.Canceled) {
			t.Errorf("waited until %v", err)
		}
	})
}

// TestWhoSendsSlowlyKeepsNobodyWaiting has a backup come in that never ends: another must be made meanwhile, or no update with a
// backup before it comes any more.
func TestWhoSendsSlowlyKeepsNobodyWaiting(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	write(t, filepath.Join(dir, "core/x"), "x")
	r, w := io.Pipe()
	said := make(chan error, 1)
	go func() { _, err := s.Add(t.Context(), r); said <- err }()
	if _, err := w.Write([]byte("slow")); err != nil { // it is being received
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := s.Create(ctx, request(addon(dir, "core"))); err != nil {
		t.Errorf("a backup while another comes in: %v", err)
	}
	_ = w.Close()
	if err := <-said; err == nil || len(left(t, s)) != 1 {
		t.Errorf("taken in: %v, left %v", err, left(t, s))
	}
}
