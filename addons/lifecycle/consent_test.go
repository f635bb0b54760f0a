package lifecycle

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestNothingIsAgreedToThatWasNotShown: a caller that names no rights was shown none, also when the repository asked for
// none a moment ago.
func TestNothingIsAgreedToThatWasNotShown(t *testing.T) {
	w := newWorld(t)
	w.offer("radio", config("radio", "1", "docker_api: true"))
	w.offer("made", []byte(strings.Replace(string(config("made", "1", "full_access: true")), "image: ", "url: https://", 1)))
	for name, do := range map[string]func() (string, error){
		"install": func() (string, error) { return w.m.Install(ctx, radio, nil) },
		"build":   func() (string, error) { return w.m.Build(ctx, "core_made", nil) },
	} {
		if _, err := do(); !errors.As(err, new(*ConsentError)) || len(w.calls) > 0 {
			t.Errorf("%s: got %v after %v", name, err, w.calls)
		}
	}
	if _, err := w.m.Install(ctx, radio, []string{"docker_api"}); err != nil {
		t.Error(err)
	}
	if _, err := w.m.Build(ctx, "core_made", []string{"full_access"}); err != nil {
		t.Error(err)
	}
	w.rest()
	w.offer("radio", config("radio", "2", "docker_api: true", "host_network: true"))
	if _, err := w.m.Consent(ctx, radio, "2", nil); !errors.As(err, new(*ConsentError)) {
		t.Errorf("consent: %v", err)
	}
}

func TestWhatConfinesAnAddon(t *testing.T) {
	for _, c := range []struct {
		name         string
		armor, loads bool
		profile      string
		more         []string
		want         string
	}{
		{"without a profile of its own the engine's", true, true, "", nil, ""},
		{"its own", true, true, "profile x {}", nil, fmt.Sprintf("%s.%x", radio, "profile x {}")},
		{"one that nothing can load", true, false, "profile x {}", nil, ""},
		{"a kernel without", false, false, "", nil, "unconfined"},
		{"what its owner agreed to", true, true, "", []string{"apparmor: false"}, "unconfined"},
	} {
		w := newWorld(t)
		w.armor, w.loads = c.armor, c.loads
		w.offer("radio", config("radio", "1", c.more...))
		o := w.offers[radio]
		o.Profile = c.profile
		w.offers[radio] = o
		if _, err := w.m.Install(ctx, radio, o.Manifest.Rights()); err != nil {
			t.Fatal(err)
		}
		w.rest()
		if d, ok, err := w.m.Define(ctx, Service(radio), ""); err != nil || !ok || d.Container.AppArmor != c.want {
			t.Errorf("%s: got %q, want %q (%v)", c.name, d.Container.AppArmor, c.want, err)
		}
	}
}

func TestAnAddonCannotGiveItselfMore(t *testing.T) {
	w := newWorld(t)
	raw := strings.Replace(string(config("radio", "1")), "station: str", "station: str, stick: device?, key: str?", 1)
	w.offer("radio", []byte(raw))
	w.present["/dev/ttyUSB0"], w.present["/dev/sda"] = true, true
	w.installed()
	set := func(own bool, o map[string]any) error {
		_, err := w.m.Configure(ctx, radio, Patch{Options: &o, Own: own})
		return err
	}
	if err := set(false, map[string]any{"stick": "/dev/ttyUSB0"}); err != nil {
		t.Fatal(err)
	}
	before := string(w.kept[radio])
	for _, o := range []map[string]any{{"stick": "/dev/sda"}, {"key": "!secret pw"}} {
		if err := set(true, o); err == nil || !strings.Contains(err.Error(), "let the owner") || string(w.kept[radio]) != before {
			t.Errorf("%v: got %v", o, err)
		}
	}
	if err := set(true, map[string]any{"stick": "/dev/ttyUSB0", "volume": 3}); err != nil {
		t.Errorf("what it has already: %v", err)
	}
	if err := set(false, map[string]any{"stick": "/dev/sda", "key": "!secret pw"}); err != nil {
		t.Errorf("the owner: %v", err)
	}
}

