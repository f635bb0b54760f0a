package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/castellan/castellan/config"
)

// reload takes a new configuration over as far as a running daemon can; err is why the file on disk is not in force.
func (h *house) reload(next *config.Config, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.cfgErr = err.Error()
		h.log.Error("configuration not taken over, the old one stays in force", "error", err)
		return
	}
	if err := errors.Join(h.manager.SetServices(services(next)), h.deny(next)); err != nil {
		h.cfgErr = err.Error()
		h.log.Error("configuration not taken over, the old one stays in force", "error", err)
		return
	}
	h.cfg, h.loaded, h.cfgErr = next, time.Now(), ""
	if fixed := needsRestart(h.began, next); fixed != "" {
		h.cfgErr = fixed + " takes effect after a restart: systemctl restart castellan"
		h.log.Warn("configuration taken over in part", "restart", fixed)
	}
	h.log.Info("configuration loaded", "path", h.path, "services", len(next.Services))
	h.wake()
	h.lan.wake()
}

// needsRestart names the first setting that differs from the one the daemon started with and that only a restart takes
// over, "" when there is none.
func needsRestart(old, next *config.Config) string {
	for _, s := range []struct {
		name string
		same bool
	}{
		{"data_dir", old.DataDir == next.DataDir},
		{"socket", old.Socket == next.Socket},
		{"appliance", old.Appliance == next.Appliance},
		{"engine", old.Engine == next.Engine},
		{"registry.listen", old.Registry.Listen == next.Registry.Listen},
		{"registry.credentials_file", old.Registry.CredentialsFile == next.Registry.CredentialsFile},
		{"registry.rate_limit", old.Registry.RateLimit == next.Registry.RateLimit},
		{"registry.mirrors", fmt.Sprint(old.Registry.Mirrors) == fmt.Sprint(next.Registry.Mirrors)},
		{"trust.root_dir", old.Trust.RootDir == next.Trust.RootDir},
		{"channel.name", old.Channel.Name == next.Channel.Name},
		{"channel.urls", fmt.Sprint(old.Channel.URLs) == fmt.Sprint(next.Channel.URLs)},
		{"channel.poll", old.Channel.Poll == next.Channel.Poll},
		{"limits", old.Limits == next.Limits},
		{"backup.dir", old.Backup.Dir == next.Backup.Dir},
		{"addons", fmt.Sprint(old.Addons) == fmt.Sprint(next.Addons)},
	} {
		if !s.same {
			return s.name
		}
	}
	return ""
}
