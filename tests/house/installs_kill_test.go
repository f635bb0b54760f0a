package house

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

const radio = "local_radio"

// TestThirtyKillsOfAddons kills the daemon at random moments of an add-on's life, in the middle of everything an owner does
// with it. Each time the add-on must come to rest as it was asked or as it was before, with one container or none, and its
// data whole.
func TestThirtyKillsOfAddons(t *testing.T) {
	const kills = 30
	dice := seed(t)
	h := storeHouse(t)
	for _, version := range []string{"1.0", "1.1"} {
		h.image("radio", version, "APP_WRITE=/data/version")
	}
	h.addonConfig("radio", "1.0", "schema: {volume: int}", "options: {volume: 5}")
	h.offers()
	most := h.watchGenerations("addon_" + radio)
	cards := &deck{house: h, dice: dice}
	did, ended := map[string]int{}, map[string]int{}
	ran := false // its data is there from then on, whatever becomes of the add-on
	imports := map[string]bool{"": true}
	for i := range kills {
		deed, before := cards.deal()
		data := h.importedAs(t)
		volume := 100 + i
		allowed, failed := cards.begin(deed, before, volume)
		began := time.Now()
		if deed == "import" && (did[deed] == 0 || dice.IntN(2) == 0) {
			h.unpacks(1 + dice.IntN(stations/4))
		} else {
			<-time.After(time.Duration(dice.IntN(2000)) * time.Millisecond) // the moment of the power cut
		}
		pause := time.Since(began).Round(time.Millisecond)
		select {
		case err := <-failed:
			if err != nil {
				t.Errorf("%s: %v", deed, err)
			}
		default:
		}
		h.daemon.kill()
		h.start()
		after := h.addonRests()
		seen := after.Version + " " + after.State
		did[deed]++
		ended[after.State]++
		now := h.importedAs(t)
		t.Logf("kill %d: %s of %q, %s after it began: now %q, data of import %q", i+1, deed, before.Version+" "+before.State, pause, seen, now)
		if !slices.Contains(allowed, seen) {
			t.Errorf("it is %q, want one of %q (%s)", seen, allowed, after.Trouble)
		}
		was, is := fmt.Sprint(before.Overrides["volume"]), fmt.Sprint(after.Overrides["volume"])
		set := deed == "options and restart" || deed == "import"
		if is != was && !(set && is == fmt.Sprint(volume)) && after.State != "absent" && before.State != "absent" {
			t.Errorf("volume was %s, %d was set (%v), now it is %s", was, volume, set, is)
		}
		switch imported := now == fmt.Sprint(volume); {
		case deed == "import" && imported != (is == fmt.Sprint(volume)):
			t.Errorf("volume is %s with data of import %q: one of the two came without the other", is, now)
		case imported && deed == "import": // and else it is as before
		case deed == "rollback" && imports[now]: // the data goes back with the version
		case now != data:
			t.Errorf("it had data of import %q, now of %q", data, now)
		}
		imports[now] = true
		ran = ran || after.State == "running"
		h.addonSound(after, ran)
		h.castellan("log", "verify").says(t, 0)
		if t.Failed() {
			return
		}
	}
	t.Logf("what was done: %v; how it stood afterwards: %v; imports that came through: %d", did, ended, len(imports)-1)
	for _, deed := range deeds {
		if did[deed] == 0 {
			t.Errorf("there was no %s", deed)
		}
	}
	if did["import"] == len(imports)-1 {
		t.Error("no import was cut")
	}
	if n := most(); n > 1 {
		t.Errorf("%d generations ran at the same time", n)
	}
	h.daemon.kill()
	h.castellan("log", "verify", h.path("data", "log")).says(t, 0, "chain good")
}

// addonRests waits until nothing is under way with the add-on.
func (h *house) addonRests() (a api.AddonInfo) {
	h.t.Helper()
	steady := 0
	testenv.Eventually(h.t, time.Minute, "the add-on rests", func() bool {
		a = h.addon(radio)
		if s := h.status(); a.State == "changing" || a.State == "installing" || s.Engine.Error != "" {
			steady = 0
			return false
		}
		open := slices.ContainsFunc(a.Changes, func(c api.Change) bool { return !c.Done })
		must := a.State == "stopped" && h.mustRun() // it is about to be started
		if open || must {
			steady = 0
			return false
		}
		steady++
		return steady > 3
	})
	return a
}

// mustRun tells whether the add-on's container is down although nobody stopped it.
func (h *house) mustRun() bool {
	for _, s := range h.status().Services {
		if s.Name == "addon_"+radio {
			return s.State == "stopped" && s.Stopped == ""
		}
	}
	return false
}

// addonSound checks what must be so at rest. Its data stays through everything here, and is never torn.
func (h *house) addonSound(a api.AddonInfo, ran bool) {
	h.t.Helper()
	var mine []container
	for _, c := range h.containers() {
		if c.service() == "addon_"+radio {
			mine = append(mine, c)
		}
	}
	want := 1
	if a.State == "absent" {
		want = 0
	}
	if len(mine) != want {
		h.t.Errorf("%d containers, want %d: %+v", len(mine), want, mine)
	}
	if len(mine) == 1 && mine[0].running() != (a.State == "running") {
		h.t.Errorf("it is said to be %s, its container is %s", a.State, mine[0].State)
	}
	testenv.Eventually(h.t, 10*time.Second, "what an import has unpacked is used or gone", func() bool {
		_, err := os.Lstat(h.path("data", "addons", "data", "."+radio+".import"))
		return os.IsNotExist(err)
	})
	if !ran {
		return
	}
	b, err := os.ReadFile(h.path("data", "addons", "data", radio, "version"))
	if whole := string(b) == "1.0" || string(b) == "1.1"; err != nil || !whole || a.State == "running" && string(b) != a.Version {
		h.t.Errorf("version %s is %s with data of %q, %v", a.Version, a.State, b, err)
	}
	var options struct {
		Volume *int `json:"volume"`
	}
	b, err = os.ReadFile(h.path("data", "addons", "data", radio, "options.json"))
	if err == nil {
		err = json.Unmarshal(b, &options)
	}
	if err != nil || options.Volume == nil {
		h.t.Errorf("options.json is %q, %v", b, err)
	}
}
