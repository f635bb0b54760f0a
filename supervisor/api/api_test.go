package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

// house records what reached it.
type house struct {
	mood
	mu    sync.Mutex
	calls []string

	status api.Status
	end    api.Change // how every change ends
	noCore bool
	shop   []api.Addon // what is installed and offered
	job    []string    // changes that are made of what is asked for
	skips  []api.PlanSkip
	away   error // why nothing can be looked at

	hang  chan struct{} // changes end when it is closed; nil = at once
	waits func()        // is called when somebody waits for one

	kept map[string]string // the jobs of changes

	log    []api.LogRecord // oldest first
	broken error           // why the log can't be read to its end
}

func (h *house) did(s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, s)
}

func (h *house) Status(context.Context) (api.Status, error) { return h.status, nil }
func (h *house) Check(context.Context) (api.Plan, error)    { h.did("check"); return api.Plan{}, nil }
func (h *house) Update(_ context.Context, r api.UpdateRequest) (api.Accepted, error) {
	if h.refuses != nil {
		return api.Accepted{}, h.refuses
	}
	h.did("update " + r.Service + " " + r.Version)
	if h.skips != nil {
		return api.Accepted{Skips: h.skips}, nil
	}
	return api.Accepted{Changes: []string{"c1"}}, nil
}
func (h *house) Rollback(_ context.Context, s string) (api.Accepted, error) {
	if s == "nobody" {
		return api.Accepted{}, errors.New(`no service "nobody"`)
	}
	h.did("rollback " + s)
	return api.Accepted{}, nil
}
func (h *house) Changes(context.Context) ([]api.Change, error) {
	return []api.Change{{ID: "c1", Service: "core", Kind: "update", State: "committed", Done: true, Good: true}}, nil
}
func (h *house) Against(_ context.Context, service string) (api.Refusal, error) {
	return api.Refusal{Change: api.Change{Service: service}}, nil
}
func (h *house) Force(_ context.Context, r api.ForceRequest, by string) (api.Override, error) {
	h.did("force " + r.Service + " by " + by)
	return api.Override{ID: "o1"}, nil
}
func (h *house) Pins(context.Context) ([]api.Pin, error) { return []api.Pin{{Service: "core"}}, nil }
func (h *house) Forget(_ context.Context, s, by string) error {
	h.did("forget " + s + " by " + by)
	return nil
}
func (h *house) InitHouse(_ context.Context, by string) (api.HouseKey, error) {
	h.did("house init by " + by)
	return api.HouseKey{Publisher: "p-x"}, nil
}
func (h *house) AcceptHouse(_ context.Context, r api.HouseRequest, by string) (api.HouseWord, error) {
	h.did("house accept " + r.Service + " by " + by)
	return api.HouseWord{Status: "TRUSTED"}, nil
}
func (h *house) WithdrawHouse(_ context.Context, r api.HouseRequest, by string) (api.HouseWord, error) {
	h.did("house withdraw " + r.Service + " by " + by)
	return api.HouseWord{Status: "UNTRUSTED"}, nil
}
func (h *house) House(context.Context) (api.HouseList, error) {
	return api.HouseList{Publisher: "p-x"}, nil
}
func (h *house) Trust() api.Trust { return h }
func (h *house) Log() api.Log     { return h }
func (h *house) Records(_ context.Context, q api.LogQuery) ([]api.LogRecord, error) {
	all := h.log
	switch {
	case h.records != nil:
		all = h.records()
	case h.log == nil:
		return []api.LogRecord{{Seq: 1}}, nil
	}
	all = slices.DeleteFunc(slices.Clone(all), func(r api.LogRecord) bool { return q.Before > 0 && r.Seq >= q.Before })
	return all[max(0, len(all)-q.Last):], nil
}
func (h *house) Days(_ context.Context, n int) ([]api.LogDay, error) {
	return make([]api.LogDay, n), nil
}
func (h *house) Verify(context.Context) (api.LogReport, error) { return api.LogReport{OK: true}, nil }
func (h *house) Explain(_ context.Context, n uint64) (api.Explanation, error) {
	return api.Explanation{Seq: n}, nil
}
func (h *house) Replay(_ context.Context, n uint64) (api.Replay, error) {
	return api.Replay{Seq: n, Agree: true}, nil
}

