package main

import (
	"context"
	"net/http"
	"os"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/web"
)

// openAPI makes what answers local users and add-ons; it listens later.
func (h *house) openAPI(_ context.Context, data func(string) string, _ bool) error {
	h.opened(h.backups) // the first to be closed: what it does needs the rest
	token, err := hostToken(data("host.token"))
	if err != nil {
		return err
	}
	if err := h.openJobs(h.live); err != nil {
		return err
	}
	h.api = api.New(api.Config{Backend: h, Version: version, Owner: uint32(os.Getuid()), Log: h.log.With("part", "api"),
		Guests: addonCalls{h}, Registry: h.addons.offers, From: h.cfg.Addons.Network.Prefix(), Home: haView{h}, HostToken: token, State: h.stateNow,
		Jobs: h.jobs, JobIDs: h.jobIDs, Events: h.news.hub, Verdicts: h.news.counts, People: h.lan.people, Account: h.account,
		Settings: h.settings, Support: &supportDesk{house: h}, Backups: backupShelf{h.backups}, BackupFirst: h.backups.first, Ingress: &addonPages{h}, Core: coreWay{h}})
	h.lan.serve, h.lan.pages = h.api.ServePeople, h.api.ServeIngress
	h.lan.ui, h.lan.shut = h.pages, notice(func() web.Trouble { return web.RegisterShut }, h.log)
	return h.adoptJobs()
}

// pages makes the web UI before the API.
func (h *house) pages(inside http.Handler) http.Handler {
	return web.New(web.Config{API: inside, Version: version, Host: hostName(), Log: h.log.With("part", "web")})
}

// stateNow is the state of the daemon.
func (h *house) stateNow() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}
