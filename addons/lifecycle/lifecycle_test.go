package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/castellan/castellan/addons"
)

var ctx = context.Background()

// story is something an owner does, and what may be there afterwards: it happened, or it did not.
type story struct {
	name          string
	before        func(w *world)
	do            func(w *world) error
	fails         string                // how the changes of it end
	happened, did func(w *world) string // "" = so it is, else what is not
}

func (w *world) isInstalled() string {
	r, row := w.record(radio), *w.row(Service(radio))
	if !r.installed() || r.Wanted || r.Removing != nil || row.Version != "1" || r.Token == "" || r.Manifests["1"].Raw == nil {
		return fmt.Sprintf("record %+v, row %+v", r, row)
	}
	return ""
}

func (w *world) isGone() string {
	r, row := w.record(radio), *w.row(Service(radio))
	if r.installed() || row.Version != "" || r.Token != "" {
		return fmt.Sprintf("record %+v, row %+v", r, row)
	}
	return ""
}

// all joins what is not so.
func all(list ...string) string { return strings.Join(list, "") }

func want(what string, got, want any) string {
	if fmt.Sprint(got) == fmt.Sprint(want) {
		return ""
	}
	return fmt.Sprintf("%s is %v, want %v; ", what, got, want)
}

func state(text string) func(w *world) string {
	return func(w *world) string { return want("state", w.read("data/"+radio+"/state"), text) }
}

var stories = []story{
	{
		name: "install", before: func(*world) {},
		do:       func(w *world) error { _, err := w.m.Install(ctx, radio, nil); return err },
		happened: (*world).isInstalled, did: (*world).isGone,
	},
	{
		name: "install that fails", before: func(w *world) { w.mkdir(w.m.dataFolder(radio)) }, fails: "the image was refused", // the folder is made for the container
		do: func(w *world) error { _, err := w.m.Install(ctx, radio, nil); return err },
		happened: func(w *world) string {
			return all(w.isGone(), want("data there", exists(w.m.dataFolder(radio)), false), want("records", len(w.kept), 0))
		},
		did: (*world).isGone,
	},
	{
		name: "install that fails beside data", before: func(w *world) { w.mkdir(w.m.dataFolder(radio) + "/of the owner") }, fails: "the image was refused",
		do: func(w *world) error { _, err := w.m.Install(ctx, radio, nil); return err },
		happened: func(w *world) string {
			return all(w.isGone(), want("data there", exists(w.m.dataFolder(radio)+"/of the owner"), true))
		},
		did: (*world).isGone,
	},
	{
		name: "uninstall and keep", before: (*world).installed,
		do: func(w *world) error { _, err := w.m.Uninstall(ctx, radio, KeepData); return err },
		happened: func(w *world) string {
			return all(w.isGone(), state("old")(w), want("kept", w.record(radio).Gone != nil, true), want("forgotten", len(w.forgot) > 0, true))
		},
		did: func(w *world) string { return all(w.isInstalled(), state("old")(w)) },
	},
	{
		name: "uninstall with a profile", before: func(w *world) { w.profiled("1", "a"); w.installed() },
		do:       func(w *world) error { _, err := w.m.Uninstall(ctx, radio, KeepData); return err },
		happened: func(w *world) string { return all(w.isGone(), want("profiles", len(w.armour), 0)) },
		did:      func(w *world) string { return all(w.isInstalled(), want("profiles", len(w.armour), 1)) },
	},
	{
		name: "install with a profile that fails", before: func(w *world) { w.profiled("1", "a") }, fails: "the image was refused",
		do:       func(w *world) error { _, err := w.m.Install(ctx, radio, nil); return err },
		happened: func(w *world) string { return all(w.isGone(), want("profiles", len(w.armour), 0)) },
		did:      (*world).isGone,
	},
	{
		name: "uninstall and delete", before: (*world).installed,
		do: func(w *world) error { _, err := w.m.Uninstall(ctx, radio, DeleteData); return err },
		happened: func(w *world) string {
			return all(w.isGone(), want("data there", exists(w.m.dataFolder(radio)), false), want("records", len(w.kept), 0))
		},
		did: func(w *world) string { return all(w.isInstalled(), state("old")(w)) },
	},
	{
		name: "uninstall that fails", before: (*world).installed, fails: "the engine said no",
		do:       func(w *world) error { _, err := w.m.Uninstall(ctx, radio, DeleteData); return err },
		happened: func(w *world) string { return all(w.isInstalled(), state("old")(w)) },
		did:      func(w *world) string { return all(w.isInstalled(), state("old")(w)) },
	},
	{
		name: "options", before: (*world).installed,
		do: func(w *world) error {
			_, err := w.m.Configure(ctx, radio, Patch{Options: &map[string]any{"volume": 9}})
			return err
		},
		happened: func(w *world) string {
			return all(w.isInstalled(), want("volume", w.record(radio).Settings.Options["volume"], 9))
		},
		did: func(w *world) string {
			return all(w.isInstalled(), want("options", len(w.record(radio).Settings.Options), 0))
		},
	},
	{
		name:   "consent",
		before: func(w *world) { w.installed(); w.offer("radio", config("radio", "2", "host_network: true")) },
		do:     func(w *world) error { _, err := w.m.Consent(ctx, radio, "2", []string{"host_network"}); return err },
		happened: func(w *world) string {
			return all(w.isInstalled(), want("granted", w.record(radio).Granted, []string{"host_network"}))
		},
		did: func(w *world) string { return all(w.isInstalled(), want("granted", len(w.record(radio).Granted), 0)) },
	},
	{
		name: "import",
		before: func(w *world) {
			w.installed()
			if err := w.m.Stop(ctx, radio); err != nil {
				w.t.Fatal(err)
			}
			w.write("data/.core_radio.import/data/state", "imported")
			w.write("data/.core_radio.import/config/radio.conf", "imported")
		},
		do: func(w *world) error {
			return w.m.SetData(ctx, radio, func(r *Record) { r.Settings.Boot = addons.BootManual })
		},
		happened: func(w *world) string {
			return all(w.isInstalled(), state("imported")(w), want("boot", w.record(radio).Settings.Boot, "manual"),
				want("configuration", w.read("addon_configs/"+radio+"/radio.conf"), "imported"),
				want("left", exists(w.m.ImportFolder(radio)), false), want("waiting", len(w.record(radio).Import), 0))
		},
		did: func(w *world) string {
			return all(w.isInstalled(), state("old")(w), want("boot", w.record(radio).Settings.Boot, ""))
		},
	},
}

