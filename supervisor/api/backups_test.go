package api_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// TestABackupComesAndGoesAsAFile: it may be larger than any other body, and goes back as it is.
func TestABackupComesAndGoesAsAFile(t *testing.T) {
	const large = 17 << 20
	for _, c := range []struct {
		name, token, query string
		status             int
		says, reaches      string
	}{
		{"the host", hostToken, "", 200, `"slug":"0a1b2c3d"`, "upload 17825792 bytes"},
		{"an add-on that looks after backups", "token-backup", "?location=.local", 200, `"slug":"0a1b2c3d"`, "upload 17825792 bytes"},
		{"to a share", hostToken, "?location=nas", 400, `there is no place \"nas\"`, ""},
		{"an add-on that looks after Core", "token-homeassistant", "", 403, "hassio_role", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			var body bytes.Buffer
			w := multipart.NewWriter(&body)
			part, err := w.CreateFormFile("file", "../../x.tar")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := part.Write(make([]byte, large)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/backups/new/upload"+c.query, &body)
			req.Header.Set("Authorization", "Bearer "+c.token)
			req.Header.Set("Content-Type", w.FormDataContentType())
			rec := httptest.NewRecorder()
			s.srv.AddonHandler().ServeHTTP(rec, req)
			if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.says) {
				t.Errorf("got %d %.300s", rec.Code, rec.Body.String())
			}
			if got := strings.Join(s.reached(), "; "); got != c.reaches {
				t.Errorf("reached %q, want %q", got, c.reaches)
			}
		})
	}
	s := newStage(t)
	if rec := send(s.srv.AddonHandler(), "GET", "/backups/0a1b2c3d/download", hostToken, ""); rec.Code != 200 || rec.Body.String() != "tar" || rec.Header().Get("Content-Type") != "application/tar" {
		t.Errorf("got %d %s %q", rec.Code, rec.Header().Get("Content-Type"), rec.Body.String())
	}
	if rec := send(s.by(api.Operator), "POST", "/backups/0a1b2c3d/restore/full", "", ""); rec.Code != 403 || len(s.reached()) != 1 {
		t.Errorf("an operator restores: %d %s", rec.Code, rec.Body.String())
	}
}
