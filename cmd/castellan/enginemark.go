package main

import (
	"context"
	"sync"
	"time"
)

// engineFresh is how long the engine's version is taken to be what it was: programs ask for it all the time, and it changes
// with a restart of the engine.
const engineFresh = 10 * time.Second

// engineMark remembers the engine's version. The zero one knows nothing.
type engineMark struct {
	mu      sync.Mutex
	version string
	asked   time.Time
}

// get gives the version, and asks for it when what is known is old; one asks, the others wait for the answer. An engine that
// is away has none.
func (m *engineMark) get(now time.Time, ask func() string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.asked.IsZero() || now.Sub(m.asked) >= engineFresh || now.Before(m.asked) {
		m.version, m.asked = ask(), now
	}
	return m.version
}

// engineVersion is the version of the engine, "" while it is away: that is no reason to say nothing else.
func (h *house) engineVersion(ctx context.Context) string {
	return h.mark.get(time.Now(), func() string {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineWithin)
		defer cancel()
		info, err := h.engine.Info(ctx)
		if err != nil {
			return ""
		}
		return info.Version
	})
}
