package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/api"
)

// mood is how a house is disposed.
type mood struct {
	unset   error                                         // why settings can't be set, while options can
	found   string                                        // in Core's configuration
	refuses error                                         // what every update is answered with
	records func() []api.LogRecord                        // of the verification log; nil = there is one
	saves   func(context.Context) (api.BackupMade, error) // makes a backup, or restores one; nil = that is done at once
	printed []printedLine                                 // by Core; nil = two lines
	blocked chan struct{}                                 // a look at everything waits for it; nil = it does not
}

// residence is Home Assistant's side of a house. It records what reached it there.
type residence struct {
	*house
	guests *appliance // whose manifests it knows
}

var (
	_ api.HomeAssistant = residence{}
	_ api.Core          = residence{}
	_ api.CoreOutput    = residence{}
)

func (r residence) Core() api.Core {
	if r.noCore {
		return nil
	}
	return r
}
func (r residence) Service() string        { return "core" }
func (r residence) Output() api.CoreOutput { return r }
func (r residence) Supervisor(context.Context) (api.SupervisorInfo, error) {
	zone := "Europe/Zurich"
	return api.SupervisorInfo{Version: "1.2.3", Channel: "stable", Logging: "info", Timezone: &zone}, nil
}
func (r residence) Host(context.Context) (api.Host, error) {
	return api.Host{Info: api.HostInfo{Features: []string{}}, Network: api.NetworkInfo{Interfaces: []api.NetworkInterface{{Interface: "eth0"}}}}, nil
}
func (r residence) Refresh(_ context.Context, store bool) error {
	if store {
		r.did("refresh with store")
	} else {
		r.did("refresh")
	}
	if r.blocked != nil {
		<-r.blocked
	}
	return r.away
}
func (r residence) Wait(ctx context.Context, id string) (api.Change, error) {
	if r.waits != nil {
		r.waits()
	}
	if r.hang != nil {
		select {
		case <-r.hang:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		r.did("nobody waits for " + id)
		return api.Change{}, err
	}
	c := r.end
	c.ID = id
	return c, nil
}
func (r residence) Manifest(slug string) (addons.Manifest, error) {
	if r.guests != nil {
		for _, c := range r.guests.Callers() {
			if c.Slug == slug {
				return c.Manifest, nil
			}
		}
	}
	if slug == "nobody" {
		return addons.Manifest{}, api.AddonNotFound(slug)
	}
	return addons.Manifest{Name: slug}, nil
}

// Info of Core stands for api.Core.
func (r residence) Info(context.Context) (api.CoreInfo, error) {
	return api.CoreInfo{Port: 8123, Image: "example.org/core", IPAddress: "172.30.32.1", Boot: true, Watchdog: true}, nil
}
func (r residence) Start(context.Context) error { r.did("core start"); return nil }
func (r residence) Stop(context.Context) error {
	return errors.New(`cannot stop "core": the appliance needs it`)
}
func (r residence) Restart(context.Context) error { r.did("core restart"); return nil }
func (r residence) Rebuild(context.Context) (string, error) {
	r.did("core rebuild")
	return "c7", nil
}
func (r residence) Logs(ctx context.Context, q api.LogRequest) (io.ReadCloser, error) {
	r.did(fmt.Sprintf("core logs %d", q.Lines))
	lines := r.printed
	if lines == nil {
		lines = []printedLine{{began, "\x1b[32mone\x1b[0m"}, {began.Add(time.Second), "two"}}
	}
	return printed(ctx, lines, q), nil
}
func (r residence) Check(context.Context) (string, error) {
	r.did("core check")
	return r.found, nil
}
func (r residence) Stats(context.Context) (api.AddonStats, error) {
	return api.AddonStats{MemoryUsage: 7}, nil
}