// TestATextThatBecomesADeviceIsAskedAbout: the owner wrote it for something else.
func TestATextThatBecomesADeviceIsAskedAbout(t *testing.T) {
	for _, c := range []struct {
		name, from, to, first string
		value                 any
		want                  string
	}{
		{"a device", "str?", "device?", "x", "/dev/sda", "[device:/dev/sda]"},
		{"a list of devices", "[str]", "[device]", "[]", []any{"/dev/sda"}, "[device:/dev/sda]"},
		{"deeper", "{a: str}", "{a: device}", "{a: x}", map[string]any{"a": "/dev/sda"}, "[device:/dev/sda]"},
		{"its path in other words", "str?", "device?", "x", "/dev/../dev/sda", "[device:/dev/sda]"},
		{"what was one before", "device?", "device(subsystem=tty)?", "", "/dev/sda", "[]"},
		{"no path of one", "str?", "device?", "x", "news", "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.present["/dev/sda"], w.present["/dev/../dev/sda"] = true, true
			offer := func(version, schema, first string) {
				raw := strings.Replace(string(config("radio", version)), "station: str", "station: str, log: "+schema, 1)
				if first != "" {
					raw = strings.Replace(raw, "station: news", "station: news, log: "+first, 1)
				}
				w.offer("radio", []byte(raw))
			}
			offer("1", c.from, c.first)
			w.installed()
			if _, err := w.m.Configure(ctx, radio, Patch{Options: &map[string]any{"log": c.value}}); err != nil {
				t.Fatal(err)
			}
			offer("2", c.to, "")
			in, err := w.m.Installed()
			if err != nil || fmt.Sprint(in[0].Addon.Asks) != c.want {
				t.Fatalf("the plan asks for %v, want %s (%v)", in[0].Addon.Asks, c.want, err)
			}
			if c.want == "[]" {
				return
			}
			if _, _, err := w.m.Define(ctx, Service(radio), "2"); err == nil || !strings.Contains(err.Error(), "device:/dev/sda; agree with") {
				t.Errorf("it would be run: %v", err)
			}
			if _, err := w.m.Consent(ctx, radio, "2", nil); !errors.As(err, new(*ConsentError)) {
				t.Errorf("agreed to what was not shown: %v", err)
			}
			if _, err := w.m.Consent(ctx, radio, "2", []string{"device:/dev/sda"}); err != nil {
				t.Fatal(err)
			}
			if d, _, err := w.m.Define(ctx, Service(radio), "2"); err != nil || !slices.Contains(d.Container.Devices, "/dev/sda") {
				t.Errorf("after the consent: %v, %v", d.Container.Devices, err)
			}
		})
	}
}

// TestNoTextBecomesADeviceBesideAnUpdate: by an installation that takes old settings up, and by a build of the same version.
func TestNoTextBecomesADeviceBesideAnUpdate(t *testing.T) {
	offer := func(w *world, schema string) {
		raw := strings.Replace(string(config("radio", "1")), "station: str", "station: str, log: "+schema, 1)
		w.offer("radio", []byte(strings.Replace(raw, "image: ", "url: https://", 1)))
	}
	var consent *ConsentError
	w := newWorld(t)
	w.present["/dev/sda"] = true
	offer(w, "str?")
	build := func(asks ...string) error { _, err := w.m.Build(ctx, radio, asks); w.rest(); return err }
	if err := build(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.m.Configure(ctx, radio, Patch{Options: &map[string]any{"log": "/dev/sda"}}); err != nil {
		t.Fatal(err)
	}
	offer(w, "device?")
	if _, err := w.m.Installed(); err != nil {
		t.Fatal(err)
	}
	if d, _, err := w.m.Define(ctx, Service(radio), ""); err != nil || len(d.Container.Devices) > 0 {
		t.Errorf("the repository gave it %v (%v)", d.Container.Devices, err)
	}
	if err := build(); !errors.As(err, &consent) || fmt.Sprint(consent.Asks) != "[device:/dev/sda]" {
		t.Errorf("built again: %v", err)
	}
	if _, err := w.m.Uninstall(ctx, radio, KeepData); err != nil {
		t.Fatal(err)
	}
	w.rest()
	consent = nil
	if err := build(); !errors.As(err, &consent) || fmt.Sprint(consent.Asks) != "[device:/dev/sda]" {
		t.Errorf("installed again: %v", err)
	}
	if err := build("device:/dev/sda"); err != nil {
		t.Error(err)
	}
	if d, _, err := w.m.Define(ctx, Service(radio), ""); err != nil || !slices.Contains(d.Container.Devices, "/dev/sda") {
		t.Errorf("after the consent: %v, %v", d.Container.Devices, err)
	}
}

// TestTheWayBackIsNotAskedAbout: the device was the owner's choice in the version before.
func TestTheWayBackIsNotAskedAbout(t *testing.T) {
	w := newWorld(t)
	w.present["/dev/sda"] = true
	offer := func(version, schema string) {
		w.offer("radio", []byte(strings.Replace(string(config("radio", version)), "station: str", "station: str, log: "+schema, 1)))
	}
	offer("1", "device?")
	w.installed()
	if _, err := w.m.Configure(ctx, radio, Patch{Options: &map[string]any{"log": "/dev/sda"}}); err != nil {
		t.Fatal(err)
	}
	offer("2", "str?")
	if _, err := w.m.Installed(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.begin(ctx, "update", Service(radio), "2"); err != nil {
		t.Fatal(err)
	}
	w.rest()
	if d, _, err := w.m.Define(ctx, Service(radio), "1"); err != nil || !slices.Contains(d.Container.Devices, "/dev/sda") {
		t.Errorf("the way back: %v, %v", d.Container.Devices, err)
	}
}
