package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"time"

	"github.com/castellan/castellan/addons/services"
	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/events"
	"github.com/castellan/castellan/supervisor/jobs"
)

// Config is what a [Server] is made of.
type Config struct {
	Backend Backend
	Version string
	Owner   uint32 // user the daemon runs as, who may do what root may
	Log     *slog.Logger

	// Guests is the appliance as its add-ons see it; nil = it has none, and [Server.ServeAddons] knows no token of theirs.
	Guests AddonBackend
	// Registry is what add-ons offer each other; it comes with Guests.
	Registry *services.Registry
	// Announced is told of discovery messages that are new, changed or gone, after they are on disk; nil = nobody
	// is. It must not block: Home Assistant may be away.
	Announced func(m services.Message, gone bool)
	// From is the subnet of the bridge; connections to [Server.ServeAddons] from elsewhere are closed unheard, because a
	// host that forwards may let other networks onto the bridge. The host itself and what shares its network come from the
	// bridge's own address, which is of the subnet. The zero prefix = from anywhere.
	From netip.Prefix
	// Home is the appliance as Home Assistant's API shows it; nil = that API is not there.
	Home HomeAssistant
	// Ingress is the add-ons' own pages; nil = none are shown.
	Ingress Ingress
	// Core is the way to Home Assistant Core, for add-ons that may; nil = there is none.
	Core CoreAPI
	// State is that of the daemon: startup, running, stopping; nil = it is running.
	State func() string
	// Backups are those that people ask for; nil = the appliance makes none.
	Backups Backups
	// BackupFirst makes backups before updates; nil = there are none, and who asks for one is told.
	BackupFirst BackupFirst
	// Settings tells what the configuration in force says; nil = nobody does.
	Settings func(context.Context) (Settings, error)
	// Support gathers support bundles; nil = the appliance makes none.
	Support Support
	// People are who may call from the network of the house; nil = nobody may, and there are no users.
	People *access.Access
	// Account writes down what becomes of a user or a token, and by whom, before it counts; an error fails the call, see
	// [access.Witness]. nil = it is not written down.
	Account func(e access.Event, by string) error
	// Jobs runs what outlives its call; nil = a manager that nobody else knows.
	Jobs *jobs.Manager
	// JobIDs remembers which job a change belongs to; nil = nothing does, and a client finds it under the change's own ID.
	JobIDs JobIDs
	// Events tells what happens; nil = a hub that nobody else knows.
	Events *events.Hub
	// Verdicts counts the verdicts since the start by outcome, for the metrics; nil = nobody counts.
	Verdicts func() map[string]uint64
	// HostToken opens everything on the bridge, as that of Home Assistant's command line does; "" = there is none.
	HostToken string
}

// Server is the API. It answers on any number of listeners, which differ in how they tell who calls.
type Server struct {
	cfg     Config
	calls   calls
	refused refusals
	gone    dismissed
	courses courses

	reviewed reviewed

	visits  ingressSessions
	ingress func() *httputil.ReverseProxy

	streams shares // of people on the network

	core      func() *httputil.ReverseProxy
	coreCalls calls
}

// New makes a server.
func New(cfg Config) *Server {
	if cfg.Jobs == nil {
		cfg.Jobs = jobs.New(context.Background(), jobs.Config{Describe: JobError, Log: cfg.Log})
	}
	if cfg.Events == nil {
		cfg.Events = events.New(context.Background(), events.Config{})
	}
	s := &Server{cfg: cfg}
	s.visits.in = s.in
	s.ingress, s.core = sync.OnceValue(s.pages), sync.OnceValue(s.coreProxy)
	return s
}

// Times of a call on the bridge.
const addonWithin = time.Minute // that does not last

// Serve answers on l, a unix socket, until ctx ends; then running requests get three seconds. Closing is no error.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := s.http(s.Handler())
	srv.ConnContext = withPeer
	return serveUntil(ctx, srv, l)
}

// ServeAddons answers on l, a listener on the bridge of the add-ons, as [Server.Serve] does.
func (s *Server) ServeAddons(ctx context.Context, l net.Listener) error {
	srv := s.http(s.AddonHandler())
	srv.WriteTimeout = addonWithin + 30*time.Second
	return serveUntil(ctx, srv, limitConns(l, s.cfg.From))
}

func (s *Server) http(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    24570, // as the Supervisor's
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// Handler is the API for local users, without a listener: who calls is who the kernel says is at the other end.
func (s *Server) Handler() http.Handler {
	return s.handler(door{who: func(r *http.Request) Caller { return s.local(r.Context()) }})
}

// AddonHandler is the API for add-ons and for who has the host token, without a listener.
func (s *Server) AddonHandler() http.Handler {
	return s.handler(door{who: s.byToken, within: addonWithin, core: true})
}

// HandlerFor is the API for callers that who tells of. A caller that is not known may call what is open to all.
func (s *Server) HandlerFor(who func(*http.Request) Caller) http.Handler {
	return s.handler(door{who: who})
}