func serve(t *testing.T, owner uint32) (*house, string) {
	t.Helper()
	h := &house{}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- api.New(api.Config{Backend: h, Version: "1.2.3", Owner: owner, Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return h, socket
}

func raw(t *testing.T, socket, method, path, body string) (int, string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequest(method, "http://x"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestBadRequestsChangeNothingAndSayWhatIsWrong(t *testing.T) {
	h, socket := serve(t, uint32(os.Getuid()))
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"unknown path", "GET", "/nope", "", 404, "no such path"},
		{"wrong method", "DELETE", "/castellan/update", "", 405, "405: Method Not Allowed"},
		{"unknown key", "POST", "/castellan/update", `{"service":"core","force":true}`, 400, "extra keys not allowed @ /force"},
		{"duplicate key", "POST", "/castellan/rollback", `{"service":"a","service":"b"}`, 400, "Invalid json"},
		{"case variant", "POST", "/castellan/rollback", `{"Service":"a"}`, 400, "extra keys not allowed"},
		{"wrong type", "POST", "/castellan/rollback", `{"service":7}`, 400, "wrong type @ /service"},
		{"garbage", "POST", "/castellan/update", "\x00\xff{", 400, "Invalid json"},
		{"array", "POST", "/castellan/update", `[]`, 400, "wrong type"},
		{"version without service", "POST", "/castellan/update", `{"version":"1"}`, 400, `field \"service\" is missing`},
		{"forget of nothing", "POST", "/castellan/trust/forget", `{}`, 400, `field \"service\" is missing`},
		{"accept of nothing", "POST", "/castellan/trust/house/accept", `{}`, 400, `field \"service\" is missing`},
		{"withdrawal of nothing", "POST", "/castellan/trust/house/withdraw", `{"version":"1"}`, 400, `field \"service\" is missing`},
		{"rollback of nothing", "POST", "/castellan/rollback", ``, 400, `field \"service\" is missing`},
		{"backend's own error", "POST", "/castellan/rollback", `{"service":"nobody"}`, 400, `no service \"nobody\"`},
		{"too large", "POST", "/castellan/update", `{"service":"` + strings.Repeat("a", 17<<20) + `"}`, 400, "larger than"},
		{"log number", "GET", "/castellan/log/x/explain", "", 400, `cannot read path \"seq\"`},
		{"log last", "GET", "/castellan/log?last=-1", "", 400, "want a number"},
		{"traversal", "GET", "/castellan/changes/..%2f..%2fetc", "", 400, `the path holds \"..\"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := raw(t, socket, c.method, c.path, c.body)
			if status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("got %d %s, want %d and %q", status, body, c.status, c.says)
			}
			if c.status != 405 && !strings.HasPrefix(body, `{"result":"error","message":`) {
				t.Errorf("not an error envelope: %s", body)
			}
		})
	}
	if len(h.calls) != 0 {
		t.Errorf("bad requests reached the house: %v", h.calls)
	}
}

func TestWritesAreForRootAndTheOwnerOfTheDaemon(t *testing.T) {
	if os.Getuid() == 0 {
		// Root may do everything, so the refusal is asked through a connection without peer credentials.
		h := &house{}
		srv := api.New(api.Config{Backend: h, Owner: 4242, Log: slog.New(slog.DiscardHandler)})
		for _, path := range []string{"/castellan/check", "/castellan/update", "/castellan/rollback", "/castellan/trust/force", "/castellan/trust/forget",
			"/castellan/trust/house/init", "/castellan/trust/house/accept", "/castellan/trust/house/withdraw"} {
			rec := newRecorder()
			req, _ := http.NewRequest("POST", path, strings.NewReader(`{}`))
			srv.Handler().ServeHTTP(rec, req)
			if rec.status != 403 || len(h.calls) != 0 {
				t.Errorf("%s by nobody: %d %s, calls %v", path, rec.status, rec.body.String(), h.calls)
			}
		}
		return
	}
	h, socket := serve(t, uint32(os.Getuid())+1)
	if status, body := raw(t, socket, "POST", "/castellan/check", ""); status != 403 || len(h.calls) != 0 {
		t.Errorf("got %d %s", status, body)
	}
}

type recorder struct {
	status int
	header http.Header
	body   strings.Builder
}

func newRecorder() *recorder                    { return &recorder{header: http.Header{}} }
func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(s int)           { r.status = s }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

func TestClientCallsReachTheHouseAndErrorsComeBackWhole(t *testing.T) {
	h, socket := serve(t, uint32(os.Getuid()))
	c, ctx := client.New(socket), t.Context()
	if v, err := c.Version(ctx); err != nil || v.Version != "1.2.3" {
		t.Errorf("version %v, %v", v, err)
	}
	if a, err := c.Update(ctx, api.UpdateRequest{Service: "core", Version: "2"}); err != nil || len(a.Changes) != 1 {
		t.Errorf("update %v, %v", a, err)
	}
	if _, err := c.Force(ctx, api.ForceRequest{Service: "core", Why: "x"}); err != nil {
		t.Error(err)
	}
	if err := c.Forget(ctx, "core"); err != nil {
		t.Error(err)
	}
	if k, err := c.InitHouse(ctx); err != nil || k.Publisher != "p-x" {
		t.Errorf("house key %v, %v", k, err)
	}
	if w, err := c.AcceptHouse(ctx, api.HouseRequest{Service: "core"}); err != nil || w.Status != "TRUSTED" {
		t.Errorf("accept %v, %v", w, err)
	}
	if w, err := c.WithdrawHouse(ctx, api.HouseRequest{Service: "core"}); err != nil || w.Status != "UNTRUSTED" {
		t.Errorf("withdraw %v, %v", w, err)
	}
	if l, err := c.House(ctx); err != nil || l.Publisher != "p-x" || l.Words == nil {
		t.Errorf("house %v, %v", l, err)
	}
	if p, err := c.Pins(ctx); err != nil || len(p.Pins) != 1 {
		t.Errorf("pins %v, %v", p, err)
	}
	if r, err := c.Replay(ctx, 7); err != nil || r.Seq != 7 || !r.Agree {
		t.Errorf("replay %v, %v", r, err)
	}
	if ch, err := c.Change(ctx, "c1"); err != nil || !ch.Done {
		t.Errorf("change %v, %v", ch, err)
	}
	var known *api.Error
	if _, err := c.Change(ctx, "c9"); !errors.As(err, &known) || known.Status != 404 || known.Next == "" {
		t.Errorf("got %v, want a 404 with a next step", err)
	}
	who := "root"
	if os.Getuid() != 0 {
		who = "uid"
	}
	want := []string{"update core 2", "force core by " + who, "forget core by " + who, "house init by " + who,
		"house accept core by " + who, "house withdraw core by " + who}
	for i, w := range want {
		if i >= len(h.calls) || !strings.HasPrefix(h.calls[i], w) {
			t.Fatalf("calls %v, want %v", h.calls, want)
		}
	}
}

func TestNoDaemonIsNotReachable(t *testing.T) {
	_, err := client.New(filepath.Join(t.TempDir(), "none")).Status(t.Context())
	if !errors.Is(err, client.ErrNotReachable) || !strings.Contains(err.Error(), "systemctl start castellan") {
		t.Errorf("got %v", err)
	}
}

func FuzzUpdateBody(f *testing.F) {
	f.Add([]byte(`{"service":"core"}`))
	f.Add([]byte(`{"service":1}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		rec := newRecorder()
		req, _ := http.NewRequest("POST", "/castellan/update", strings.NewReader(string(body)))
		api.New(api.Config{Backend: &house{}, Log: slog.New(slog.DiscardHandler)}).Handler().ServeHTTP(rec, req)
		if !json.Valid([]byte(rec.body.String())) {
			t.Errorf("answer is no JSON: %q", rec.body.String())
		}
	})
}
