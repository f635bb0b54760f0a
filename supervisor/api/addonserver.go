package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/services"
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

// AddonConfig is what an [AddonServer] is made of.
type AddonConfig struct {
	Backend  AddonBackend
	Registry *services.Registry
	// Announced is told of discovery messages that are new, changed or gone, after they are on disk; nil = nobody
	// is. It must not block: Home Assistant may be away.
	Announced func(m services.Message, gone bool)
	// From is the subnet of the bridge; connections from elsewhere are closed unheard, because a host that forwards
	// may let other networks onto the bridge. The host itself and what shares its network come from the bridge's own
	// address, which is of the subnet. The zero prefix = from anywhere.
	From netip.Prefix
	Log  *slog.Logger
}

// AddonServer is the Supervisor's API as add-ons reach it, at http://supervisor on the bridge they share.
//
// # Threat model
//
// An add-on is somebody else's program with a token of its own, and may share the bridge with one that is hostile. A
// token opens what its add-on may do to itself, never more: nothing that forces, pins, holds, or changes trust is
// reachable with it, whatever its manifest asks for, and asking is logged. No add-on can take the API from the others:
// connections are limited per address and in all, calls per add-on, and slow ones are cut.
type AddonServer struct {
	cfg     AddonConfig
	handler http.Handler
	calls   calls
	refused refusals
}

var _ http.Handler = (*AddonServer)(nil)

// NewAddons makes a server.
func NewAddons(cfg AddonConfig) *AddonServer {
	s := &AddonServer{cfg: cfg}
	s.handler = s.mux()
	return s
}

// ServeHTTP implements [http.Handler].
func (s *AddonServer) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// addonWithin bounds a call that only reads.
const addonWithin = time.Minute

// Serve answers on l until ctx ends; then running requests get three seconds. Closing is no error.
func (s *AddonServer) Serve(ctx context.Context, l net.Listener) error {
	return serveUntil(ctx, &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      addonWithin + 30*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    24570, // as the Supervisor's
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}, limitConns(l, s.cfg.From))
}
