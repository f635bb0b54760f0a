package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/engine"
)

// haView shows the appliance through Home Assistant's API.
type haView struct{ *house }

var _ api.HomeAssistant = haView{}

// Core implements api.HomeAssistant: the first service of class core.
func (h haView) Core() api.Core {
	for _, s := range h.config().Services {
		if s.Class == "core" {
			return coreView{h, s}
		}
	}
	return nil
}

// Supervisor implements api.HomeAssistant.
func (h haView) Supervisor(context.Context) (api.SupervisorInfo, error) {
	c := h.config()
	arch := h.haArch()
	out := api.SupervisorInfo{Version: version, VersionLatest: &version, Channel: c.Channel.Name, Arch: &arch, IPAddress: c.Addons.Network.API().String(),
		Logging: haLevel(c.Log.Level)}
	if c.Addons.Timezone != "" {
		out.Timezone = &c.Addons.Timezone
	}
	return out, nil
}

// haLevel is Home Assistant's word for a level of the log.
func haLevel(level string) string {
	if level == "warn" {
		return "warning"
	}
	return level
}

// Refresh implements api.HomeAssistant.
func (h haView) Refresh(ctx context.Context, store bool) error {
	err := h.glance(ctx)
	if store {
		err = errors.Join(err, h.addons.store.Refresh(ctx, ""))
		h.storeLooked()
	}
	h.wake() // what came is judged and planned
	return err
}

// Wait implements api.HomeAssistant. What is installed is brought in line with the end, so that who asks next sees it.
func (h haView) Wait(ctx context.Context, change string) (api.Change, error) {
	c, err := h.manager.Wait(ctx, change)
	if err == nil && slugOf(c.Service.Name) != "" {
		err = h.addons.installs.Reconcile(ctx)
	}
	return h.change(c), err
}

// Manifest implements api.HomeAssistant.
func (h haView) Manifest(slug string) (addons.Manifest, error) {
	if r, _ := h.addons.installs.Record(slug); r.Installed() {
		return h.addons.installs.Manifest(slug)
	}
	if _, ok := h.addons.store.Entry(slug); !ok {
		return addons.Manifest{}, api.AddonNotFound(slug)
	}
	m, _, err := h.addons.store.Manifest(slug)
	return m, err
}

// statsOver is how long the daemon's own use of the processor is measured.
const statsOver = 200 * time.Millisecond

// Stats implements api.HomeAssistant.
func (h haView) Stats(ctx context.Context) (api.AddonStats, error) {
	before, began := cpuTime(), time.Now()
	select {
	case <-ctx.Done():
		return api.AddonStats{}, ctx.Err()
	case <-time.After(statsOver):
	}
	out := api.AddonStats{CPUPercent: round2(100 * float64(cpuTime()-before) / float64(time.Since(began)) / float64(cpus())),
		MemoryUsage: kilobytes("/proc/self/status", "VmRSS:"), MemoryLimit: kilobytes("/proc/meminfo", "MemTotal:")}
	if out.MemoryLimit > 0 {
		out.MemoryPercent = round2(100 * float64(out.MemoryUsage) / float64(out.MemoryLimit))
	}
	return out, nil
}

// cpuTime is what this process has used of all processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0 // it asks nothing of anybody
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// kilobytes reads a figure of /proc, in bytes; what is not there is 0.
func kilobytes(path, key string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == key {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil {
				return n << 10
			}
		}
	}
	return 0
}

// coreView is Home Assistant Core through its API.
type coreView struct {
	haView
	service config.Service
}

var (
	_ api.Core       = coreView{}
	_ api.CoreOutput = coreView{}
)

// Service implements api.Core.
func (c coreView) Service() string { return c.service.Name }

// Output implements api.Core.
func (c coreView) Output() api.CoreOutput { return c }

// Info implements api.Core. Where Core listens only its own configuration says, which the appliance's repeats.
func (c coreView) Info(context.Context) (api.CoreInfo, error) {
	cfg := c.config()
	arch := c.haArch()
	out := api.CoreInfo{Machine: &cfg.Appliance.Machine, Arch: &arch, IPAddress: cfg.Addons.Network.Gateway().String(), Boot: true, Watchdog: true,
		Image: c.service.Image, Port: 8123}
	if ha := c.service.HomeAssistant; ha != nil {
		out.Port, out.SSL = int(ha.Port), ha.SSL
	}
	return out, nil
}

// Start implements api.Core.
func (c coreView) Start(ctx context.Context) error { return c.manager.Start(ctx, c.service.Name) }

// Stop implements api.Core. The supervisor refuses: without Core the appliance is none.
func (c coreView) Stop(ctx context.Context) error { return c.manager.Stop(ctx, c.service.Name, "") }

// Restart implements api.Core.
func (c coreView) Restart(ctx context.Context) error {
	return c.manager.Restart(ctx, c.service.Name, "its owner asked for it")
}

// Rebuild implements api.Core.
func (c coreView) Rebuild(ctx context.Context) (string, error) {
	change, err := c.manager.Renew(ctx, c.service.Name)
	var busy *supervisor.BusyError
	if errors.As(err, &busy) {
		return "", fmt.Errorf("cannot rebuild Home Assistant Core: the change %s is not over", busy.Change)
	}
	return change.ID, err
}

// Logs implements api.CoreOutput.
func (c coreView) Logs(ctx context.Context, q api.LogRequest) (io.ReadCloser, error) {
	return c.engine.Logs(ctx, c.service.Name, engine.LogQuery(q))
}

// Stats implements api.CoreOutput.
func (c coreView) Stats(ctx context.Context) (api.AddonStats, error) {
	return c.stats(ctx, c.service.Name)
}