// TestPowerCut cuts each call to the outside, in both ways, boots again, and wants what was asked or what was before.
func TestPowerCut(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			clean := newWorld(t)
			s.before(clean)
			clean.calls, clean.fails = nil, s.fails
			if err := s.do(clean); err != nil {
				t.Fatal(err)
			}
			clean.rest()
			if not := s.happened(clean); not != "" {
				t.Fatalf("undisturbed: %s", not)
			}
			t.Logf("%d calls: %s", len(clean.calls), strings.Join(clean.calls, ", "))
			for at, call := range clean.calls {
				for _, applied := range []bool{false, true} {
					w := newWorld(t)
					s.before(w)
					w.calls, w.fails, w.at, w.applied = nil, s.fails, at, applied
					_ = s.do(w) // whatever it says, the power is gone
					w.rest()
					w.at = -1
					w.boot()
					if err := w.m.Sweep(radio); err != nil { // as Run does first
						t.Fatal(err)
					}
					w.rest()
					happened, did := s.happened(w), s.did(w)
					if happened != "" && did != "" {
						t.Errorf("cut at %d %s, applied %v: neither happened (%s) nor not (%s)", at, call, applied, happened, did)
					}
				}
			}
		})
	}
}

func TestUpdateThatAsksForMoreWaits(t *testing.T) {
	w := newWorld(t)
	w.installed()
	w.offer("radio", config("radio", "2", "host_network: true", "privileged: [NET_ADMIN]"))
	in, err := w.m.Installed()
	if err != nil || len(in) != 1 || fmt.Sprint(in[0].Addon.Asks) != "[cap:NET_ADMIN host_network]" {
		t.Fatalf("%v %+v", err, in)
	}
	if _, _, err := w.m.Define(ctx, Service(radio), "2"); err == nil || !strings.Contains(err.Error(), "consent") {
		t.Errorf("it would be run: %v", err)
	}
	if _, err := w.m.Consent(ctx, radio, "2", []string{"host_network"}); !errors.As(err, new(*ConsentError)) {
		t.Errorf("agreed to what was not shown: %v", err)
	}
	if _, err := w.m.Consent(ctx, radio, "3", nil); err == nil {
		t.Error("agreed to a version that is not offered")
	}
	granted, err := w.m.Consent(ctx, radio, "2", []string{"host_network", "cap:NET_ADMIN"})
	if err != nil || len(granted) != 2 {
		t.Fatal(granted, err)
	}
	if d, ok, err := w.m.Define(ctx, Service(radio), "2"); err != nil || !ok || d.Container.Network != "host" {
		t.Errorf("%+v %v %v", d.Container, ok, err)
	}
	// The repository slips a right into the version that was agreed to.
	w.offer("radio", config("radio", "2", "host_network: true", "privileged: [NET_ADMIN, SYS_ADMIN]"))
	if in, err = w.m.Installed(); err != nil || len(in[0].Addon.Asks) != 1 {
		t.Errorf("%v %+v", err, in[0].Addon)
	}
}

