package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// answers is a daemon that gives each path one answer; what it has none for is not found.
func answers(t *testing.T, known map[string]any) (socket string, asked func() []string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all []string
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := r.Method + " " + r.URL.RequestURI()
		mu.Lock()
		all = append(all, line)
		mu.Unlock()
		switch v := known[line].(type) {
		case nil:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"result":"error","message":"cannot do that"}`)
		case string:
			fmt.Fprint(w, v)
		default:
			b, err := json.Marshal(map[string]any{"result": "ok", "data": v})
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(b) // a client that is gone says so itself
		}
	})}
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }() // it always ends with an error
	t.Cleanup(func() { _ = s.Close(); <-done })
	return socket, func() []string { mu.Lock(); defer mu.Unlock(); return all }
}

func TestCoreCommands(t *testing.T) {
	v, later := "2026.8.2", "2026.8.3"
	known := map[string]any{
		"GET /core/info":                  api.CoreInfo{Version: &v, VersionLatest: &later, UpdateAvailable: true, Image: "example.org/core", Port: 8123},
		"GET /core/stats":                 api.AddonStats{CPUPercent: 1.5},
		"POST /core/start":                struct{}{},
		"POST /core/restart":              struct{}{},
		"POST /core/rebuild":              struct{}{},
		"POST /core/check":                struct{}{},
		"GET /core/logs?lines=5":          "one\ntwo\n",
		"GET /castellan/status":           api.Status{Services: []api.ServiceStatus{{Name: "radio"}, {Name: "house", Class: "core"}}},
		"POST /castellan/update":          api.Accepted{Changes: []string{"c1"}},
		"GET /castellan/changes/c1":       api.Change{ID: "c1", Service: "house", To: later, State: "committed", Done: true, Good: true},
		"GET /core/logs/follow?lines=100": "three\n",
	}
	for _, c := range []struct {
		line   string
		code   int
		stdout string
	}{
		{"core info", 0, "available  2026.8.3"},
		{"core info --json", 0, `"port": 8123`},
		{"core stats", 0, "processor  1.50 %"},
		{"core start", 0, "runs"},
		{"core stop", 1, ""},
		{"core restart", 0, "runs again"},
		{"core rebuild", 0, "made anew"},
		{"core check", 0, "good"},
		{"core logs -n 5", 0, "two"},
		{"core logs -f", 0, "three"},
		{"core logs -n 0", 2, ""},
		{"core update --to 2026.8.3", 0, "house 2026.8.3: committed"},
		{"homeassistant restart", 0, "runs again"},
	} {
		socket, asked := answers(t, known)
		code, stdout, stderr := run(t, append([]string{"--socket", socket}, strings.Fields(c.line)...)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || code != 0 && nexts(stderr) != 1 {
			t.Errorf("%s: exit %d, want %d; stdout %q, stderr %q, asked %q", c.line, code, c.code, stdout, stderr, asked())
		}
	}
}

func TestNoCoreIsSaid(t *testing.T) {
	code, _, stderr := run(t, "--socket", serve(t, &butler{}), "core", "update")
	if code != 1 || !strings.Contains(stderr, "runs no Home Assistant Core") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}
