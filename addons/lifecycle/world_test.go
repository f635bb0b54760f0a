package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/spec"
)

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

const radio = "core_radio"

// config is an add-on's configuration file; more lines can be added.
func config(slug, version string, more ...string) []byte {
	return []byte(fmt.Sprintf(`name: %[1]s
version: "%[2]s"
slug: %[1]s
description: plays
arch: [amd64]
image: example.org/addons/%[1]s
options: {volume: 5, station: news}
schema: {volume: "int(0,10)", station: str}
ports: {80/tcp: 8080}
`, slug, version) + strings.Join(more, "\n") + "\n")
}

var errCut = errors.New("the power went")

// world is an appliance around a Manager: what it keeps, what repositories offer, and a supervisor that does what it is
// asked for when time passes. Calls to the outside can be cut: everything after a cut fails until the next boot.
type world struct {
	t       testing.TB
	m       *Manager
	dir     string
	kept    map[string][]byte
	offers  map[string]Offer
	rows    map[string]*Standing
	fails   string // why the next change ends badly, "" = it ends well
	forgot  []string
	taken   map[uint16]string
	present map[string]bool // devices
	asked   func()          // comes between a question for an offer and its answer
	stood   func()          // comes right after a question how a service stands
	armor   bool            // the kernel has AppArmor
	loads   bool            // and profiles can be loaded
	armour  map[string]bool // those that are
	clock   time.Time
	unsure  bool // nobody believes the clock
	count   int
	images  map[string]bool // built here
	placed  map[string]bool // those of them that were ever needed
	refuse  error           // of Place
	during  func()          // a build

	calls   []string
	at      int // call to cut, -1 = none
	applied bool
	dead    bool
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir(), kept: map[string][]byte{}, offers: map[string]Offer{}, rows: map[string]*Standing{},
		taken: map[uint16]string{}, present: map[string]bool{}, armour: map[string]bool{},
		images: map[string]bool{}, placed: map[string]bool{}, clock: noon, at: -1}
	w.offer("radio", config("radio", "1"))
	w.boot()
	return w
}

