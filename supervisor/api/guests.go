package api

import (
	"context"

	"github.com/castellan/castellan/addons"
)

// AddonBackend is the appliance as its add-ons see it. Calls are safe for concurrent use. slug is always the caller's
// own; an error that is no [Error] becomes status 400 with its text, so it must not hold secrets.
type AddonBackend interface {
	AddonCallers
	Info(ctx context.Context) (Info, error)
	// Addon is what is known of one add-on besides its manifest.
	Addon(ctx context.Context, slug string) (AddonState, error)
	// Options are the effective options, checked by the schema: what the container finds in /data/options.json.
	Options(ctx context.Context, slug string) (map[string]any, error)
	// SetOptions keeps the owner's options, durably, after the schema has taken them; nil = the manifest's defaults.
	SetOptions(ctx context.Context, slug string, options map[string]any) error
	// Run answers as soon as the work is accepted: who asks is stopped by it.
	Run(ctx context.Context, slug string, do AddonAction) error
	// Refused writes into the verification log that an add-on asked for what no add-on may: what is method and
	// path. It is called a few times per minute and add-on at most, however often the add-on asks.
	Refused(ctx context.Context, slug, what string)
}

// AddonCallers knows who calls.
type AddonCallers interface {
	// Caller finds the installed add-on whose container was started with a token, without telling by its time how much
	// of the token is right; nobody has the empty one. It is asked for each request, also by who has no token: it
	// answers from memory and looks at one manifest at most. An add-on is found no more before [services.Registry.Drop]
	// forgets what it offers.
	Caller(token string) (AddonCaller, bool)
	// Callers are all of them.
	Callers() []AddonCaller
}

// AddonCaller is who calls.
type AddonCaller struct {
	Slug     string
	Token    string // "" = it does not run and can't call
	Manifest addons.Manifest
}

// AddonAction is what an add-on may have done to itself.
type AddonAction string

// Actions.
const (
	AddonStop    AddonAction = "stop"
	AddonRestart AddonAction = "restart"
)
