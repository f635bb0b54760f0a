package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// addonPort is where add-ons look for the Supervisor.
const addonPort = 80

// Times of [addonAPI]. An engine that makes the bridge anew leaves our address off it; add-ons try again for longer than
// addonRecheck.
const (
	addonRecheck  = 10 * time.Second // how often the address is put where it belongs
	addonWithin   = 30 * time.Second // how long that may take
	addonFirst    = time.Second      // wait after a failure, doubled up to addonPatience
	addonPatience = time.Minute
)

// addonAPI keeps the API for add-ons answering on the bridge they share. The bridge comes and goes with the engine:
// whatever fails is tried again, and the daemon goes on without.
type addonAPI struct {
	// address puts the API's address onto the bridge, unless it is there, and gives it.
	address func(context.Context) (netip.Addr, error)
	// serve answers on a listener until ctx ends or the listener breaks; it closes the listener.
	serve  func(context.Context, net.Listener) error
	listen func(port uint16) (net.Listener, error) // on that address, once it is there
	log    *slog.Logger
}

// apiNetwork is where the API listens; [engine.Engine] implements it.
type apiNetwork interface {
	EnsureNetwork(ctx context.Context) (netip.Addr, error)
	ListenAPI(port uint16) (net.Listener, error)
}

// newAddonAPI makes one from where it listens and what answers.
func newAddonAPI(server *api.Server, at apiNetwork, log *slog.Logger) *addonAPI {
	return &addonAPI{address: at.EnsureNetwork, serve: server.ServeAddons, listen: at.ListenAPI, log: log}
}

// run goes on until ctx ends.
func (a *addonAPI) run(ctx context.Context) {
	var (
		wait    time.Duration
		told    string
		serving *addonListener
	)
	defer func() { serving.stop() }()
	for ctx.Err() == nil {
		next, err := a.turn(ctx, serving)
		if serving = next; err == nil {
			serving.await(ctx, addonRecheck)
			if serving.answers() { // long enough not to be a start that fails at once
				wait, told = 0, ""
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if told != err.Error() { // once per reason, however long it lasts
			told = err.Error()
			a.log.Warn("add-ons can't reach the supervisor; it is tried again", "error", err)
		}
		wait = min(max(2*wait, addonFirst), addonPatience)
		serving.await(ctx, wait)
	}
}

// turn puts the address where it belongs and sees to it that a listener answers there. A listener outlives that its
// address is away for a while, and goes on when the address is back.
func (a *addonAPI) turn(ctx context.Context, now *addonListener) (*addonListener, error) {
	if now != nil && !now.answers() {
		return nil, fmt.Errorf("the API for add-ons broke off: %w", now.stop())
	}
	within, cancel := context.WithTimeout(ctx, addonWithin)
	defer cancel()
	addr, err := a.address(within)
	if err != nil {
		return now, fmt.Errorf("cannot put the address for add-ons onto their bridge: %w", err)
	}
	if now != nil {
		if now.addr == addr {
			return now, nil
		}
		if err := now.stop(); err != nil {
			a.log.Debug("the API for add-ons moves", "error", err)
		}
	}
	l, err := a.listen(addonPort)
	if err != nil {
		return nil, fmt.Errorf("cannot answer add-ons: %w", err)
	}
	a.log.Info("add-ons reach the supervisor", "address", l.Addr().String())
	next := &addonListener{addr: addr, ended: make(chan struct{})}
	ctx, next.cancel = context.WithCancel(ctx)
	go func() {
		defer close(next.ended)
		if next.err = a.serve(ctx, l); next.err == nil && ctx.Err() == nil {
			next.err = net.ErrClosed
		}
	}()
	return next, nil
}

// addonListener is an API that answers. The nil one answers nowhere.
type addonListener struct {
	addr   netip.Addr
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // why it ended, once it has
}

// answers tells whether it has not broken.
func (l *addonListener) answers() bool {
	if l == nil {
		return false
	}
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}

// stop ends the listener and tells what broke it before.
func (l *addonListener) stop() error {
	if l == nil {
		return nil
	}
	l.cancel()
	<-l.ended
	return l.err
}

// end is closed when the listener breaks or ends; that of the nil one never.
func (l *addonListener) end() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.ended
}

// await waits for d, for the end of ctx, or for the listener to break, whichever comes first.
func (l *addonListener) await(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-l.end():
	case <-ctx.Done():
	}
}
