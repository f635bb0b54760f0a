package updater

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json"
)

// memory is what a poller keeps in its store. Only the file's bytes are kept of a release, never what was made of
// them: they are read anew with today's settings and today's rules.
type memory struct {
	Format     int                  `json:"format"`
	File       []byte               `json:"file"`
	Fetched    time.Time            `json:"fetched"`
	Validators map[string]validator `json:"validators"` // by URL
}

const memoryFormat = 1

// restore loads the store. Nothing in it is needed to go on, so a damaged one costs one download.
func (p *Poller) restore() {
	data, err := p.cfg.Store.Load()
	if err != nil {
		p.cfg.Log.Warn("cannot load the last channel file; starting without it", "error", err)
		return
	}
	if len(data) == 0 {
		return
	}
	var m memory
	if err := json.Unmarshal(data, &m, json.RejectUnknownMembers(true)); err != nil || m.Format != memoryFormat {
		p.cfg.Log.Warn("cannot read the last channel file; starting without it", "error", err, "format", m.Format)
		return
	}
	if m.Validators == nil {
		m.Validators = map[string]validator{}
	}
	p.mem = m
	if len(m.File) == 0 {
		return
	}
	rel, err := ParseChannel(m.File, p.cfg.Channel)
	if err != nil {
		// The channel or the machine was changed in the settings, most likely.
		p.cfg.Log.Warn("the last channel file no longer fits; waiting for the next poll", "error", err)
		p.mem = memory{Validators: map[string]validator{}}
		return
	}
	rel.Fetched = m.Fetched
	p.last = &rel
}

// remember keeps a validator of a file that was not taken.
func (p *Poller) remember(url string, v validator) {
	if p.mem.Validators[url] != v {
		p.mem.Validators[url] = v
		p.save()
	}
}

// save writes only what differs from what is there: SD cards wear. A failure is not fatal: the release in memory is
// good, and after a restart it is polled again.
func (p *Poller) save() {
	m := p.mem
	m.Format = memoryFormat
	for url := range m.Validators {
		if !p.polls(url) {
			delete(m.Validators, url)
		}
	}
	data, err := json.Marshal(&m, json.Deterministic(true))
	if err == nil {
		if old, loadErr := p.cfg.Store.Load(); loadErr == nil && bytes.Equal(old, data) {
			return
		}
		err = p.cfg.Store.Save(data)
	}
	if err != nil {
		p.cfg.Log.Warn("cannot save the channel file; it is polled again after a restart", "error", err)
	}
}

func (p *Poller) polls(url string) bool {
	for _, u := range p.cfg.URLs {
		if u == url {
			return true
		}
	}
	return false
}
