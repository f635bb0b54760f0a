package updater

import (
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
)

func TestPlanOfAddons(t *testing.T) {
	old := noon.Add(-MinAge)
	with := func(mode Mode, change func(*Addon)) Installed {
		s := addon("1", "2", mode)
		s.Addon = &Addon{Seen: old}
		change(s.Addon)
		return s
	}
	asked := OwnerRequest{Service: "addon_x"}
	fresh := with(ModeAsk, func(*Addon) {})
	fresh.Version = ""
	for _, c := range []struct {
		name        string
		have        Installed
		auto, owner string // what happens by itself, and when the owner asks
	}{
		{"good", with(ModeAuto, func(*Addon) {}), "addon_x auto-update 2", "addon_x owner-update 2"},
		{"waits for its owner", with(ModeAsk, func(*Addon) {}), "addon_x ask", "addon_x owner-update 2"},
		{"fresh", fresh, "addon_x install 2", "addon_x install 2"},
		{"a moment too new", with(ModeAuto, func(a *Addon) { a.Seen = old.Add(time.Second) }), "addon_x too-new", "addon_x owner-update 2"},
		{"seen in the future", with(ModeAuto, func(a *Addon) { a.Seen = noon.Add(time.Hour) }), "addon_x too-new", "addon_x owner-update 2"},
		{"never seen", with(ModeAuto, func(a *Addon) { a.Seen = time.Time{} }), "addon_x too-new", "addon_x owner-update 2"},
		{"breaks", with(ModeAuto, func(a *Addon) { a.Breaking = []string{"2"} }), "addon_x breaking", "addon_x owner-update 2"},
		{"passes a break", with(ModeAuto, func(a *Addon) { a.Breaking = []string{"1.5"} }), "addon_x breaking", "addon_x owner-update 2"},
		{"breaks later", with(ModeAuto, func(a *Addon) { a.Breaking = []string{"3"} }), "addon_x auto-update 2", "addon_x owner-update 2"},
		{"broke before", with(ModeAuto, func(a *Addon) { a.Breaking = []string{"1"} }), "addon_x auto-update 2", "addon_x owner-update 2"},
		{"breaks at what can't be compared", with(ModeAuto, func(a *Addon) { a.Breaking = []string{"???"} }), "addon_x breaking", "addon_x owner-update 2"},
		{"options are not good", with(ModeAuto, func(a *Addon) { a.Options = "ssl is missing" }), "addon_x options", "addon_x options"},
		{"options are not good and it is stopped", with(ModeAuto, func(a *Addon) { a.Options, a.Asleep = "ssl is missing", true }), "addon_x options", "addon_x owner-update 2"},
		{"asks for more", with(ModeAuto, func(a *Addon) { a.Asks = []string{"host_network"} }), "addon_x consent", "addon_x consent"},
		{"is not for this machine", with(ModeAuto, func(a *Addon) { a.Unavailable = "it is for aarch64" }), "addon_x unavailable", "addon_x unavailable"},
		{"is gone from its repository", with(ModeAuto, func(a *Addon) { a.Detached = "its repository was removed" }), "addon_x detached", "addon_x detached"},
		{"is built here", with(ModeAuto, func(a *Addon) { a.Local = true }), "addon_x local-build", "addon_x local-build"},
		{"is on hold", with(ModeHold, func(*Addon) {}), "addon_x hold", "addon_x hold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := outcomes(NewPlan([]Installed{c.have}, nil, noon, OwnerRequest{})); got != c.auto {
				t.Errorf("by itself: %s, want %s", got, c.auto)
			}
			if got := outcomes(NewPlan([]Installed{c.have}, nil, noon, asked)); got != c.owner {
				t.Errorf("when asked: %s, want %s", got, c.owner)
			}
		})
	}
	for _, a := range []Addon{{Slug: "x", Asks: []string{"usb"}}, {Slug: "x", Local: true}} { // commands about add-ons take slugs
		p := NewPlan([]Installed{with(ModeAuto, func(to *Addon) { *to = a })}, nil, noon, asked)
		if len(p.Skips) != 1 || !strings.HasSuffix(p.Skips[0].Why, " x") || strings.Contains(p.Skips[0].Why, "addon_x") {
			t.Errorf("the next step is not one: %+v", p.Skips)
		}
	}
	lower := with(ModeAuto, func(*Addon) {})
	lower.Version = "3" // a repository that takes a version back means it
	if got := outcomes(NewPlan([]Installed{lower}, nil, noon, OwnerRequest{})); got != "addon_x auto-update 2" || lower.Class != trust.ClassAddon {
		t.Errorf("a lower version: %s", got)
	}
}
