package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// TestWhoHasNoTokenMakesNobodyLookAtAllAddons: their manifests are read for that, and anybody on the bridge can ask.
func TestWhoHasNoTokenMakesNobodyLookAtAllAddons(t *testing.T) {
	a, _, srv := addonHouse(t)
	web := httptest.NewServer(srv.AddonHandler())
	defer web.Close()
	for _, header := range []string{"X-Supervisor-Token: wrong", "X-Other: none", "X-Supervisor-Token: token-twin"} {
		for _, path := range []string{"/services", "/info", "/no/such/path"} {
			if status, _ := ask(t, web.URL, "GET", path, header, nil); status != 401 {
				t.Errorf("%s, %s: got %d", path, header, status)
			}
		}
	}
	if a.looks != 0 {
		t.Errorf("%d looks at all add-ons", a.looks)
	}
}

func TestOneAddonCannotTakeAllCallsOrConnections(t *testing.T) {
	a, _, srv := addonHouse(t)
	a.block = make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- srv.ServeAddons(ctx, l) }()
	url := "http://" + l.Addr().String()

	var wg sync.WaitGroup
	codes := make(chan int, 9)
	for range 9 { // one more than an add-on may have open: the one that comes last is told so at once
		wg.Go(func() {
			status, _ := ask(t, url, "GET", "/info", "X-Supervisor-Token: token-c", nil)
			codes <- status
		})
	}
	select {
	case got := <-codes:
		if got != 429 {
			t.Errorf("the first answer is %d, want 429", got)
		}
	case <-time.After(10 * time.Second):
		close(a.block)
		t.Fatal("nine calls of one add-on are open, none was refused")
	}
	if status, _ := ask(t, url, "GET", "/services", "X-Supervisor-Token: token-a", nil); status != 200 {
		t.Errorf("another add-on gets %d", status)
	}
	close(a.block)
	wg.Wait()
	for range 8 {
		if got := <-codes; got != 200 {
			t.Errorf("a call within the limit: %d", got)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()

	closed := 0
	var open []net.Conn
	for range 80 { // 64 are the limit of an address
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	ends := make(chan bool, len(open))
	for _, c := range open { // which of them get the places depends on when those of the calls before are free
		go func() {
			_ = c.SetReadDeadline(time.Now().Add(3 * time.Second))
			_, err := c.Read(make([]byte, 1))
			ends <- err != nil && !isTimeout(err)
		}()
	}
	for range open {
		if <-ends {
			closed++
		}
	}
	if closed < len(open)-64 {
		t.Errorf("%d of %d connections were closed, 64 are the limit of an address", closed, len(open))
	}
	for _, c := range open {
		_ = c.Close()
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestOnlyTheBridgeIsHeard(t *testing.T) {
	for from, heard := range map[string]bool{"127.0.0.0/8": true, "172.30.32.0/23": false} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		srv := api.New(api.Config{Guests: &appliance{}, From: netip.MustParsePrefix(from), Log: slog.New(slog.DiscardHandler)})
		go func() { served <- srv.ServeAddons(ctx, l) }()
		resp, err := http.Get("http://" + l.Addr().String() + "/supervisor/ping")
		if err == nil {
			_ = resp.Body.Close()
		}
		if (err == nil) != heard {
			t.Errorf("from 127.0.0.1 where %s is heard: %v", from, err)
		}
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func FuzzAddonBodies(f *testing.F) {
	paths := []string{"/addons/self/options", "/addons/self/stop", "/services/mqtt", "/discovery"}
	for i := range paths {
		f.Add(i, []byte(mqtt))
		f.Add(i, []byte(`{"service":"mqtt","config":{"a":[1]}}`))
		f.Add(i, []byte(`{"options":{"a":[1]}}`))
		f.Add(i, []byte(`[[[[`))
	}
	_, reg, srv := addonHouse(f)
	f.Fuzz(func(t *testing.T, i int, body []byte) {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest("POST", paths[uint(i)%uint(len(paths))], bytes.NewReader(body))
		req.Header.Set("X-Supervisor-Token", "token-a")
		srv.AddonHandler().ServeHTTP(rec, req)
		if !json.Valid(rec.Body.Bytes()) || rec.Code >= 500 {
			t.Errorf("got %d %q", rec.Code, rec.Body.String())
		}
		if err := reg.Drop("a"); err != nil {
			t.Error(err)
		}
	})
}
