package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/castellan/castellan/supervisor/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is a container whose exec answers and states follow the time since it started.
type app struct {
	began time.Time
	exec  func(age time.Duration, command string) (int, string, error)
	state func(age time.Duration) (State, error)
}

func (a app) target() Target {
	a.began = time.Now()
	return Target{
		State: func(context.Context) (State, error) {
			if a.state == nil {
				return State{Running: true}, nil
			}
			return a.state(time.Since(a.began))
		},
		Exec: func(ctx context.Context, c []string) (int, []byte, error) {
			if a.exec == nil {
				<-ctx.Done()
				return 0, nil, ctx.Err()
			}
			exit, out, err := a.exec(time.Since(a.began), c[0])
			return exit, []byte(out), err
		},
	}
}

func check(name string) spec.Check {
	return spec.Check{Name: name, Exec: &spec.ExecCheck{Command: []string{name}}}
}

func TestProbation(t *testing.T) {
	ok := func(time.Duration, string) (int, string, error) { return 0, "", nil }
	after := func(d time.Duration) func(time.Duration, string) (int, string, error) {
		return func(age time.Duration, _ string) (int, string, error) {
			if age < d {
				return 1, "warming up", nil
			}
			return 0, "", nil
		}
	}
	dies := func(d time.Duration, s State) func(time.Duration) (State, error) {
		return func(age time.Duration) (State, error) {
			if age < d {
				return State{Running: true}, nil
			}
			return s, nil
		}
	}
	for _, c := range []struct {
		name   string
		app    app
		health spec.Health
		want   string        // error, "" = healthy
		took   time.Duration // exactly
	}{
		{"three passes in a row", app{exec: ok}, spec.Health{Checks: []spec.Check{check("a")}}, "", 2 * time.Second},
		{"five of two checks", app{exec: ok}, spec.Health{Checks: []spec.Check{
			{Name: "a", Exec: &spec.ExecCheck{Command: []string{"a"}}, Successes: 5, Period: 2 * time.Second}, check("b")}},
			"", 8 * time.Second},
		{"slow to start", app{exec: after(30 * time.Second)}, spec.Health{Checks: []spec.Check{check("a")}}, "", 32 * time.Second},
		{"never well", app{exec: after(time.Hour)}, spec.Health{Checks: []spec.Check{check("frontend")}},
			`check "frontend" failed 120 of 120 times in 2m0s (last: exit code 1, "warming up")`, 2 * time.Minute},
		{"hangs", app{}, spec.Health{Checks: []spec.Check{check("a")}, Deadline: 16 * time.Second},
			`check "a" failed 4 of 4 times in 16s (last: no answer in time)`, 16 * time.Second},
		{"passes come and go", app{exec: func(age time.Duration, _ string) (int, string, error) {
			return int(age/time.Second) % 2, "", nil
		}}, spec.Health{Checks: []spec.Check{check("a")}, Deadline: 9500 * time.Millisecond},
			`check "a" failed 5 of 10 times in 9.5s (last: exit code 1)`, 9500 * time.Millisecond},
		{"passes begin too late", app{exec: after(9 * time.Second)}, spec.Health{Checks: []spec.Check{check("a")}, Deadline: 10500 * time.Millisecond},
			`check "a" failed 9 of 11 times in 10.5s (last: exit code 1, "warming up")`, 10500 * time.Millisecond},
		{"one of two never passes", app{exec: func(_ time.Duration, c string) (int, string, error) {
			if c == "b" {
				return 0, "", errors.New("no such program")
			}
			return 0, "", nil
		}}, spec.Health{Checks: []spec.Check{check("a"), check("b")}, Deadline: 5 * time.Second},
			`check "b" failed 5 of 5 times in 5s (last: no such program)`, 5 * time.Second},
		{"dies", app{exec: after(time.Hour), state: dies(3100*time.Millisecond, State{ExitCode: 3})}, spec.Health{Checks: []spec.Check{check("a")}},
			"it stopped with exit code 3 after 3.5s", 3500 * time.Millisecond},
		{"out of memory", app{exec: after(time.Hour), state: dies(time.Second, State{ExitCode: 137, OOMKilled: true})}, spec.Health{Checks: []spec.Check{check("a")}},
			"it was killed for want of memory after 1s (exit code 137)", time.Second},
		{"restart loop", app{exec: ok, state: dies(time.Second, State{Running: true, Restarts: 2})}, spec.Health{Checks: []spec.Check{check("a")}},
			"it restarted by itself within 1s (2 restarts)", time.Second},
		{"dies after its last pass", app{exec: ok, state: dies(1900*time.Millisecond, State{ExitCode: 1})}, spec.Health{Checks: []spec.Check{check("a")}},
			"it stopped with exit code 1 after 2s", 2 * time.Second},
		{"without checks it has to live", app{}, spec.Health{}, "", 10 * time.Second},
		{"without checks and dead", app{state: dies(4*time.Second, State{ExitCode: 0})}, spec.Health{Settle: time.Minute},
			"it stopped with exit code 0 after 4s", 4 * time.Second},
		{"does its one thing and ends", app{state: dies(4*time.Second, State{ExitCode: 0})}, spec.Health{Settle: time.Minute, Ends: true}, "", 4 * time.Second},
		{"fails at its one thing", app{state: dies(4*time.Second, State{ExitCode: 1})}, spec.Health{Settle: time.Minute, Ends: true},
			"it stopped with exit code 1 after 4s", 4 * time.Second},
		{"an engine away is no death", app{exec: ok, state: func(age time.Duration) (State, error) {
			if age > 100*time.Millisecond && age < 1900*time.Millisecond {
				return State{}, errors.New("cannot reach the engine")
			}
			return State{Running: true}, nil
		}}, spec.Health{Checks: []spec.Check{check("a")}}, "", 2 * time.Second},
		{"check of nothing", app{}, spec.Health{Checks: []spec.Check{{Name: "a"}}, Deadline: 1500 * time.Millisecond},
			`check "a" failed 2 of 2 times in 1.5s (last: the check has none of http, tcp, exec, engine and core)`, 1500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				tries := 0
				err := Run(t.Context(), c.app.target(), c.health, func(Result) { tries++ })
				if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
					t.Errorf("got  %v\nwant %s", got, c.want)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if len(c.health.Checks) > 0 && tries == 0 {
					t.Error("nothing was observed")
				}
			})
		})
	}
}

func TestStoppingIsNotAFailureOfTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		bad := app{exec: func(time.Duration, string) (int, string, error) { return 1, "", nil }}
		if err := Run(ctx, bad.target(), spec.Health{Checks: []spec.Check{check("a")}}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}

func TestTriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		slow := app{exec: func(time.Duration, string) (int, string, error) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			now.Add(-1)
			return 0, "", nil
		}}
		var checks []spec.Check
		for i := range 20 {
			checks = append(checks, check(fmt.Sprint(i)))
		}
		if err := Run(t.Context(), slow.target(), spec.Health{Checks: checks}, nil); err != nil {
			t.Fatal(err)
		}
		if most.Load() != parallelTries {
			t.Errorf("%d tries at once, want %d", most.Load(), parallelTries)
		}
	})
}

func TestHTTPCheck(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "stranger") }))
	defer other.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "version 2 for %s", r.Header.Get("X-Who"))
	})
	mux.HandleFunc("/sick", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) })
	mux.HandleFunc("/near", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/far", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for range 2 << 10 {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		fmt.Fprint(w, "abc")
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := httptest.NewServer(mux)
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())

	for _, c := range []struct{ url, contains, want string }{
		{"/ok", "version 2 for us", ""},
		{"/ok", "", ""},
		{"/ok", "version 3", `the answer does not contain "version 3", it begins with "version 2 for us"`},
		{"/sick", "", "non-2xx status 502"},
		{"/near", "version 2", ""},
		{"/far", "", "non-2xx status 302, a redirect to "},
		{"/round", "", "more than 5 redirects"},
		{"/endless", "", "the answer is longer than 1048576 bytes"},
		{"/cut", "", "cannot read the answer: unexpected EOF"},
		{"/hang", "", "no answer in time"},
		{"/missing", "", "non-2xx status 404"},
	} {
		t.Run(strings.Trim(c.url, "/"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			err := Try(ctx, Target{}, spec.Check{HTTP: &spec.HTTPCheck{
				URL: "http://:" + port + c.url, Contains: c.contains, Headers: map[string]string{"X-Who": "us", "host": "core"}}})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if err := Try(t.Context(), Target{}, spec.Check{HTTP: &spec.HTTPCheck{URL: "file:///etc/passwd"}}); err == nil {
		t.Error("read a file")
	}
}

func TestTCPCheck(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	c := spec.Check{TCP: &spec.TCPCheck{Address: ":" + port}}
	if err := Try(t.Context(), Target{IP: "127.0.0.1"}, c); err != nil {
		t.Error(err)
	}
	_ = l.Close()
	if err := Try(t.Context(), Target{IP: "127.0.0.1"}, c); err == nil {
		t.Error("nobody listens any more")
	}
}

func TestEngineCheck(t *testing.T) {
	for health, want := range map[string]string{
		"healthy": "", "": "the image has no HEALTHCHECK", "starting": `the engine says "starting"`, "unhealthy": `the engine says "unhealthy"`,
	} {
		target := Target{State: func(context.Context) (State, error) { return State{Running: true, Health: health}, nil }}
		if err := Try(t.Context(), target, spec.Check{Engine: true}); fmt.Sprint(err) != want && (want != "" || err != nil) {
			t.Errorf("%q: got %v, want %q", health, err, want)
		}
	}
}

func TestAddressOfTheContainer(t *testing.T) {
	for _, c := range []struct{ ip, port, want string }{
		{"172.17.0.2", ":8123", "172.17.0.2:8123"}, {"", ":80", "127.0.0.1:80"}, {"fd00::2", ":1", "[fd00::2]:1"}, {"fd00::2", "", "[fd00::2]"}, {"", "", "127.0.0.1"},
	} {
		if got := join(c.ip, c.port); got != c.want {
			t.Errorf("join(%q, %q) = %q, want %q", c.ip, c.port, got, c.want)
		}
	}
}

func TestForeignTextIsCut(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	target := Target{Exec: func(context.Context, []string) (int, []byte, error) { return 1, []byte(long), nil }}
	if err := Try(t.Context(), target, check("a")); len(err.Error()) > 300 {
		t.Errorf("%d bytes of output reached the error", len(err.Error()))
	}
	target.Exec = func(context.Context, []string) (int, []byte, error) { return 0, nil, errors.New(long) }
	if err := Try(t.Context(), target, check("a")); len(err.Error()) > 300 {
		t.Errorf("%d bytes of a foreign error reached ours", len(err.Error()))
	}
}
