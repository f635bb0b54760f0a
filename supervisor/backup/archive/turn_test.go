package archive

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
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