func TestWhatIsInstalledOutlivesItsRepository(t *testing.T) {
	w := newWorld(t)
	w.installed()
	delete(w.offers, radio)
	w.boot()
	w.rest()
	in, err := w.m.Installed()
	if err != nil || in[0].Addon.Detached == "" || in[0].Version != "1" {
		t.Errorf("%v %+v", err, in)
	}
	if _, _, err := w.m.Define(ctx, Service(radio), ""); err != nil {
		t.Error(err)
	}
	// A repository that changes what it said of an installed version changes nothing here.
	w.offer("radio", config("radio", "1", "environment: {A: b}"))
	if _, err := w.m.Installed(); err != nil {
		t.Fatal(err)
	}
	if d, _, _ := w.m.Define(ctx, Service(radio), "1"); d.Container.Env["A"] != "" {
		t.Error("an installed version was changed in place")
	}
}

func TestStartIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	for _, c := range []struct {
		name, want string
		before     func(w *world)
	}{
		{"options", "App tv has invalid options: option station: ", func(*world) {}},
		{"port of another add-on", "host port 8080/tcp is used by add-on core_radio; stop that, or choose another: castellan addon ports core_tv 80/tcp=PORT", nil},
		{"port of a service", "host port 8080/tcp is used by service core", func(w *world) { w.taken[8080] = "service core" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			raw := config("tv", "1")
			if c.name == "options" {
				raw = []byte(strings.Replace(string(raw), "station: news", "station: null", 1))
			}
			w.offer("tv", raw)
			if c.before != nil {
				c.before(w)
			} else {
				w.installed()
			}
			if _, err := w.m.Install(ctx, "core_tv", nil); err != nil {
				t.Fatal(err)
			}
			w.rest()
			w.calls = nil
			if _, err := w.m.Start(ctx, "core_tv"); err == nil || !strings.Contains(err.Error(), c.want) || len(w.calls) > 0 {
				t.Errorf("got %v after %v, want %s", err, w.calls, c.want)
			}
		})
	}
}

func TestSettingsThatAreWrongChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.offer("radio", config("radio", "1", "boot: manual_only", "startup: once"))
	w.installed()
	before := string(w.kept[radio])
	port, yes, auto := uint16(80), true, addons.BootAuto
	for name, p := range map[string]Patch{
		"option out of range": {Options: &map[string]any{"volume": 11}},
		"unknown port":        {Ports: &map[string]*uint16{"81/tcp": &port}},
		"boot of manual only": {Boot: &auto},
		"watchdog of once":    {Watchdog: &yes},
	} {
		if _, err := w.m.Configure(ctx, radio, p); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if string(w.kept[radio]) != before {
		t.Error("a wrong setting changed the record")
	}
	out, err := w.m.Configure(ctx, radio, Patch{Options: &map[string]any{"volume": 3, "colour": "red"}})
	if err != nil || fmt.Sprint(out.Dropped) != "[colour]" || w.record(radio).Settings.Options["colour"] != nil {
		t.Errorf("%+v %v", out, err)
	}
}

func TestNewerRecordIsRefused(t *testing.T) {
	w := newWorld(t)
	w.kept[radio] = []byte(`{"format":2,"slug":"core_radio"}`)
	_, err := New(Config{Records: w, Offers: w, Supervisor: w, Changer: w, Host: host{w}, Build: w.build, Discard: w.discard, Forget: func(string) error { return nil }})
	if err == nil || !strings.Contains(err.Error(), "newer") {
		t.Error(err)
	}
}

// TestAnInstalledManifestIsParsedOnce: what is installed is judged and planned for all the time.
func TestAnInstalledManifestIsParsedOnce(t *testing.T) {
	w := newWorld(t)
	w.installed()
	for range 2 { // as it was installed, and as it was read after a start
		one, err := w.m.Manifest(radio)
		if err != nil {
			t.Fatal(err)
		}
		another, err := w.m.Manifest(radio)
		if err != nil || &one.Arch[0] != &another.Arch[0] {
			t.Errorf("it was parsed again: %v", err)
		}
		w.boot()
		w.rest()
	}
}
