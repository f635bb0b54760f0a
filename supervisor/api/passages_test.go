package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/api"
)

// closedCore is a Core that nobody may reach.
type closedCore struct{ *pages }

func (closedCore) Token() (string, error) { return "core-token", nil }
func (c closedCore) Dial(context.Context) (net.Conn, bool, error) {
	c.down = errors.New("reached")
	return nil, false, c.down
}

// TestEveryPassageAsksWhoComes goes through what leads to others, with every method: who may not, reaches nobody.
func TestEveryPassageAsksWhoComes(t *testing.T) {
	for _, path := range api.Passages() {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
			p := &pages{at: "127.0.0.1:1"}
			a := &appliance{callers: []api.AddonCaller{{Slug: "boss", Token: "token-boss", Manifest: addons.Manifest{HassioAPI: true, HassioRole: "admin"}}}}
			srv := api.New(api.Config{Ingress: p, Core: closedCore{p}, Guests: a, HostToken: hostToken, Log: slog.New(slog.DiscardHandler)})
			full := strings.NewReplacer("{token}", pageToken, "{path...}", "states").Replace(path)
			for _, token := range []string{"", "wrong", "token-boss", hostToken} {
				for _, rest := range append([]string{""}, attacks[:4]...) {
					url := full
					if rest != "" && strings.HasSuffix(full, "states") {
						url += "/" + rest
					}
					rec := send(srv.AddonHandler(), method, url, token, "")
					if p.down != nil || rec.Code < 400 || rec.Code >= 500 {
						t.Errorf("%s %s with %q: %d %.100s, reached %v", method, url, token, rec.Code, rec.Body, p.down)
					}
				}
			}
		}
	}
}
