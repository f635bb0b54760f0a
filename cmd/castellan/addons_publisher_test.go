package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/addons/store"
	"github.com/castellan/castellan/supervisor/state"
)

// TestOnePublisherIsTheOneAmongAll compares the look-up for one image with the list of all.
func TestOnePublisherIsTheOneAmongAll(t *testing.T) {
	const claimed = "p-aaaaaaaaaaaaaaaaaaaa"
	dir := t.TempDir()
	for slug, more := range map[string]string{"radio": "castellan: {publisher: " + claimed + "}\n", "silent": ""} {
		write(t, filepath.Join(dir, "local", slug, "config.yaml"), "name: X\nversion: \"1\"\nslug: "+slug+"\ndescription: plays\narch: [amd64]\nimage: example.org/addons/x\n"+more)
	}
	if err := store.Init(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Config{Dir: filepath.Join(dir, "store"), Local: filepath.Join(dir, "local"), Builtins: []string{"local"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Refresh(t.Context(), "local"); err != nil {
		t.Fatal(err)
	}
	if err := state.Init(filepath.Join(dir, "journal.db")); err != nil {
		t.Fatal(err)
	}
	j, err := state.Open(filepath.Join(dir, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	h := &house{journal: j, addons: addonHouse{store: s}}
	if h.addons.installs, err = lifecycle.New(lifecycle.Config{Records: addonRecords{j}, Offers: addonOffers{h}, Supervisor: addonSupervisor{h},
		Changer: addonSupervisor{h}, Host: addonHost{h}, Build: func(context.Context, lifecycle.Offer) (string, error) { return "", nil },
		Discard: func(context.Context, string) {}, Forget: func(string) error { return nil }, Log: slog.New(slog.DiscardHandler), Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	all := addonRepositories{h}.Publishers()
	if all["addon_local_radio"] != claimed {
		t.Fatalf("all are %v", all)
	}
	for _, component := range []string{"addon_local_radio", "addon_local_silent", "addon_local_other", "core"} {
		if got := (addonRepositories{h}).PublisherOf(component); got != all[component] {
			t.Errorf("%s: %q alone, %q among all", component, got, all[component])
		}
	}
}