func (w *world) boot() {
	w.t.Helper()
	w.dead = false
	m, err := New(Config{Records: w, Offers: w, Supervisor: w, Changer: w, Host: host{w}, Build: w.build, Discard: w.discard, Forget: func(slug string) error {
		return w.call("forget", func() { w.forgot = append(w.forgot, slug) })
	}, Now: func() time.Time { return w.clock }, Clock: func() bool { return !w.unsure }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.m = m
}

func (w *world) offer(slug string, raw []byte) {
	w.t.Helper()
	m, err := addons.ParseManifest("config.yaml", raw)
	if err != nil {
		w.t.Fatal(err)
	}
	w.offers["core_"+slug] = Offer{Slug: "core_" + slug, Repository: "core", Source: "https://a.example/addons", Manifest: m, File: "config.yaml", Raw: raw, Seen: noon.Add(-48 * time.Hour)}
}

func (w *world) call(name string, effect func()) error {
	if w.dead {
		return errCut
	}
	n := len(w.calls)
	w.calls = append(w.calls, name)
	if n != w.at {
		effect()
		return nil
	}
	w.dead = true
	if w.applied {
		effect()
	}
	return errCut
}

// Records.

func (w *world) Load() (map[string][]byte, error) { return maps.Clone(w.kept), nil }
func (w *world) Put(slug string, b []byte) error {
	return w.call("put", func() { w.kept[slug] = slices.Clone(b) })
}
func (w *world) Delete(slug string) error {
	return w.call("delete", func() { delete(w.kept, slug) })
}

// Offers.

func (w *world) Offer(slug string) (Offer, error) {
	if f := w.asked; f != nil {
		w.asked = nil
		f()
	}
	o, ok := w.offers[slug]
	if !ok {
		return o, fmt.Errorf("repository core has it no more: %w", ErrNotOffered)
	}
	return o, nil
}

// Supervisor.

func (w *world) row(service string) *Standing {
	if w.rows[service] == nil {
		w.rows[service] = &Standing{}
	}
	return w.rows[service]
}

func (w *world) Standing(service string) (Standing, error) {
	st := *w.row(service)
	if f := w.stood; f != nil {
		w.stood = nil
		f()
	}
	return st, nil
}
func (w *world) Still(_ context.Context, service string, do func() error) error {
	if r := w.row(service); r.Version == "" || r.Stopped == "" || r.Open != "" {
		return errors.New("it does not rest")
	}
	return do()
}
func (w *world) Differs(service string) (bool, error) { return false, nil }

// begin opens a change as the supervisor does: not beside another.
func (w *world) begin(ctx context.Context, what, service, version string) (id string, err error) {
	r := w.row(service)
	if r.Open != "" {
		return "", errors.New("a change is under way")
	}
	if what != "remove" {
		if _, ok, err := w.m.Define(ctx, service, version); err != nil || !ok {
			return "", errors.Join(err, fmt.Errorf("known %v", ok))
		}
	}
	w.count++
	id = fmt.Sprintf("%s-%d", what, w.count)
	return id, w.call(what, func() { r.Open, r.OpenVersion = id, version })
}

func (w *world) Install(ctx context.Context, service string) (string, error) {
	slug, _ := Slug(service)
	return w.begin(ctx, "install", service, w.offers[slug].Manifest.Version)
}
func (w *world) Place(ctx context.Context, service, version, image string) (string, error) {
	if w.refuse != nil {
		return "", w.refuse
	}
	w.placed[image] = true
	return w.begin(ctx, "place", service, version)
}
func (w *world) Remove(ctx context.Context, service string) (string, error) {
	return w.begin(ctx, "remove", service, "")
}
func (w *world) Renew(ctx context.Context, service string) (string, error) {
	return w.begin(ctx, "renew", service, w.row(service).Version)
}
func (w *world) Run(_ context.Context, service string, do Power) error {
	return w.call(string(do), func() {
		w.row(service).Stopped = map[Power]string{PowerStop: "stopped by the owner"}[do]
	})
}
func (w *world) Retune(context.Context, string) error { return w.call("retune", func() {}) }

// settle ends all open changes.
func (w *world) settle() {
	for service, r := range w.rows {
		if r.Open == "" {
			continue
		}
		kind, _, _ := strings.Cut(r.Open, "-")
		r.Last = Change{ID: r.Open, Removal: kind == "remove", Good: w.fails == "", Why: w.fails, Created: w.clock}
		if w.fails == "" {
			switch kind {
			case "remove":
				r.Version, r.Previous, r.Stopped, r.Unproved, r.Profile = "", "", "", false, ""
			case "renew":
				r.Stopped, r.Unproved = "", false
			default:
				if r.Version == "" {
					r.Stopped, r.Unproved = "installed, not started yet", true
				}
				r.Previous, r.Version = r.Version, r.OpenVersion
			}
		}
		r.Open, r.OpenVersion = "", ""
		if r.Last.Good && kind != "remove" {
			d, _, err := w.m.Define(context.Background(), service, r.Version)
			if r.Profile = d.Container.AppArmor; err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// rest lets everything come to its end.
func (w *world) rest() {
	w.t.Helper()
	for range 6 {
		w.settle()
		if err := w.m.Reconcile(context.Background()); err != nil && !w.dead {
			w.t.Fatal(err)
		}
	}
}

// Host.

func (w *world) build(context.Context, Offer) (image string, err error) {
	if w.during != nil {
		w.during()
	}
	image = fmt.Sprintf("sha256:%064x", len(w.calls)+1)
	return image, w.call("build", func() { w.images[image] = true })
}

func (w *world) discard(context.Context, string) {
	if !w.dead {
		maps.DeleteFunc(w.images, func(image string, _ bool) bool { return !w.placed[image] })
	}
}

type host struct{ *world }

func (h host) Place() addons.Place {
	return addons.Place{Dir: h.dir, Arch: "amd64", Machine: "generic-x86-64", TimeZone: "Europe/Berlin", Network: "hassio", API: "172.30.32.2", AppArmor: h.armor}
}
func (h host) Secret(name string) (string, bool) { return "s3cret", name == "pw" }
func (h host) Device(path, _ string) bool        { return h.present[path] }
func (h host) Exists(path string) bool           { return h.present[path] }
func (h host) LoadProfile(_ context.Context, slug, profile string) (string, error) {
	if !h.loads {
		return "", nil
	}
	name := fmt.Sprintf("%s.%x", slug, profile)
	h.armour[name] = true
	return name, nil
}
func (h host) DropProfiles(_ context.Context, slug, inUse string, profiles []string) error {
	gone := maps.Clone(h.armour)
	delete(gone, inUse)
	for _, p := range profiles {
		delete(gone, fmt.Sprintf("%s.%x", slug, p))
	}
	maps.DeleteFunc(gone, func(name string, _ bool) bool { return !strings.HasPrefix(name, slug+".") })
	if len(gone) == 0 {
		return nil
	}
	return h.call("drop profiles", func() {
		maps.DeleteFunc(h.armour, func(name string, _ bool) bool { return gone[name] })
	})
}
func (h host) Taken(p spec.Port) string { return h.taken[p.Host] }

// profiled offers the radio with a profile of its own, on a kernel that takes one.
func (w *world) profiled(version, profile string) {
	w.t.Helper()
	w.armor, w.loads = true, true
	w.offer("radio", config("radio", version))
	o := w.offers[radio]
	o.Profile = profile
	w.offers[radio] = o
}

// installed brings the add-on in and lets it run.
func (w *world) installed() {
	w.t.Helper()
	if _, err := w.m.Install(context.Background(), radio, nil); err != nil {
		w.t.Fatal(err)
	}
	w.rest()
	if _, err := w.m.Start(context.Background(), radio); err != nil {
		w.t.Fatal(err)
	}
	w.rest()
	w.write("data/"+radio+"/state", "old")
}

func (w *world) write(name, text string) {
	w.t.Helper()
	name = filepath.Join(w.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		w.t.Fatal(err)
	}
}

// read is "" for a missing file.
func (w *world) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(w.dir, name))
	return string(b)
}

// record is what is on disk of an add-on.
func (w *world) record(slug string) (r Record) {
	w.t.Helper()
	if b, ok := w.kept[slug]; ok {
		if err := json.Unmarshal(b, &r); err != nil {
			w.t.Fatal(err)
		}
	}
	return r
}

// mkdir makes a folder that somebody else made.
func (w *world) mkdir(dir string) {
	w.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
}
