package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/access/tlscert"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/web"
)

// lanDoors are what answers on the network: where people log in, and where they see add-ons' own pages. The second stands
// and falls with the first, which names its visitors; not the other way round.
type lanDoors struct{ people, pages *addonListener }

// stop ends both and tells what broke the first before.
func (d lanDoors) stop() error {
	_ = d.pages.stop() // it is told where it is looked after
	return d.people.stop()
}

// turn sees to it that people are answered as the configuration says, or nowhere; while nobody can be let in they are told that.
func (l *lanAPI) turn(ctx context.Context, now lanDoors) (lanDoors, error) {
	cfg := l.want()
	closed := l.closed() != nil // status says why, and the register told the log
	if now.people != nil && (!now.people.answers() || cfg.Listen == "" || closed != l.away || !cfg.Equal(l.in)) {
		err, broke := now.stop(), !now.people.answers()
		l.set("", nil, config.API{}, false)
		if now = (lanDoors{}); broke && err != nil && ctx.Err() == nil && cfg.Listen != "" {
			l.log.Warn("the API for people broke off; it begins anew", "error", err)
		}
	}
	if now.people != nil || cfg.Listen == "" || closed && l.shut == nil {
		return now, nil
	}
	cert, listener, err := openNetwork(ctx, cfg, l.dir, l.log)
	if err != nil {
		return now, err
	}
	at, serve := listener.Addr().String(), l.serve
	l.set(at, cert, cfg, closed)
	if closed {
		serve = l.shut
		l.log.Info("people are told that nobody can log in", "address", at)
	} else {
		l.log.Info("people reach the API", "address", at, "tls", cfg.TLS)
	}
	now.people = answerOn(ctx, listener, l.network(), serve)
	return now, nil
}

// openNetwork opens the listener for people, and the certificate that it shows; nil = it is in the clear.
func openNetwork(ctx context.Context, cfg config.API, dir string, log *slog.Logger) (cert *tlscert.Source, l net.Listener, err error) {
	if cfg.TLS != "off" {
		if cert, err = tlscert.Open(tlscert.Config{Dir: dir, Cert: cfg.Cert, Key: cfg.Key, Hosts: certHosts(cfg), Log: log}); err != nil {
			return nil, nil, fmt.Errorf("cannot answer on %s: %w", cfg.Listen, err)
		}
	}
	var lc net.ListenConfig
	if l, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, nil, fmt.Errorf("cannot answer on %s: %w; end the other program, or change api.listen", cfg.Listen, err)
	}
	return cert, l, nil
}

func certificateOf(cert *tlscert.Source) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.GetCertificate(hello) }
}

// turnPages sees to it that add-ons' own pages are where the configuration says, or nowhere. It comes after turn.
func (l *lanAPI) turnPages(ctx context.Context, now lanDoors) (*addonListener, error) {
	if now.pages != nil && !now.pages.answers() {
		if err := now.pages.stop(); err != nil && ctx.Err() == nil {
			l.log.Warn("what answers with the pages of add-ons broke off; it begins anew", "error", err)
		}
		l.setPages("")
		now.pages = nil
	}
	to := l.in.Ingress()
	if now.pages != nil || now.people == nil || l.away || to == "" {
		return now.pages, nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", to)
	if err != nil {
		return nil, fmt.Errorf("cannot answer on %s: %w; end the other program, or change api.ingress_listen", to, err)
	}
	l.setPages(listener.Addr().String())
	l.log.Info("people see the pages of add-ons", "address", listener.Addr().String())
	return answerOn(ctx, listener, l.network(), l.pages), nil
}

// network is how a listener answers as things stand.
func (l *lanAPI) network() api.Network {
	n := api.Network{Hosts: l.in.Hosts, UI: portOf(l.at), Pages: l.ui, Page: web.Mine}
	if cert := l.cert; cert != nil {
		n.Certificate = certificateOf(cert)
	}
	return n
}

// answerOn lets serve answer on a listener.
func answerOn(ctx context.Context, on net.Listener, as api.Network, serve func(context.Context, net.Listener, api.Network) error) *addonListener {
	out := &addonListener{ended: make(chan struct{})}
	ctx, out.cancel = context.WithCancel(ctx)
	go func() {
		defer close(out.ended)
		if out.err = serve(ctx, on, as); out.err == nil && ctx.Err() == nil {
			out.err = net.ErrClosed
		}
	}()
	return out
}

// set says where people are answered now. Add-ons' pages are nowhere at first.
func (l *lanAPI) set(at string, cert *tlscert.Source, cfg config.API, away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.cert, l.in, l.away, l.pagesAt = at, cert, cfg, away, ""
}

func (l *lanAPI) setPages(at string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pagesAt = at
}

// portOf is the port of an address that is listened on.
func portOf(addr string) uint16 {
	p, err := netip.ParseAddrPort(addr)
	if err != nil { // it has none
		return 0
	}
	return p.Port()
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
