package main

import (
	"testing"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/habackup"
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
