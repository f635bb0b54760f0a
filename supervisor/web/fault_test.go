package web

import (
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// TestFaultsNameNoCommands: where the daemon's next step is a command, a page says what to press, in the reader's language.
func TestFaultsNameNoCommands(t *testing.T) {
	for _, key := range []string{"service_not_found", "core_off", "change_not_found", "homeassistant_update_error", "no_such_code", ""} {
		a := quiet()
		a["GET /castellan/changes/x"] = &api.Error{Status: 404, Key: key, Message: "it is not there", Next: "castellan status"}
		u, _ := fakeUI(t, "viewer", a)
		for _, lang := range languages {
			page := get(u, "/ui/updates/changes/x", "Accept-Language", lang).Body.String()
			if strings.Contains(page, "castellan status") || strings.Contains(page, "<dd></dd>") {
				t.Errorf("%q in %s sends people to a terminal, or nowhere", key, lang)
			}
		}
	}
}
