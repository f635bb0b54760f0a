package main

import (
	"context"
	"crypto/tls"
	"fmt"
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

// turn sees to it that people are answered as the configuration says, or nowhere.
func (l *lanAPI) turn(ctx context.Context, now lanDoors) (lanDoors, error) {
	cfg := l.want()
	if now.people != nil && (!now.people.answers() || cfg.Listen == "" || l.closed() != nil || !cfg.Equal(l.in)) {
		err, broke := now.stop(), !now.people.answers()
		l.set("", nil, config.API{})
		if now = (lanDoors{}); broke && err != nil && ctx.Err() == nil && cfg.Listen != "" {
			l.log.Warn("the API for people broke off; it begins anew", "error", err)
		}
	}
	switch {
	case now.people != nil || cfg.Listen == "":
		return now, nil
	case l.closed() != nil:
		return now, nil // status says so, and the register told the log
	}
	var cert *tlscert.Source
	if cfg.TLS != "off" {
		var err error
		if cert, err = tlscert.Open(tlscert.Config{Dir: l.dir, Cert: cfg.Cert, Key: cfg.Key, Hosts: certHosts(cfg), Log: l.log}); err != nil {
			return now, fmt.Errorf("cannot answer on %s: %w", cfg.Listen, err)
		}
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return now, fmt.Errorf("cannot answer on %s: %w; end the other program, or change api.listen", cfg.Listen, err)
	}
	at := listener.Addr().String()
	l.set(at, cert, cfg)
	l.log.Info("people reach the API", "address", at, "tls", cfg.TLS)
	n := l.network()
	n.Pages, n.Page = l.ui, web.Mine
	now.people = answerOn(ctx, listener, n, l.serve)
	return now, nil
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
	if now.pages != nil || now.people == nil || to == "" {
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
	n := api.Network{Hosts: l.in.Hosts, UI: portOf(l.at)}
	if cert := l.cert; cert != nil {
		n.Certificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.GetCertificate(hello) }
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
func (l *lanAPI) set(at string, cert *tlscert.Source, cfg config.API) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.cert, l.in, l.pagesAt = at, cert, cfg, ""
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
