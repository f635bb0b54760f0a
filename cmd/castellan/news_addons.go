package main

import (
	"context"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/events"
	"github.com/castellan/castellan/updater"
)

// lookAt has an add-on's state looked at, "" = that of each.
func (n *news) lookAt(slug string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	if slug == "" {
		n.all = true
	} else {
		n.addons[slug] = true
	}
	n.mu.Unlock()
	n.lookAgain()
}

// lookAgain has the resolution centre looked at.
func (n *news) lookAgain() {
	if n == nil {
		return
	}
	select {
	case n.kick <- struct{}{}:
	default: // it is on its way
	}
}

// due are the add-ons that are to be looked at.
func (n *news) due() (slugs map[string]bool, all bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	slugs, all = n.addons, n.all
	n.addons, n.all = map[string]bool{}, false
	return slugs, all
}

// addon tells of an add-on's state, if it is new.
func (n *news) addon(s events.AddonState) {
	if n.fresh(events.Addon, s.Slug, s) {
		n.tell(events.Addon, s.Slug, s.Slug, s)
	}
}

// reviewWithin bounds a look at the resolution centre.
const reviewWithin = 10 * time.Second

// tellStates tells of states of add-ons, and of issues, until ctx ends. A state is looked up after something happened, never taken from the
// event, which may be late.
func (h *house) tellStates(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.news.kick:
		}
		slugs, all := h.news.due()
		if all {
			for _, slug := range h.addons.installs.Slugs() {
				slugs[slug] = true
			}
		}
		if len(slugs) > 0 {
			running, err := h.runningNow(ctx)
			for slug := range slugs {
				h.news.addon(events.AddonState{Slug: slug, State: h.addonState(slug, running, err != nil)})
			}
		}
		within, cancel := context.WithTimeout(ctx, reviewWithin)
		if err := h.api.Review(within); err != nil && ctx.Err() == nil {
			h.log.Warn("cannot tell what is wrong", "error", err)
		}
		cancel()
	}
}

// addonState is Home Assistant's word for an add-on's state; one that is gone is unknown.
func (h *house) addonState(slug string, running map[string]bool, blind bool) string {
	if r, _ := h.addons.installs.Record(slug); !r.Installed() {
		return "unknown"
	}
	a, err := addonView{h}.installed(slug, updater.Plan{}, running, blind)
	if err != nil {
		return "unknown"
	}
	return api.HAState(a.State)
}
