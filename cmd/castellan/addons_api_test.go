package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// bridge is the outside of an addonAPI: an engine that takes the bridge away, and an address that can't be listened on.
type bridge struct {
	mu      sync.Mutex
	addr    netip.Addr
	away    error // what address answers
	taken   error // what listen answers
	breaks  error // how serve ends at once
	hangs   bool  // address waits for its context
	asked   int
	listens []string
	open    map[string]chan error // what breaks the listener at an address
}

type listener struct{ net.Listener }

func (listener) Addr() net.Addr { return &net.TCPAddr{} }

func (b *bridge) address(ctx context.Context) (netip.Addr, error) {
	b.mu.Lock()
	b.asked++
	addr, err, hangs := b.addr, b.away, b.hangs
	b.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return netip.Addr{}, ctx.Err()
	}
	return addr, err
}

func (b *bridge) listen(port uint16) (net.Listener, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listens = append(b.listens, netip.AddrPortFrom(b.addr, port).String())
	return listener{}, b.taken
}

func (b *bridge) serve(ctx context.Context, _ net.Listener) error {
	b.mu.Lock()
	at, broken, breaks := b.listens[len(b.listens)-1], make(chan error, 1), b.breaks
	b.open[at] = broken
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, at)
	}()
	if breaks != nil {
		return breaks
	}
	select {
	case err := <-broken:
		return err
	case <-ctx.Done():
		return nil
	}
}

// is waits and compares where the API answers, and how often it was listened; -1 = whatever.
func (b *bridge) is(t *testing.T, what string, after time.Duration, at string, listens int) {
	t.Helper()
	time.Sleep(after) // in the bubble's time
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	var open []string
	for a := range b.open {
		open = append(open, a)
	}
	if got := strings.Join(open, " "); got != at || listens >= 0 && len(b.listens) != listens {
		t.Errorf("%s: answers at %q after %v, want %q after %d", what, got, b.listens, at, listens)
	}
}

func (b *bridge) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func TestTheAPIForAddonsComesBackWhateverHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := netip.MustParseAddr("172.30.32.2"), netip.MustParseAddr("172.30.40.2")
		at, moved := "172.30.32.2:80", "172.30.40.2:80"
		b := &bridge{addr: one, away: errors.New("no bridge"), open: map[string]chan error{}}
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&addonAPI{address: b.address, serve: b.serve, listen: b.listen, log: slog.New(slog.NewTextHandler(&log, nil))}).run(ctx)
		}()
		b.is(t, "no bridge yet", time.Hour, "", 0)
		if n := strings.Count(log.String(), "no bridge"); n != 1 || b.asked < 60 || b.asked > 70 {
			t.Errorf("in an hour: warned %d times, tried %d times", n, b.asked)
		}
		b.set(func() { b.away = nil })
		b.is(t, "the bridge is there", addonPatience, at, 1)
		b.set(func() { b.asked = 0 })
		b.is(t, "nothing happens", time.Minute, at, 1)
		if b.asked < 5 {
			t.Errorf("the address was looked after %d times a minute", b.asked)
		}
		b.set(func() { b.away = errors.New("engine restarts") })
		b.is(t, "the engine restarts", time.Minute, at, 1)
		b.set(func() { b.away = nil })
		b.is(t, "the same bridge again", addonPatience, at, 1)
		b.set(func() { b.addr = two })
		b.is(t, "another network", addonRecheck, moved, 2)
		b.set(func() { b.open[moved] <- errors.New("accept: too many open files") })
		b.is(t, "the listener broke", addonFirst, moved, 3)
		if !strings.Contains(log.String(), "too many open files") {
			t.Errorf("nothing is said of the broken listener:\n%s", log.String())
		}
		b.set(func() { b.hangs = true })
		b.is(t, "the engine hangs", 10*time.Minute, moved, 3)
		b.set(func() { b.hangs, b.addr, b.taken = false, one, syscall.EADDRINUSE })
		b.is(t, "the port is taken", addonPatience+addonWithin, "", -1)
		b.set(func() { b.taken = nil })
		b.is(t, "the port is free", addonPatience, at, -1)
		if !strings.Contains(log.String(), "cannot answer add-ons: "+syscall.EADDRINUSE.Error()) {
			t.Errorf("nothing is said of the port:\n%s", log.String())
		}
		cancel()
		<-done
		b.is(t, "the daemon stops", 0, "", -1)
	})
}

// TestAListenerThatBreaksAtOnceIsTriedWithPatience: no loop that eats the appliance, no flood in the journal.
func TestAListenerThatBreaksAtOnceIsTriedWithPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bridge{addr: netip.MustParseAddr("172.30.32.2"), breaks: errors.New("broken"), open: map[string]chan error{}}
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		(&addonAPI{address: b.address, serve: b.serve, listen: b.listen, log: slog.New(slog.NewTextHandler(&log, nil))}).run(ctx)
		if n, warned := len(b.listens), strings.Count(log.String(), "broken"); n < 50 || n > 70 || warned != 1 {
			t.Errorf("in an hour: tried %d times, warned %d times", n, warned)
		}
	})
}

// nobody is a backend without add-ons.
type nobody struct{ api.AddonBackend }

func (nobody) Caller(string) (api.AddonCaller, bool) { return api.AddonCaller{}, false }

// loopback is an engine's network on this host.
type loopback struct {
	t  *testing.T
	at chan string // where it listens
}

func (loopback) EnsureNetwork(context.Context) (netip.Addr, error) {
	return netip.MustParseAddr("127.0.0.1"), nil
}

func (n loopback) ListenAPI(port uint16) (net.Listener, error) {
	if port != 80 {
		n.t.Errorf("listens on port %d", port)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // port 80 is not for tests
	if err == nil {
		n.at <- l.Addr().String()
	}
	return l, err
}

func TestTheAPIForAddonsAnswersOnItsAddress(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	at := make(chan string, 1)
	a := newAddonAPI(api.New(api.Config{Guests: nobody{}, Log: log}), loopback{t, at}, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.run(ctx) }()
	address := <-at
	for path, want := range map[string]string{"/supervisor/ping": `{"result":"ok","data":{}}`, "/info": "401: Unauthorized"} {
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(body) != want {
			t.Errorf("%s: got %q, %v, want %q", path, body, err, want)
		}
	}
	cancel()
	<-done
	if c, err := net.Dial("tcp", address); err == nil {
		_ = c.Close()
		t.Error("it answers after its end")
	}
}
