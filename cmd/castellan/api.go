package main

import (
	"context"
	"os"

	"github.com/castellan/castellan/supervisor/api"
)

// openAPI makes what answers local users and add-ons; it listens later.
func (h *house) openAPI(context.Context, func(string) string, bool) error {
	h.api = api.New(api.Config{Backend: h, Version: version, Owner: uint32(os.Getuid()), Log: h.log.With("part", "api"),
		Guests: addonCalls{h}, Registry: h.addons.offers, From: h.cfg.Addons.Network.Prefix()})
	return nil
}
