package main

import (
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeEngine lists one container and one image of the demo, and records what is asked of it.
func fakeEngine(t *testing.T) (host string, asked *[]string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "d")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	asked = new([]string)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path != "/version" && !strings.Contains(r.URL.Query().Get("filters"), "castellan-demo") {
			t.Errorf("asked for more than the demo's: %s", r.URL)
		}
		switch r.Method + " " + r.URL.Path {
		case "GET /version":
			_, _ = w.Write([]byte(`{"Version":"28.5.2"}`))
		case "GET /containers/json":
			_, _ = w.Write([]byte(`[{"Id":"c1"}]`))
		case "GET /networks":
			_, _ = w.Write([]byte(`[{"Id":"n1"}]`))
		case "GET /images/json":
			_, _ = w.Write([]byte(`[{"Id":"sha256:i1"},{"Id":"sha256:i2"}]`))
		case "DELETE /images/sha256:i2":
			w.WriteHeader(http.StatusNotFound) // gone meanwhile
		}
		*asked = append(*asked, r.Method+" "+r.URL.Path)
	})}
	go srv.Serve(l)
	t.Cleanup(func() { _ = srv.Close() })
	return "unix://" + socket, asked
}

func TestCleaningLeavesNothingOfTheDemoOnAForeignEngine(t *testing.T) {
	host, asked := fakeEngine(t)
	dir := t.TempDir()
	if err := (&traces{Host: host}).begin(dir); err != nil {
		t.Fatal(err)
	}
	if err := end(dir, true); err != nil {
		t.Fatal(err)
	}
	want := []string{"GET /version", "GET /containers/json", "DELETE /containers/c1", "GET /networks", "DELETE /networks/n1", "GET /images/json", "DELETE /images/sha256:i1", "DELETE /images/sha256:i2"}
	if !slices.Equal(*asked, want) {
		t.Errorf("asked %q, want %q", *asked, want)
	}
	if err := end(dir, true); err != nil { // nothing is there any more
		t.Errorf("a second time: %v", err)
	}
}

func TestCleaningKeepsItsNotesWhileTheEngineIsAway(t *testing.T) {
	dir := t.TempDir()
	if err := (&traces{Host: "unix:///nowhere/d.sock", Installed: true}).begin(dir); err != nil {
		t.Fatal(err)
	}
	if err := end(dir, true); err == nil || !strings.Contains(err.Error(), "start the engine") {
		t.Errorf("end: %v", err)
	}
	next := &traces{Host: "unix:///nowhere/d.sock"}
	if err := next.begin(dir); err != nil || !next.Installed {
		t.Errorf("the next demo forgot what the first one did: %+v, %v", next, err)
	}
}
