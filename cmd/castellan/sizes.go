package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// sizes remembers how large images are. A registry is asked only for what is not known, few at once and in bounded time.
// What a digest names never changes; what a tag names is asked for again after a while.
type sizes struct {
	mu    sync.Mutex
	known map[string]imageSize // by sizeKey
	turn  chan struct{}        // holds a token while registries are asked: who comes next finds the answers
}

type imageSize struct {
	bytes int64
	err   error
	at    time.Time
}

const (
	sizesKept    = 500
	sizesWithin  = 20 * time.Second
	sizesAtOnce  = 4
	tagKept      = 15 * time.Minute
	failureKept  = time.Minute
	troubleBytes = 300
)

// sizeKey names what is fetched.
func sizeKey(t updater.Target) string {
	if t.Digest != "" {
		return string(t.Digest)
	}
	return t.Reference
}

func (s *sizes) get(t updater.Target) (imageSize, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, ok := s.known[sizeKey(t)]
	age := time.Since(got.at)
	switch {
	case !ok, got.err != nil && age > failureKept, got.err == nil && t.Digest == "" && age > tagKept:
		return imageSize{}, false
	}
	return got, true
}

func (s *sizes) put(t updater.Target, got imageSize) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= sizesKept { // all of it can be asked for again
		s.known = map[string]imageSize{}
	}
	s.known[sizeKey(t)] = got
}

// recall fills in the sizes that are known.
func (s *sizes) recall(want map[string]updater.Target, rows []api.PlanService) {
	for i := range rows {
		t, ok := want[rows[i].Service]
		if !ok {
			continue
		}
		switch got, ok := s.get(t); {
		case !ok:
		case got.err != nil:
			rows[i].Trouble = fmt.Sprintf("%.*s", troubleBytes, got.err.Error())
		default:
			rows[i].Bytes, rows[i].Known = got.bytes, true
		}
	}
}

// fill fills in all sizes, asking for those that are not known. What does not answer in time is said to be so.
func (s *sizes) fill(ctx context.Context, f supervisor.Fetcher, want map[string]updater.Target, rows []api.PlanService) {
	ctx, cancel := context.WithTimeoutCause(ctx, sizesWithin, fmt.Errorf("no answer within %s", sizesWithin))
	defer cancel()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
		var g errgroup.Group
		g.SetLimit(sizesAtOnce)
		for _, row := range rows {
			t, ok := want[row.Service]
			if _, known := s.get(t); !ok || known {
				continue
			}
			g.Go(func() error {
				got := imageSize{at: time.Now()}
				got.bytes, got.err = sizeOf(ctx, f, row, t)
				if ctx.Err() == nil { // what was cut short says nothing
					s.put(t, got)
				}
				return nil
			})
		}
		_ = g.Wait() // no function fails
	case <-ctx.Done(): // what others found out is there to be read
	}
	s.recall(want, rows)
	for i := range rows {
		if _, ok := want[rows[i].Service]; ok && !rows[i].Known && rows[i].Trouble == "" {
			rows[i].Trouble = "its registry did not answer in time"
		}
	}
}

func sizeOf(ctx context.Context, f supervisor.Fetcher, row api.PlanService, t updater.Target) (int64, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	res, err := f.Resolve(ctx, row.Service, trust.Class(row.Class), t.Reference, t.Version)
	switch {
	case err != nil:
		return 0, err
	case t.Digest != "" && !res.Subject.Has(t.Digest):
		return 0, fmt.Errorf("the registry has another image than the channel promises, %s", t.Digest.Short())
	}
	return res.Size, nil
}
