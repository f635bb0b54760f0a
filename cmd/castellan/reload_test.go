package main

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
)

// deaf stands for every part of the supervisor that a reload must not reach.
type deaf struct {
	supervisor.Images
	supervisor.Containers
	supervisor.Fetcher
	supervisor.Authority
	supervisor.Story
	supervisor.Snapshots
}

// reloadable is a house with just the parts that take a new configuration.
func reloadable(t *testing.T, text string) (h struct {
	*house
	journal *state.Journal
}) {
	t.Helper()
	dir := t.TempDir()
	if err := state.Init(filepath.Join(dir, "journal.db")); err != nil {
		t.Fatal(err)
	}
	journal, err := state.Open(filepath.Join(dir, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journal.Close() })
	memory, err := trust.InitMemory(filepath.Join(dir, "trust.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, text)
	d := deaf{}
	m, err := supervisor.New(supervisor.Config{Journal: journal, Images: d, Containers: d, Fetcher: d, Authority: d, Story: d, Snapshots: d, Services: services(c)})
	if err != nil {
		t.Fatal(err)
	}
	h.journal = journal
	h.house = &house{log: slog.New(slog.DiscardHandler), manager: m, memory: memory, began: c, cfg: c, kick: make(chan struct{}, 1)}
	return h
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("castellan.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const oneService = "services: [{name: radio, image: example.org/radio, version: '1'}]\n"

func (h *house) names(t *testing.T) (out []string) {
	t.Helper()
	list, err := h.manager.Services()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		out = append(out, s.Service.Name)
	}
	return out
}

func TestReloadAsksForARestartUntilThereWasOne(t *testing.T) {
	h := reloadable(t, "data_dir: /srv/a\n"+oneService)
	for _, c := range []struct{ name, text, says string }{
		{"another data folder", "data_dir: /srv/b\n" + oneService, "data_dir takes effect after a restart"},
		{"and something else", "data_dir: /srv/b\nlog: {level: debug}\n" + oneService, "data_dir takes effect after a restart"},
		{"back again", "data_dir: /srv/a\n" + oneService, ""},
	} {
		h.reload(parse(t, c.text), nil)
		if h.cfgErr == "" != (c.says == "") || !strings.Contains(h.cfgErr, c.says) {
			t.Errorf("%s: status says %q, want %q", c.name, h.cfgErr, c.says)
		}
	}
}

func TestReloadKeepsTheOldConfigurationWhenTheNewOneIsWrong(t *testing.T) {
	h := reloadable(t, oneService)
	before := h.config()
	h.reload(nil, errors.New("cannot load castellan.yaml: line 3: no"))
	if h.config() != before || !strings.Contains(h.cfgErr, "line 3") {
		t.Errorf("in force: %p, want %p; status says %q", h.config(), before, h.cfgErr)
	}
	if got := h.names(t); len(got) != 1 || got[0] != "radio" {
		t.Errorf("services are %v", got)
	}
	digest := trust.DigestOf([]byte("bad"))
	h.reload(parse(t, "trust: {deny: ['"+string(digest)+"']}\nservices: [{name: tv, image: example.org/tv, version: '1'}]\n"), nil)
	if got := h.names(t); h.cfgErr != "" || len(got) != 1 || got[0] != "tv" {
		t.Errorf("services are %v, status says %q", got, h.cfgErr)
	}
	if got := h.memory.Denied(); len(got) != 1 || got[0] != digest {
		t.Errorf("denied: %v", got)
	}
	h.reload(parse(t, oneService), nil)
	if got := h.memory.Denied(); len(got) != 0 {
		t.Errorf("still denied: %v", got)
	}
}
