package house

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// deeds are all that an owner does with an add-on.
var deeds = []string{"install", "import", "start", "options and restart", "consent and update", "rollback", "stop", "uninstall"}

// deck deals deeds: each of them once, in an order of its own, before any comes again. What fits how the add-on stands
// goes first; when nothing left does, the add-on is made to stand so.
type deck struct {
	*house
	dice *rand.Rand
	left []string
}

func (d *deck) deal() (deed string, a api.AddonInfo) {
	d.t.Helper()
	if len(d.left) == 0 {
		d.left = slices.Clone(deeds)
		d.dice.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	a = d.addon(radio)
	i := slices.IndexFunc(d.left, func(deed string) bool { return fits(deed, a) })
	if i < 0 {
		i = 0
		d.prepare(d.left[0], a)
		if a = d.addonRests(); !fits(d.left[0], a) {
			d.t.Fatalf("no %s is possible of %q, previous %q", d.left[0], a.Version+" "+a.State, a.Previous)
		}
	}
	deed = d.left[i]
	d.left = slices.Delete(d.left, i, i+1)
	return deed, a
}

func fits(deed string, a api.AddonInfo) bool {
	switch deed {
	case "install":
		return a.State == "absent"
	case "import":
		return a.State == "absent" || a.State == "stopped"
	case "start":
		return a.State == "stopped"
	case "stop", "options and restart":
		return a.State == "running"
	case "rollback":
		return a.State != "absent" && a.Previous != ""
	}
	return a.State != "absent"
}

// prepare makes the add-on stand so that deed fits.
func (d *deck) prepare(deed string, a api.AddonInfo) {
	d.t.Helper()
	do := func(args ...string) { d.castellan(append([]string{"addon"}, args...)...).says(d.t, 0) }
	switch {
	case deed == "install":
		do("uninstall", radio)
		return
	case deed == "import":
		do("stop", radio)
		return
	case a.State == "absent":
		do("install", radio, "--yes")
		a = d.addonRests()
	}
	switch deed {
	case "stop", "options and restart":
		do("start", radio)
	case "rollback":
		if d.offerOther(a.Version); len(d.addon(radio).Asks) > 0 {
			do("consent", radio, "--yes")
		}
		do("update", radio)
	}
}

// offerOther offers another version than v, with a right that the one before may not have had.
func (d *deck) offerOther(v string) (other string) {
	d.t.Helper()
	other = map[string]string{"1.0": "1.1", "1.1": "1.0"}[v]
	right := []string{"NET_ADMIN", "NET_RAW", "SYS_NICE"}[d.dice.IntN(3)]
	d.addonConfig("radio", other, "schema: {volume: int}", "options: {volume: 5}", "privileged: ["+right+"]")
	d.offers()
	return other
}

// begin begins a deed and tells how the add-on may stand afterwards. What answers only at its end does so through failed.
func (d *deck) begin(deed string, a api.AddonInfo, volume int) (allowed []string, failed <-chan error) {
	d.t.Helper()
	ctx, v := context.Background(), a.Version
	allowed = []string{v + " " + a.State}
	may := func(seen string) { allowed = append(allowed, seen) }
	var err error
	switch deed {
	case "install":
		may(a.VersionLatest + " stopped")
		_, err = d.client.InstallAddon(ctx, radio, api.InstallRequest{Asks: codesOf(a.Asks)})
	case "import":
		if a.State == "absent" {
			may(a.VersionLatest + " stopped")
		}
		request := api.ImportRequest{Path: d.largeBackup(volume), Asks: codesOf(a.Asks)}
		answer := make(chan error, 1)
		go func() {
			_, err := d.client.ImportAddon(ctx, radio, request)
			answer <- err
		}()
		failed = answer
	case "uninstall":
		may(" absent")
		_, err = d.client.UninstallAddon(ctx, radio, api.UninstallRequest{Data: api.DataKeep})
	case "stop":
		may(v + " stopped")
		_, err = d.client.StopAddon(ctx, radio)
	case "start":
		may(v + " running")
		_, err = d.client.StartAddon(ctx, radio)
	case "rollback":
		may(a.Previous + " " + a.State)
		_, err = d.client.RollbackAddon(ctx, radio)
	case "options and restart":
		if _, err = d.client.SetAddonOptions(ctx, radio, []byte(fmt.Sprintf(`{"volume": %d}`, volume))); err == nil {
			_, err = d.client.RestartAddon(ctx, radio)
		}
	case "consent and update":
		other := d.offerOther(v)
		may(other + " " + a.State)
		info := d.addon(radio)
		if len(info.Asks) > 0 {
			_, err = d.client.ConsentAddon(ctx, radio, api.ConsentRequest{Version: other, Asks: codesOf(info.Asks)})
		}
		if err == nil {
			_, err = d.client.UpdateAddon(ctx, radio, api.AddonUpdateRequest{})
		}
	}
	if err != nil {
		d.t.Fatalf("%s of %q: %v", deed, allowed[0], err)
	}
	return allowed, failed
}

func codesOf(rights []api.Right) []string {
	out := []string{}
	for _, r := range rights {
		out = append(out, r.Code)
	}
	return out
}

// stations is how many files a backup of [house.largeBackup] has that name the volume in its settings.
const stations = 300

// largeBackup is a backup that takes a while to unpack.
func (h *house) largeBackup(volume int) string {
	list := []entry{{name: "data/version", content: "1.0"}, {name: "data/options.json", content: fmt.Sprintf(`{"volume":%d}`, volume)}}
	for i := range stations {
		list = append(list, entry{name: fmt.Sprintf("data/stations/%d", i), content: fmt.Sprint(volume)})
	}
	return h.haBackupOf("large.tar", map[string]any{"options": map[string]any{"volume": volume}, "boot": "auto", "protected": true}, false, list...)
}

// unpacks waits until an import has unpacked some of its files.
func (h *house) unpacks(some int) {
	h.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		list, _ := os.ReadDir(h.path("data", "addons", "data", "."+radio+".import", "data", "stations")) // not there yet
		if len(list) >= some {
			return
		}
		if time.Now().After(end) {
			h.t.Fatalf("an import has unpacked %d files within a minute, want %d", len(list), some)
		}
	}
}

// importedAs is the volume that belongs to the imported data an add-on has, "" when it has none. A part of an import, or
// parts of two, fail the test.
func (h *house) importedAs(t testing.TB) string {
	t.Helper()
	dir := h.path("data", "addons", "data", radio, "stations")
	list, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return ""
	}
	must(t, err)
	found := map[string]int{}
	for _, e := range list {
		b, err := os.ReadFile(dir + "/" + e.Name())
		must(t, err)
		found[string(b)]++
	}
	for volume, n := range found {
		if len(found) == 1 && n == stations {
			return volume
		}
	}
	t.Errorf("files of imports by their volume: %v, want %d of one", found, stations)
	return ""
}
