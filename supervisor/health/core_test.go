package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/castellan/castellan/supervisor/spec"
)

const goodToken = "ey.good"

// fakeCore answers as Core does: by path, "status body". The zero value is well.
type fakeCore struct {
	state, config, page, hello string
	asked                      int // times the API was, with or without a token
}

const (
	running  = `{"state":"RUNNING","recorder_state":{"migration_in_progress":false,"migration_is_live":false}}`
	allThere = `{"components":["http","sun","frontend","websocket_api"],"state":"RUNNING"}`
)

func (f *fakeCore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := func(answer, usual, kind string) {
		if answer == "" {
			answer = usual
		}
		var status int
		_, _ = fmt.Sscanf(answer, "%d", &status)
		if status != 0 {
			w.WriteHeader(status)
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, answer)
	}
	if strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/api/websocket" {
		f.asked++
		if r.Header.Get("Authorization") != "Bearer "+goodToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
	}
	switch r.URL.Path {
	case "/api/core/state":
		say(f.state, running, "application/json")
	case "/api/config":
		say(f.config, allThere, "application/json")
	case "/":
		if r.URL.Path == "/" && f.page == "text" {
			say("hi", "", "text/plain")
			return
		}
		say(f.page, "<!DOCTYPE html>", "text/html; charset=utf-8")
	case "/api/websocket":
		if f.hello == "404" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		if f.hello == "" {
			f.hello = `{"type":"auth_required","ha_version":"2026.11.1"}`
		}
		if f.hello != "mute" {
			_ = conn.Write(r.Context(), websocket.MessageText, []byte(f.hello))
		}
		_, _, _ = conn.Read(r.Context())
	}
}

// tokenFile writes a token and gives its file's name.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func portOf(t *testing.T, address string) uint16 {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(a.Port)
}

func TestCoreGate(t *testing.T) {
	for _, c := range []struct {
		name string
		core fakeCore
		want string
	}{
		{"well", fakeCore{}, ""},
		{"starting", fakeCore{state: `{"state":"STARTING"}`}, `its state is "STARTING", not RUNNING`},
		{"migrating", fakeCore{state: `{"state":"NOT_RUNNING","recorder_state":{"migration_in_progress":true,"migration_is_live":false}}`}, "it migrates its database"},
		{"migrating while it runs", fakeCore{state: `{"state":"RUNNING","recorder_state":{"migration_in_progress":true,"migration_is_live":true}}`}, ""},
		{"older than the question", fakeCore{state: "404"}, ""},
		{"older and starting", fakeCore{state: "404", config: `{"state":"STARTING"}`}, `its state is "STARTING", not RUNNING`},
		{"API broken", fakeCore{state: "500"}, "/api/core/state: status 500"},
		{"no frontend", fakeCore{config: `{"components":["http","websocket_api"]}`}, "its component frontend is not loaded"},
		{"no components", fakeCore{config: `{}`}, "its component http is not loaded"},
		{"wrong types", fakeCore{config: `{"components":"http frontend websocket_api"}`}, "/api/config: cannot understand the answer: "},
		{"wrong state", fakeCore{state: `{"state":7}`}, "/api/core/state: cannot understand the answer: "},
		{"state is a list", fakeCore{state: `[]`}, "/api/core/state: cannot understand the answer: "},
		{"deep", fakeCore{state: strings.Repeat("[", 200_000)}, "/api/core/state: cannot understand the answer: "},
		{"long state", fakeCore{state: `{"state":"` + strings.Repeat("x", 100_000) + `"}`}, `its state is "xxx`},
		{"sick page", fakeCore{page: "502"}, "its page: status 502"},
		{"page of text", fakeCore{page: "text"}, `its page is "text/plain", not text/html`},
		{"endless page", fakeCore{page: strings.Repeat("x", bodyLimit+1)}, "its page: the answer is longer than 1048576 bytes"},
		{"no websocket", fakeCore{hello: "404"}, "its websocket: status 404"},
		{"other greeting", fakeCore{hello: `{"type":"welcome"}`}, `its websocket: it says "{\"type\":\"welcome\"}", not auth_required`},
		{"greeting of bytes", fakeCore{hello: "\x00\x01"}, `its websocket: it says "\x00\x01", not auth_required`},
		{"endless greeting", fakeCore{hello: strings.Repeat("x", 40_000)}, "its websocket: "},
		{"mute", fakeCore{hello: "mute"}, "its websocket: no answer in time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewServer(&c.core)
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			check := spec.CoreCheck{Port: portOf(t, s.Listener.Addr().String()), TokenFile: tokenFile(t, goodToken)}
			note, err := prober(spec.Check{Core: &check})(ctx, Target{})
			if c.want == "" && (err != nil || note != "") || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("got %v, note %q; want %q", err, note, c.want)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("%d bytes of foreign text", len(err.Error()))
			}
		})
	}
}

func TestCoreWithoutAToken(t *testing.T) {
	f := &fakeCore{state: `{"state":"STARTING"}`}
	s := httptest.NewServer(f)
	defer s.Close()
	check := spec.CoreCheck{Port: portOf(t, s.Listener.Addr().String())}
	var notes []string
	err := Run(t.Context(), app{}.target(), spec.Health{Checks: []spec.Check{{Name: "core", Core: &check, Period: time.Millisecond}}}, func(r Result) {
		notes = append(notes, r.Note)
	})
	if err != nil || len(notes) != 3 || notes[0] != noteNoToken {
		t.Errorf("got %v, notes %q", err, notes)
	}
	if f.asked != 0 {
		t.Errorf("the API was asked %d times: each counts as a failed login", f.asked)
	}
	f.page = "503"
	var wants *waiting
	if _, err := prober(spec.Check{Core: &check})(t.Context(), Target{}); !errors.As(err, &wants) || wants.total != 16*time.Minute {
		t.Errorf("got %v; one that answers may take its time to start", err)
	}
	check.RunWithin = 30 * time.Second
	if _, err := prober(spec.Check{Core: &check})(t.Context(), Target{}); !errors.As(err, &wants) || wants.total != 32*time.Second {
		t.Errorf("got %v; it has the time that its owner gives it, and a little for its page", err)
	}
}

func TestCoreTokens(t *testing.T) {
	f := &fakeCore{}
	s := httptest.NewServer(f)
	defer s.Close()
	port := portOf(t, s.Listener.Addr().String())
	for _, c := range []struct{ file, want string }{
		{"/nowhere/token", "cannot read Core's access token: open /nowhere/token: no such file or directory"},
		{tokenFile(t, ""), "holds no access token; put one there"},
		{tokenFile(t, "two\r\nlines: x"), "holds no access token; put one there"},
	} {
		check := spec.Check{Core: &spec.CoreCheck{Port: port, TokenFile: c.file}}
		if err := Try(t.Context(), Target{}, check); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.file, err, c.want)
		}
	}
	name := tokenFile(t, "ey.bad")
	try := prober(spec.Check{Core: &spec.CoreCheck{Port: port, TokenFile: name}})
	for range 10 {
		if _, err := try(t.Context(), Target{}); err == nil || strings.Contains(err.Error(), "ey.bad") {
			t.Fatalf("got %v", err)
		}
	}
	if f.asked != maxRefused {
		t.Errorf("a refused token was shown %d times, want %d", f.asked, maxRefused)
	}
}
