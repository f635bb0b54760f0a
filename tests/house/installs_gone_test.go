package house

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

// TestWhatAnUninstallationLeaves removes an add-on with each word about its data, looks at the disk, and installs it again:
// what was kept is taken up, what was deleted is not.
func TestWhatAnUninstallationLeaves(t *testing.T) {
	h := storeHouse(t)
	h.image("radio", "1.0", "APP_WRITE=/data/version")
	h.addonConfig("radio", "1.0", "options: {volume: 5}", "schema: {volume: int}", "map: [{type: addon_config, read_only: false}]")
	h.offers()
	file := h.path("data", "addons", "data", radio, "mine")
	for _, c := range []struct {
		data  string
		stays bool
		until time.Duration // 0: no end is set
	}{{"", true, 0}, {"keep", true, 0}, {"30d", true, 30 * 24 * time.Hour}, {"delete", false, 0}} {
		t.Run("data "+c.data, func(t *testing.T) {
			h.castellan("addon", "install", radio, "--start", "--yes").says(t, 0)
			h.castellan("addon", "options", radio, "--set", "volume=8").says(t, 0)
			must(t, os.WriteFile(file, []byte("of the owner"), 0o600))
			line := []string{"addon", "uninstall", radio}
			if c.data != "" {
				line = append(line, "--data", c.data)
			}
			if c.data == "delete" {
				h.castellan(line...).says(t, 2, "--yes") // nobody is there to be asked
				h.addonIs(radio, "1.0", "running", "unsigned")
				line = append(line, "--yes")
			}
			h.castellan(line...).says(t, 0)
			var a api.AddonInfo
			testenv.Eventually(t, 10*time.Second, "it is gone", func() bool { // its data goes after its change has ended
				a = h.addon(radio)
				return a.State == "absent"
			})
			for _, k := range h.containers() {
				if k.service() == "addon_"+radio {
					t.Errorf("container %s is left", k.ID)
				}
			}
			b, err := os.ReadFile(file)
			if c.stays && (err != nil || string(b) != "of the owner") || !c.stays && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("data: %q, %v", b, err)
			}
			if !c.stays {
				if _, err := os.Lstat(h.path("data", "addons", "data", radio)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the folder is left: %v", err)
				}
			}
			switch {
			case (a.Kept != nil) != c.stays:
				t.Errorf("kept: %+v", a.Kept)
			case c.stays && c.until == 0 && !a.Kept.Until.IsZero():
				t.Errorf("it is deleted at %s", a.Kept.Until)
			case c.until > 0:
				if left := time.Until(a.Kept.Until); left > c.until || left < c.until-time.Hour {
					t.Errorf("it is deleted in %s, want %s", left, c.until)
				}
			}
			h.daemon.kill()
			h.restart()

			h.castellan("addon", "install", radio, "--yes").says(t, 0)
			_, err = os.Stat(file)
			if volume, set := h.addon(radio).Overrides["volume"]; set != c.stays || (err == nil) != c.stays {
				t.Errorf("installed again: volume %v, set %v, data %v", volume, set, err)
			}
			h.castellan("addon", "uninstall", radio).says(t, 0)
		})
	}
}
