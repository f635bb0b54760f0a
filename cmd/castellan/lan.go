package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/access/tlscert"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/web"
	"github.com/castellan/castellan/trust/audit"
)

// Times of [lanAPI].
const (
	lanRecheck   = 10 * time.Second // how often it looks whether it should answer, and tries again what failed
	lanCertEvery = time.Minute
	lanTendEvery = 5 * time.Minute
)

// lanAPI keeps the API for people answering on the network of the house, as the configuration says now. Whatever is wrong,
// the daemon goes on without, and says why.
type lanAPI struct {
	people *access.Access // nil = it can't be used, for the reason broken
	broken error
	dir    string // of the certificate
	want   func() config.API
	serve  func(context.Context, net.Listener, api.Network) error
	pages  func(http.Handler) http.Handler // the web UI before the API
	log    *slog.Logger
	kick   chan struct{}

	mu   sync.Mutex // guards the rest
	in   config.API // that is served
	at   string     // address it is served at, "" = nowhere
	cert *tlscert.Source
	err  error // why it is not as it should be
}

// openPeople opens the register of who may call from the network. One that can't be used keeps them out, and nobody else.
func (h *house) openPeople(_ context.Context, data func(string) string, _ bool) error {
	h.lan = &lanAPI{dir: data("access"), want: func() config.API { return h.config().API }, log: h.log.With("part", "network"), kick: make(chan struct{}, 1)}
	people, err := access.Open(data("access"), access.Options{Log: h.log.With("part", "access")})
	if err != nil {
		h.lan.broken = err
		h.log.Error("nobody is let in from the network", "error", err)
		return nil
	}
	h.opened(people)
	h.lan.people = people
	return nil
}

// account writes into the verification log what becomes of a user or a token, before it counts.
func (h *house) account(e access.Event, by string) error {
	_, err := h.audit.Append(context.Background(), audit.KindAccount, // who asked may have left; it is done all the same
		audit.AccountPayload{What: e.What, User: e.User, Role: string(e.Role), Token: e.Token, Name: e.Name, By: by})
	return err
}

// wake makes it look at the configuration at once.
func (l *lanAPI) wake() {
	if l == nil {
		return
	}
	select {
	case l.kick <- struct{}{}:
	default: // it is about to
	}
}

// status is what people on the appliance are told.
func (l *lanAPI) status() (out api.NetworkStatus) {
	if l == nil {
		return out
	}
	l.mu.Lock()
	at, cert, cfg, err := l.at, l.cert, l.in, l.err
	l.mu.Unlock()
	out.Owner = l.people != nil && len(l.people.Users()) > 0
	if closed := l.closed(); closed != nil {
		err = closed
	}
	if at != "" {
		out.Listen, out.TLS = at, cfg.TLS
		if cert != nil {
			info := cert.Info()
			out.Fingerprint, out.Ends = info.Fingerprint, info.NotAfter
			if err == nil {
				err = cert.Problem()
			}
		}
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// closed says why nobody can be let in.
func (l *lanAPI) closed() error {
	if l.people == nil {
		return l.broken
	}
	return l.people.Closed()
}

// run goes on until ctx ends.
func (l *lanAPI) run(ctx context.Context) {
	var serving *addonListener
	var looked, tended time.Time
	var told, tendTold string
	defer func() { _ = serving.stop() }() // what broke it was told, or ctx did
	for ctx.Err() == nil {
		next, err := l.turn(ctx, serving)
		serving = next
		l.mu.Lock()
		l.err = err
		l.mu.Unlock()
		told = l.tell(told, err, "people can't reach the API; it is tried again")
		if now := time.Now(); l.people != nil && now.Sub(tended) >= lanTendEvery {
			tended = now
			tendTold = l.tell(tendTold, l.people.Tend(), "the register of users is not on disk as it is")
		}
		if now := time.Now(); serving != nil && l.cert != nil && now.Sub(looked) >= lanCertEvery {
			looked = now
			_ = l.cert.Refresh() // it tells the log itself, and status asks for it
		}
		var ended chan struct{}
		if serving != nil {
			ended = serving.ended
		}
		select {
		case <-time.After(lanRecheck):
		case <-l.kick:
			looked = time.Time{}
		case <-ended:
		case <-ctx.Done():
		}
	}
}

// tell logs a reason once, however long it lasts.
func (l *lanAPI) tell(told string, err error, what string) string {
	if err == nil {
		return ""
	}
	if told != err.Error() {
		l.log.Warn(what, "error", err)
	}
	return err.Error()
}

// turn sees to it that a listener answers as the configuration says, or none.
func (l *lanAPI) turn(ctx context.Context, now *addonListener) (*addonListener, error) {
	cfg := l.want()
	if now != nil && (!now.answers() || cfg.Listen == "" || l.closed() != nil || !cfg.Equal(l.in)) {
		err, broke := now.stop(), !now.answers()
		l.set("", nil, config.API{})
		if now = nil; broke && err != nil && ctx.Err() == nil && cfg.Listen != "" {
			l.log.Warn("the API for people broke off; it begins anew", "error", err)
		}
	}
	switch {
	case now != nil || cfg.Listen == "":
		return now, nil
	case l.closed() != nil:
		return nil, nil // status says so, and the register told the log
	}
	o := api.Network{Hosts: cfg.Hosts, Pages: l.pages, Page: web.Mine}
	var cert *tlscert.Source
	if cfg.TLS != "off" {
		var err error
		if cert, err = tlscert.Open(tlscert.Config{Dir: l.dir, Cert: cfg.Cert, Key: cfg.Key, Hosts: certHosts(cfg), Log: l.log}); err != nil {
			return nil, fmt.Errorf("cannot answer on %s: %w", cfg.Listen, err)
		}
		o.Certificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.GetCertificate(hello) }
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot answer on %s: %w; end the other program, or change api.listen", cfg.Listen, err)
	}
	at := listener.Addr().String()
	l.set(at, cert, cfg)
	l.log.Info("people reach the API", "address", at, "tls", cfg.TLS)
	next := &addonListener{ended: make(chan struct{})}
	ctx, next.cancel = context.WithCancel(ctx)
	go func() {
		defer close(next.ended)
		if next.err = l.serve(ctx, listener, o); next.err == nil && ctx.Err() == nil {
			next.err = net.ErrClosed
		}
	}()
	return next, nil
}

func (l *lanAPI) set(at string, cert *tlscert.Source, cfg config.API) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.cert, l.in = at, cert, cfg
}

// certHosts are the names of a self-made certificate. Addresses are not among them, but for one that is configured: they
// change, and with the certificate its fingerprint would.
func certHosts(cfg config.API) []string {
	var out []string
	if name, err := os.Hostname(); err == nil { // without one there are the others
		short, _, _ := strings.Cut(name, ".")
		out = append(out, name, short, short+".local")
	}
	if host, _, err := net.SplitHostPort(cfg.Listen); err == nil && host != "" && !net.ParseIP(host).IsUnspecified() {
		out = append(out, host)
	}
	return append(out, cfg.Hosts...)
}
