package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd a state of the unit; without systemd it does nothing.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		// The daemon works without; systemd's own time-out would say so too.
		log.Warn("cannot notify systemd", "state", state, "error", err)
	}
}

// watchdog tells systemd that the daemon is alive as long as alive answers in time. A daemon that hangs stops doing so
// and is restarted; recovery is the daily path.
func watchdog(ctx context.Context, log *slog.Logger, alive func(context.Context) error) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return // not asked for
	}
	tick := time.NewTicker(every / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		probe, cancel := context.WithTimeout(ctx, every/3)
		err := alive(probe)
		cancel()
		if err != nil {
			log.Error("not alive", "error", err)
			continue
		}
		notify(log, daemon.SdNotifyWatchdog)
	}
}
