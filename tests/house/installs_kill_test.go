package house

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

const radio = "local_radio"

// TestThirtyKillsOfAddons kills the daemon at random moments of an add-on's life. Each time the add-on must come to rest
// as it was asked or as it was before, with one container or none, and its data whole.
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
	did, ended := map[string]int{}, map[string]int{}
	ran := false // its data is there from then on, whatever becomes of the add-on
	for i := range kills {
		before := h.addon(radio)
		volume := dice.IntN(1000)
		what, allowed := h.disturbAddon(dice, before, volume)
		did[what]++
		pause := time.Duration(dice.IntN(2500)) * time.Millisecond
		<-time.After(pause) // the moment of the power cut
		h.daemon.kill()
		h.start()
		after := h.addonRests()
		seen := after.Version + " " + after.State
		ended[after.State]++
		t.Logf("kill %d: %s of %q, %s after it began: now %q", i+1, what, before.Version+" "+before.State, pause, seen)
		if !slices.Contains(allowed, seen) {
			t.Errorf("it is %q, want one of %q (%s)", seen, allowed, after.Trouble)
		}
		was, is := fmt.Sprint(before.Overrides["volume"]), fmt.Sprint(after.Overrides["volume"])
		if set := strings.HasPrefix(what, "options"); is != was && !(set && is == fmt.Sprint(volume)) && after.State != "absent" && before.State != "absent" {
			t.Errorf("volume was %s, %d was set (%v), now it is %s", was, volume, set, is)
		}
		ran = ran || after.State == "running"
		h.addonSound(after, ran)
		h.castellan("log", "verify").says(t, 0)
		if t.Failed() {
			return
		}
	}
	t.Logf("what was done: %v; how it stood afterwards: %v", did, ended)
	if n := most(); n > 1 {
		t.Errorf("%d generations ran at the same time", n)
	}
	h.daemon.kill()
	h.castellan("log", "verify", h.path("data", "log")).says(t, 0, "chain good")
}

// disturbAddon begins something that fits how the add-on stands, and tells how it may stand afterwards.
func (h *house) disturbAddon(dice *rand.Rand, a api.AddonInfo, volume int) (what string, allowed []string) {
	h.t.Helper()
	ctx, v := context.Background(), a.Version
	other := map[string]string{"1.0": "1.1", "1.1": "1.0"}[v]
	was := v + " " + a.State
	var err error
	switch n := dice.IntN(6); {
	case a.State == "absent":
		what, allowed = "install", []string{was, a.VersionLatest + " stopped"}
		_, err = h.client.InstallAddon(ctx, radio, api.InstallRequest{Asks: codesOf(a.Asks)})
	case n == 0:
		what, allowed = "uninstall", []string{was, " absent"}
		_, err = h.client.UninstallAddon(ctx, radio, api.UninstallRequest{Data: api.DataKeep})
	case n == 1 && a.State == "running":
		what, allowed = "stop", []string{was, v + " stopped"}
		_, err = h.client.StopAddon(ctx, radio)
	case n == 2 && a.Previous != "":
		what, allowed = "rollback", []string{was, a.Previous + " " + a.State}
		_, err = h.client.RollbackAddon(ctx, radio)
	case n <= 3 && a.State == "stopped":
		what, allowed = "start", []string{was, v + " running"}
		_, err = h.client.StartAddon(ctx, radio)
	case n <= 3:
		what, allowed = "options and restart", []string{was}
		if _, err = h.client.SetAddonOptions(ctx, radio, []byte(fmt.Sprintf(`{"volume": %d}`, volume))); err == nil {
			_, err = h.client.RestartAddon(ctx, radio)
		}
	default:
		what, allowed = "consent and update", []string{was, other + " " + a.State}
		h.addonConfig("radio", other, "schema: {volume: int}", "options: {volume: 5}", "privileged: ["+[]string{"NET_ADMIN", "NET_RAW", "SYS_NICE"}[dice.IntN(3)]+"]")
		h.offers()
		info := h.addon(radio)
		if len(info.Asks) > 0 {
			_, err = h.client.ConsentAddon(ctx, radio, api.ConsentRequest{Version: other, Asks: codesOf(info.Asks)})
		}
		if err == nil {
			_, err = h.client.UpdateAddon(ctx, radio, api.AddonUpdateRequest{})
		}
	}
	if err != nil {
		h.t.Fatalf("%s of %q: %v", what, was, err)
	}
	return what, allowed
}

func codesOf(rights []api.Right) []string {
	out := []string{}
	for _, r := range rights {
		out = append(out, r.Code)
	}
	return out
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
