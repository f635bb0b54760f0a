package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// localOnly is a store without a network, so that its clock can be a bubble's.
func localOnly(t *testing.T, seed string) *Store {
	dir := t.TempDir()
	cfg := Config{Dir: filepath.Join(dir, "store"), Local: filepath.Join(dir, "local"), Builtins: []string{"local"}, Seed: seed}
	if err := errors.Join(os.Mkdir(cfg.Local, 0o755), Init(cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// rounds runs a store until a time has passed and returns when it looked.
func rounds(t *testing.T, s *Store, span time.Duration, each func(n int)) []time.Duration {
	var at []time.Duration
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	err := s.Run(ctx, func() {
		at = append(at, time.Since(start))
		each(len(at))
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run ended with %v", err)
	}
	return at
}

func TestRunKeepsItsPlaceInThePeriod(t *testing.T) {
	first := map[time.Duration]bool{}
	for _, seed := range []string{"a", "b", "c", "d"} {
		synctest.Test(t, func(t *testing.T) {
			at := rounds(t, localOnly(t, seed), 30*time.Hour, func(int) {})
			if len(at) < 9 || len(at) > 12 {
				t.Errorf("%d rounds in 30 h, want about 10", len(at))
			}
			if at[0] > time.Minute {
				t.Errorf("first look after %v", at[0])
			}
			first[at[1]-at[0]] = true
			for i := 2; i < len(at); i++ {
				if gap := at[i] - at[i-1]; gap < 160*time.Minute || gap > 200*time.Minute {
					t.Errorf("%v between looks, want about 3 h", gap)
				}
			}
		})
	}
	if len(first) < 4 {
		t.Errorf("four appliances have %d places in the period", len(first))
	}
}

func TestRunBacksOffAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := localOnly(t, "a")
		if err := os.Rename(s.cfg.Local, s.cfg.Local+"x"); err != nil {
			t.Fatal(err)
		}
		at := rounds(t, s, 10*time.Hour, func(n int) {
			if n == 8 {
				if err := os.Rename(s.cfg.Local+"x", s.cfg.Local); err != nil {
					t.Error(err)
				}
			}
		})
		if len(at) < 10 || len(at) > 14 {
			t.Fatalf("looked at %v", at)
		}
		if gap := at[1] - at[0]; gap < 15*time.Second || gap > 30*time.Second {
			t.Errorf("first retry after %v", gap)
		}
		if gap := at[7] - at[6]; gap < 15*time.Minute || gap > time.Hour {
			t.Errorf("seventh retry after %v", gap)
		}
		if gap := at[10] - at[9]; gap < 160*time.Minute {
			t.Errorf("%v between looks once it is well", gap)
		}
	})
}

// TestReadersAndWriters is for the race detector, and for a reader that must never meet half a copy.
func TestReadersAndWriters(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	r := w.follow(s, "r", sample("0"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, e := range s.Entries() {
					if _, _, err := s.Manifest(e.Slug); err != nil {
						t.Error(err)
					}
				}
				if _, err := s.Asset(r.Slug+"_one", Docs); err != nil {
					t.Error(err)
				}
				_ = s.Repositories()
				_, _ = s.RepositoryOf(r.Slug + "_one")
			}
		})
	}
	for _, v := range []string{"1", "2", "3", "4", "5"} {
		w.commit("r", sample(v))
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if err := s.Refresh(t.Context(), ""); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	close(stop)
	wg.Wait()
	if e, _ := s.Entry(r.Slug + "_one"); e.Version != "5" {
		t.Errorf("entry %+v", e)
	}
}
