package lifecycle

import (
	"errors"
	"fmt"
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
