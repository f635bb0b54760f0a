// Command core stands in for Home Assistant Core in the tests and the demo: it answers what Core's health gate asks
// (/api/core/state, /api/config, /, /api/websocket, which says again what it hears), and lives through states as its environment says.
//
//	CORE_ADDR=:8123                         where it listens
//	CORE_VERSION=2026.11.1                  what /api/config and the websocket say; default APP_VERSION
//	CORE_TOKEN=secret                       the API wants this bearer token; default: it answers 401 to all
//	CORE_STATES=STARTING:2s,MIGRATING:3s    states from the start on, each for its time; then RUNNING. MIGRATING is an
//	                                        offline migration of the database, STUCK a state that never ends
//	CORE_SILENT=2s                          listens only from then on
//	CORE_ILL=frontend,websocket,components  the page answers 502; the websocket 404; frontend is not loaded
//	CORE_TLS=1                              HTTPS with a certificate made at the start
//	CORE_WRITE=/config/.HA_VERSION          writes its version there at the start
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	version := env("CORE_VERSION", env("APP_VERSION", "2026.11.1"))
	if name := os.Getenv("CORE_WRITE"); name != "" {
		if err := os.WriteFile(name, []byte(version), 0o644); err != nil {
			return err
		}
	}
	states, err := parse(os.Getenv("CORE_STATES"))
	if err != nil {
		return err
	}
	c := &core{version: version, token: os.Getenv("CORE_TOKEN"), ill: strings.Split(os.Getenv("CORE_ILL"), ","), states: states, began: time.Now()}
	if text := os.Getenv("CORE_SILENT"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return nil
		}
	}
	s := &http.Server{Addr: env("CORE_ADDR", ":8123"), Handler: c}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	if os.Getenv("CORE_TLS") == "" {
		err = s.ListenAndServe()
	} else if s.TLSConfig, err = certificate(); err == nil {
		err = s.ListenAndServeTLS("", "")
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func env(key, otherwise string) string {
	if v := os.Getenv(key); v != "" {
		return v
	}
	return otherwise
}

// phase is a state and when it ends, as an age.
type phase struct {
	name string
	ends time.Duration
}

func parse(text string) (list []phase, err error) {
	var age time.Duration
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		name, long, _ := strings.Cut(part, ":")
		if name == "STUCK" {
			long = "1000h"
		}
		d, err := time.ParseDuration(long)
		if err != nil {
			return nil, fmt.Errorf("CORE_STATES: %q: %w", part, err)
		}
		age += d
		list = append(list, phase{name, age})
	}
	return list, nil
}

type core struct {
	version, token string
	ill            []string
	states         []phase
	began          time.Time
}

func (c *core) state() (name string, migrating bool) {
	for _, p := range c.states {
		if time.Since(c.began) < p.ends {
			if p.name == "MIGRATING" {
				return "NOT_RUNNING", true
			}
			return p.name, false
		}
	}
	return "RUNNING", false
}

func (c *core) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/api/websocket" && !slices.Contains(c.ill, "websocket") {
		c.hello(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/") && (c.token == "" || r.Header.Get("Authorization") != "Bearer "+c.token) {
		http.Error(w, "401: Unauthorized", http.StatusUnauthorized)
		return
	}
	name, migrating := c.state()
	switch r.URL.Path {
	case "/api/core/state":
		answer(w, map[string]any{"state": name, "recorder_state": map[string]bool{"migration_in_progress": migrating, "migration_is_live": false}})
	case "/api/config":
		components := []string{"http", "websocket_api", "sun"}
		if !slices.Contains(c.ill, "components") {
			components = append(components, "frontend")
		}
		answer(w, map[string]any{"state": name, "components": components, "version": c.version})
	case "/":
		if slices.Contains(c.ill, "frontend") {
			http.Error(w, "no frontend", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "<!DOCTYPE html><title>Home Assistant</title><p>%s</p>\n", c.version) // who asked may have gone
	default:
		http.NotFound(w, r)
	}
}

func (c *core) hello(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer func() { _ = conn.CloseNow() }()
	say := func(kind string) bool {
		b, _ := json.Marshal(map[string]string{"type": kind, "ha_version": c.version}) // two texts
		return conn.Write(r.Context(), websocket.MessageText, b) == nil
	}
	if !say("auth_required") {
		return
	}
	var auth struct {
		Type  string `json:"type"`
		Token string `json:"access_token"`
	}
	_, b, err := conn.Read(r.Context())
	if err != nil {
		return // they looked only
	}
	if json.Unmarshal(b, &auth) != nil || auth.Type != "auth" || c.token == "" || auth.Token != c.token {
		say("auth_invalid")
		return
	}
	for ok := say("auth_ok"); ok; {
		kind, b, err := conn.Read(r.Context())
		ok = err == nil && conn.Write(r.Context(), kind, b) == nil
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who asked may have gone
}

func certificate() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"home.example"}, NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, nil
}
