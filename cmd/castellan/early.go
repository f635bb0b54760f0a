package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/web"
)

// tellFor is how long people on the network are told that the house can't be opened, before the daemon ends and is started
// again.
const tellFor = 30 * time.Second

// notice answers people with one page that says what is the matter, and with no API.
func notice(what func() web.Trouble, log *slog.Logger) func(context.Context, net.Listener, api.Network) error {
	page := web.Down(web.Config{Version: version, Host: hostName(), Log: log.With("part", "web")}, what)
	return func(ctx context.Context, l net.Listener, n api.Network) error {
		return api.ServeNotice(ctx, l, n, page)
	}
}

// hostName is what people call the appliance.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "castellan" // it is a word on the pages, no more
	}
	return name
}

// earlyDoor tells people on the network how it is while the house is opened, which takes its time after a power cut, and
// when it can't be. It has nothing that could fail: no register, no engine, no API.
type earlyDoor struct {
	trouble atomic.Value // web.Trouble
	stop    func()
	log     *slog.Logger
}

// openEarly begins to answer, where the configuration lets people in. What keeps it from answering is told when the house
// is open. The first start of all has no certificate yet, and takes a moment.
func (h *house) openEarly(cfg *config.Config, dir string) *earlyDoor {
	d := &earlyDoor{log: h.log}
	d.trouble.Store(web.Starting)
	if cfg.API.Listen == "" {
		return d
	}
	if cfg.API.TLS == "self" {
		if _, err := os.Stat(filepath.Join(dir, "tls.pem")); err != nil {
			return d
		}
	}
	ctx, cancel := context.WithCancel(h.live)
	cert, l, err := openNetwork(ctx, cfg.API, dir, h.log.With("part", "network"))
	if err != nil {
		cancel()
		h.log.Warn("people are not told that castellan starts", "error", err)
		return d
	}
	n := api.Network{}
	if cert != nil {
		n.Certificate = certificateOf(cert)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := notice(func() web.Trouble { return d.trouble.Load().(web.Trouble) }, h.log)(ctx, l, n); err != nil {
			h.log.Warn("people are not told that castellan starts", "error", err)
		}
	}()
	d.stop = func() { cancel(); <-ended }
	return d
}

// close ends it when the house is open. When it can't be opened, for the reason err, people are told for a while.
func (d *earlyDoor) close(ctx context.Context, err error) {
	if d.stop == nil {
		return
	}
	defer d.stop()
	if err == nil || ctx.Err() != nil {
		return
	}
	d.trouble.Store(troubleOf(err))
	d.log.Error("castellan cannot start; people on the network are told", "error", err, "for", tellFor)
	select {
	case <-time.After(tellFor):
	case <-ctx.Done():
	}
}

// troubleOf is what people are told of an error. Its text is for who is on the appliance.
func troubleOf(err error) web.Trouble {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return web.StorageFull
	}
	return web.CannotStart
}
