package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestAddressesOfHonestCallersAreHeard: a filter that is too eager is one that nobody leaves on.
func TestAddressesOfHonestCallersAreHeard(t *testing.T) {
	s := newStage(t)
	s.furnish()
	for _, path := range []string{"/info", "/addons/core_x/info", "/addons/local_select-from/info", "/addons/5c53de3b_esphome/info", "/addons/core_x/logs?lines=5&no_colors=1",
		"/castellan/log?kind=verdict&service=core&last=5", "/castellan/addons/core_x?lang=pt-BR", "/addons/a0d7b954_union-select/info",
		"/store/addons/core_x/2026.8.0b1", "/store/addons/core_x/1.0%2Bbuild", "/castellan/log?service=100%25", "/addons/script_on/info", "/castellan/changes/20261125t235329954264687-39085977"} {
		rec := send(s.srv.AddonHandler(), "GET", path, hostToken, "")
		if strings.Contains(rec.Body.String(), "cannot answer: ") {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body.String())
		}
	}
}

// FuzzAddress: whatever is asked for, the answer is one that Home Assistant's client reads, and nobody is sent elsewhere.
func FuzzAddress(f *testing.F) {
	for _, a := range []string{"/info", "//info", "/addons/../info", "/addons/%2e%2e/info", "/addons/core_x/logs?lines=9", "/store/addons/x/y/", "/castellan%2fstatus", "/a?%zz", "/%", "/addons//info", "/a;b?c;d", "*"} {
		f.Add("GET", a)
		f.Add("POST", a)
	}
	s := newStage(f)
	s.furnish()
	h := s.srv.AddonHandler()
	f.Fuzz(func(t *testing.T, method, address string) {
		u, err := url.ParseRequestURI(address)
		if err != nil || !slices.Contains([]string{"GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH"}, method) || strings.HasSuffix(u.Path, "/follow") {
			return
		}
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(method, "/", strings.NewReader("{}"))
		req.URL, req.RequestURI = u, address
		req.Header.Set("Authorization", "Bearer "+hostToken)
		h.ServeHTTP(rec, req)
		if !slices.Contains([]int{200, 400, 401, 403, 404, 405}, rec.Code) {
			t.Errorf("%s %q: status %d, %v", method, address, rec.Code, rec.Header())
		}
		if strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") && method != http.MethodHead && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%s %q: no JSON: %q", method, address, rec.Body.String())
		}
	})
}
