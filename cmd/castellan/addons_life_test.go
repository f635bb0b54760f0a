package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/habackup"
	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/state"
)

// TestABackupSwitchesNoProtectionOff: nor on, where its owner has switched it off here.
func TestABackupSwitchesNoProtectionOff(t *testing.T) {
	for _, unprotect := range []bool{false, true} {
		for _, protected := range []bool{false, true} {
			got := imported(habackup.Meta{Protected: protected, Boot: "manual", Watchdog: true}, addons.Settings{Unprotect: unprotect})
			if got.Unprotect != unprotect || got.Boot != addons.BootManual || !got.Watchdog {
				t.Errorf("here %v, in the backup %v: %+v", !unprotect, protected, got)
			}
		}
	}
}

// importer is an appliance without add-ons.
func importer(t *testing.T) addonLife {
	h, dir := hostOf(t, "  - {name: web, image: docker.io/library/nginx, version: \"1\"}\n")
	if err := state.Init(filepath.Join(dir, "journal")); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.journal, err = state.Open(filepath.Join(dir, "journal")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.journal.Close() }) // nothing is kept in it
	if h.addons.installs, err = lifecycle.New(lifecycle.Config{Records: addonRecords{h.journal}, Offers: addonOffers(h), Host: h,
		Supervisor: addonSupervisor(h), Changer: addonSupervisor(h), Build: h.buildAddon, Discard: h.discardBuilds, Forget: func(string) error { return nil }}); err != nil {
		t.Fatal(err)
	}
	return addonLife{addonView(h)}
}

func TestOneImportHoldsUpNoOther(t *testing.T) {
	h := importer(t)
	done, err := h.addons.installs.Importing("core_radio")
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	var told *api.Error
	none := api.ImportRequest{Path: filepath.Join(t.TempDir(), "none.tar")}
	if _, err := h.Import(t.Context(), "core_radio", none, "test"); !errors.As(err, &told) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a second import of the same add-on: %v", err)
	}
	if _, err := h.Import(t.Context(), "core_tv", none, "test"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one of another add-on does not look at its backup: %v", err)
	}
}

// TestAnImportWaitsForAnotherNoLongerThanItMay: that one may unpack from a disk that hangs.
func TestAnImportWaitsForAnotherNoLongerThanItMay(t *testing.T) {
	h := importer(t)
	unpacking <- struct{}{}
	defer func() { <-unpacking }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.importData(ctx, nil, "core_tv", habackup.Meta{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
