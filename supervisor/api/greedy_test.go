package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestOneAddonCannotTakeAllJobs: an add-on asks for work and leaves, over and over; the work goes on. Others, and the owner, must
// get theirs begun all the same.
func TestOneAddonCannotTakeAllJobs(t *testing.T) {
	s := newStage(t)
	s.blocked = make(chan struct{})
	defer close(s.blocked)
	gone, cancel := context.WithCancel(t.Context())
	refused := 0
	for i := range 300 {
		ctx, leave := context.WithCancel(gone)
		req := httptest.NewRequestWithContext(ctx, "POST", "/refresh_updates", strings.NewReader(""))
		req.Header.Set("Authorization", "Bearer token-manager")
		rec := httptest.NewRecorder()
		before := len(s.jobs.List())
		done := make(chan struct{})
		go func() { defer close(done); s.srv.AddonHandler().ServeHTTP(rec, req) }()
		for end := time.Now().Add(10 * time.Second); len(s.jobs.List()) == before; { // until it is begun, or refused
			select {
			case <-done:
			case <-time.After(time.Millisecond):
				if time.Now().Before(end) {
					continue
				}
				t.Fatalf("call %d: neither begun nor refused", i)
			}
			break
		}
		leave()
		<-done
		if rec.Code == http.StatusTooManyRequests {
			refused++
		}
		if refused == 3 {
			break
		}
	}
	cancel()
	if refused == 0 {
		t.Error("300 jobs of one add-on at a time were taken")
	}
	rec := send(s.srv.AddonHandler(), "POST", "/core/start", hostToken, "")
	if rec.Code != 200 {
		t.Errorf("the owner meanwhile: %d %s", rec.Code, rec.Body.String())
	}
}

// TestViewersSendNoLargeBodies: what viewers may send is a password or the name of a token, and many of them at once must fit in
// memory.
func TestViewersSendNoLargeBodies(t *testing.T) {
	h := settled(t)
	body := `{"name":"` + strings.Repeat("a", 1<<20) + `","role":"viewer"}`
	if rec := h.ask("POST", "/castellan/tokens", body, "Authorization", "Bearer "+h.tokens["cleo"]); rec.Code != 400 || !strings.Contains(rec.Body.String(), "larger than 16384 bytes") {
		t.Errorf("a viewer: %d %.200s", rec.Code, rec.Body.String())
	}
	if rec := h.ask("POST", "/castellan/tokens", body, "Authorization", "Bearer "+h.tokens["anna"]); strings.Contains(rec.Body.String(), "larger than 16384") {
		t.Errorf("an admin: %d %.200s", rec.Code, rec.Body.String())
	}
}

// TestAnAddonsOwnOptionsAreBounded: they are held in memory and written with each change, so they are bounded as those that an
// owner writes are; and a whole number stays one.
func TestAnAddonsOwnOptionsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		options string
		status  int
	}{
		"whole numbers": {`{"n":5,"f":1.5}`, 200},
		"too large":     {`{"x":"` + strings.Repeat("a", 300<<10) + `"}`, 400},
		"too many":      {`{"x":[` + strings.Repeat("[],", 60_000) + `[]]}`, 400},
		"too deep":      {`{"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, 400},
	} {
		a, _, srv := addonHouse(t)
		rec := send(srv.AddonHandler(), "POST", "/addons/self/options", "token-c", `{"options":`+c.options+`}`)
		if rec.Code != c.status || (len(a.given) > 0) != (c.status == 200) {
			t.Errorf("%s: %d %.200s, %d options set", name, rec.Code, rec.Body.String(), len(a.given))
		}
		if c.status == 200 && (a.given["n"] != int64(5) || a.given["f"] != 1.5) {
			t.Errorf("%s: %T %v, %T %v", name, a.given["n"], a.given["n"], a.given["f"], a.given["f"])
		}
	}
}
