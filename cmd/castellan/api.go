package main

import (
	"context"
	"os"

	"github.com/castellan/castellan/supervisor/api"
)

// openAPI makes what answers local users and add-ons; it listens later.
func (h *house) openAPI(_ context.Context, data func(string) string, _ bool) error {
	token, err := hostToken(data("host.token"))
	if err != nil {
		return err
	}
	h.api = api.New(api.Config{Backend: h, Version: version, Owner: uint32(os.Getuid()), Log: h.log.With("part", "api"),
		Guests: addonCalls{h}, Registry: h.addons.offers, From: h.cfg.Addons.Network.Prefix(), Home: haView{h}, HostToken: token, State: h.stateNow,
		Ingress: &addonPages{h}, Core: coreWay{h}})
	return nil
}

// stateNow is the state of the daemon.
func (h *house) stateNow() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}
