package api

import (
	"context"
	"net/http"
)

// settingsRoutes tell how the appliance is set up. What is set in its file is changed there.
var settingsRoutes = []route{
	{"GET", "/castellan/settings", Viewer, never, "What the configuration in force says, key by key, without secrets; and the keys of the ledgers.", call((*Server).getSettings)},
}

// Settings is the answer of /castellan/settings.
type Settings struct {
	Config  ConfigStatus `json:"config"`
	Keys    []Setting    `json:"keys"`    // in the order of the file
	Ledgers []LedgerKeys `json:"ledgers"` // the root's first
}

// Setting is one key of the configuration in force.
type Setting struct {
	Key    string   `json:"key"`    // "backup.schedule.days"
	Values []string `json:"values"` // none: it is not set
}

// LedgerKeys is a ledger, and by which keys its word is known.
type LedgerKeys struct {
	Origin       string   `json:"origin"`
	Root         int      `json:"root,omitempty"` // version of the root document that names it
	Fingerprints []string `json:"fingerprints"`   // SHA-256 of its keys
}

func (s *Server) getSettings(ctx context.Context, _ Caller, _ none) (Settings, error) {
	if s.cfg.Settings == nil {
		return Settings{}, &Error{Status: http.StatusNotFound, Key: "no_settings", Message: "this appliance does not tell its settings", Next: "castellan status"}
	}
	out, err := s.cfg.Settings(ctx)
	fill(&out.Keys)
	fill(&out.Ledgers)
	for i := range out.Keys {
		fill(&out.Keys[i].Values)
	}
	for i := range out.Ledgers {
		fill(&out.Ledgers[i].Fingerprints)
	}
	return out, err
}
