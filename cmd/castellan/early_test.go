package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/web"
)

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// look reads a page, "" when nobody answers.
func look(t *testing.T, at string) (code int, page string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := c.Get("http://" + at + "/ui/")
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestPeopleAreToldThatItStarts, and the door is free for the API afterwards.
func TestPeopleAreToldThatItStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h := &house{log: quietLog(), live: ctx}
	cfg := &config.Config{API: config.API{Listen: free(t), TLS: "off"}}
	d := h.openEarly(cfg, t.TempDir())
	if code, page := look(t, cfg.API.Listen); code != 503 || !strings.Contains(page, "Castellan is starting") {
		t.Errorf("while it starts: %d %s", code, page)
	}
	d.close(ctx, nil)
	if code, _ := look(t, cfg.API.Listen); code != 0 {
		t.Errorf("afterwards it answers %d still", code)
	}
	l, err := net.Listen("tcp", cfg.API.Listen)
	if err != nil {
		t.Fatalf("the API can't take its place: %v", err)
	}
	defer l.Close()
	if d := h.openEarly(cfg, t.TempDir()); d.stop != nil { // the port is taken: that keeps nothing from opening
		t.Error("it listens beside another program")
	}
	for what, c := range map[string]config.API{"nobody is let in": {TLS: "off"}, "there is no certificate yet": {Listen: free(t), TLS: "self"}} {
		if d := h.openEarly(&config.Config{API: c}, t.TempDir()); d.stop != nil {
			t.Errorf("%s: it answers", what)
		}
	}
}

// TestPeopleAreToldWhyItCannotStart, for a while, and at once when the daemon is told to end.
func TestPeopleAreToldWhyItCannotStart(t *testing.T) {
	for want, err := range map[string]error{
		"The storage is full":    fmt.Errorf("cannot open the log: %w", &os.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}),
		"Castellan cannot start": errors.New("the journal is damaged"),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		h := &house{log: quietLog(), live: t.Context()}
		cfg := &config.Config{API: config.API{Listen: free(t), TLS: "off"}}
		d := h.openEarly(cfg, t.TempDir())
		ended := make(chan struct{})
		go func() { d.close(ctx, err); close(ended) }()
		for late := time.After(20 * time.Second); ; {
			code, page := look(t, cfg.API.Listen)
			if code == 503 && strings.Contains(page, want) && !strings.Contains(page, err.Error()) {
				break
			}
			select {
			case <-late:
				t.Fatalf("%d %s, want %q and no more", code, page, want)
			case <-time.After(5 * time.Millisecond):
			}
		}
		cancel()
		<-ended
		if code, _ := look(t, cfg.API.Listen); code != 0 {
			t.Errorf("after the end it answers %d", code)
		}
	}
}

// TestPeopleAreToldThatNobodyCanLogIn while the register can't be read, and the API takes the place once it can.
func TestPeopleAreToldThatNobodyCanLogIn(t *testing.T) {
	dir, at := t.TempDir(), free(t)
	if err := os.WriteFile(filepath.Join(dir, access.FileName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	people, err := access.Open(dir, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer people.Close()
	s := api.New(api.Config{Backend: &butler{}, Version: "1", People: people, Log: quietLog()})
	l := &lanAPI{people: people, dir: dir, want: func() config.API { return config.API{Listen: at, TLS: "off"} }, serve: s.ServePeople, pages: s.ServeIngress,
		shut: notice(func() web.Trouble { return web.RegisterShut }, quietLog()), log: quietLog(), kick: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { l.run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	wait := func(what string, is func(int, string) bool) {
		t.Helper()
		for late := time.After(20 * time.Second); ; {
			l.wake()
			code, page := look(t, at)
			if is(code, page) {
				return
			}
			select {
			case <-late:
				t.Fatalf("%s: %d %s", what, code, page)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	wait("closed", func(code int, page string) bool { return code == 503 && strings.Contains(page, "Nobody can log in") })
	if st := l.status(); st.Listen != "" || !strings.Contains(st.Error, access.FileName) {
		t.Errorf("the status is %+v", st)
	}
	if _, err := people.Reset(); err != nil {
		t.Fatal(err)
	}
	wait("open", func(code int, _ string) bool { return code == http.StatusNotFound || code == http.StatusUnauthorized })
	if st := l.status(); st.Listen != at || st.Error != "" {
		t.Errorf("the status is %+v", st)
	}
}
