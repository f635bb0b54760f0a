package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// actWithin bounds what an add-on has done to itself.
const actWithin = 15 * time.Minute

// ownActs is what add-ons have done to themselves now, one thing each: until it is stopped, one may ask as often as it likes.
type ownActs struct {
	mu    sync.Mutex
	doing map[string]api.AddonAction // by slug
}

// begin does it, and waits for nothing. What is being done already is done once.
func (o *ownActs) begin(ctx context.Context, slug string, do api.AddonAction, work func(context.Context)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now, busy := o.doing[slug]; busy {
		if now == do {
			return nil
		}
		return &api.Error{Status: http.StatusBadRequest, Key: api.KeyJobBusy, Message: "Another job is running for job group app_" + slug}
	}
	if o.doing == nil {
		o.doing = map[string]api.AddonAction{}
	}
	o.doing[slug] = do
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actWithin)
	go func() {
		defer cancel()
		defer func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			delete(o.doing, slug)
		}()
		work(ctx)
	}()
	return nil
}
