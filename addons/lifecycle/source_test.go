package lifecycle

import (
	"errors"
	"strings"
	"testing"
)

// moved lets another repository offer the radio under the same name.
func (w *world) moved(version string) {
	w.t.Helper()
	w.offer("radio", config("radio", version))
	o := w.offers[radio]
	o.Source = "https://b.example/addons"
	w.offers[radio] = o
}

func TestAnotherRepositoryDoesNotGetWhatIsKept(t *testing.T) {
	for _, mode := range []DataMode{KeepData, Keep30Days} {
		w := newWorld(t)
		w.installed()
		if _, err := w.m.Configure(ctx, radio, Patch{Options: &map[string]any{"volume": 9}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.m.Uninstall(ctx, radio, mode); err != nil {
			t.Fatal(err)
		}
		w.rest()
		w.moved("1")
		before := string(w.kept[radio])
		w.calls = nil
		_, err := w.m.Install(ctx, radio, nil)
		if !errors.As(err, new(*SourceError)) || len(w.calls) > 0 || string(w.kept[radio]) != before {
			t.Fatalf("%s: %v after %v", mode, err, w.calls)
		}
		for _, part := range []string{"https://a.example/addons", "https://b.example/addons", "castellan addon uninstall core_radio --data delete"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %s", mode, err, part)
			}
		}
		if _, err := w.m.Uninstall(ctx, radio, DeleteData); err != nil { // the next step
			t.Fatal(err)
		}
		w.rest()
		if _, err := w.m.Install(ctx, radio, nil); err != nil {
			t.Fatal(err)
		}
		w.rest()
		if not := all(w.isInstalled(), state("")(w), want("options", len(w.record(radio).Settings.Options), 0)); not != "" {
			t.Error(not)
		}
	}
}

func TestAnotherRepositoryDoesNotUpdateWhatIsInstalled(t *testing.T) {
	w := newWorld(t)
	w.installed()
	w.moved("2")
	in, err := w.m.Installed()
	if err != nil || !strings.Contains(in[0].Addon.Detached, "https://b.example/addons") || in[0].Want.Version != "" {
		t.Errorf("%+v %+v %v", in, in[0].Addon, err)
	}
	if _, err := w.m.Consent(ctx, radio, "2", nil); !errors.As(err, new(*SourceError)) {
		t.Errorf("consent: %v", err)
	}
	if _, err := w.m.Build(ctx, radio, nil); !errors.As(err, new(*SourceError)) {
		t.Errorf("build: %v", err)
	}
	w.rest()
	if not := w.isInstalled(); not != "" {
		t.Error(not)
	}
}
