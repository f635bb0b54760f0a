package supervisor

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/updater"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const origin = "ledger.example.org/main"

// ledger is a replica in memory with really signed records of one publisher.
type ledger struct {
	id        string
	root, key ed25519.PrivateKey
	chain     []trust.PlacedPublisher
	records   []trust.PlacedNotarization
	count     uint64
	uid       uint64
	now       func() time.Time
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // in tests only: it fails the test with a stack
	}
	return v
}

func newLedger() *ledger {
	seed := func(s string) ed25519.PrivateKey { h := sha256.Sum256([]byte(s)); return ed25519.NewKeyFromSeed(h[:]) }
	l := &ledger{root: seed("root"), key: seed("work"), uid: 1, now: time.Now}
	pub := l.root.Public().(ed25519.PublicKey)
	work := l.key.Public().(ed25519.PublicKey)
	l.id = trust.PublisherID(pub)
	doc := trust.Publisher{ID: l.id, Ledger: origin, Version: 1, Threshold: 1, Root: pub, Keys: []trust.PublisherKey{{KeyID: trust.KeyID(work), Pub: work}}}
	env := must(trust.Sign(trust.PublisherType, must(trust.EncodePublisher(doc)), l.root))
	l.count++
	l.chain = must(trust.VerifyChain([]trust.PlacedPublisher{{Pos: trust.Position{Tx: l.count}, Envelope: env, Publisher: doc}}, nil))
	return l
}

// say appends a record about an image.
func (l *ledger) say(r Resolved, status trust.Status) {
	l.count++
	l.uid += 1000
	s := r.Subject
	n := trust.Notarization{
		UID: l.uid, Ledger: origin, Publisher: l.id, Doc: 1, Kind: trust.KindImage, Name: s.Repository, Version: s.Version, Status: status,
		SignedAt: 1, Subjects: []trust.RecordSubject{
			{Name: s.Repository, Digest: s.Manifest, Role: trust.RoleManifest, Platform: "linux/amd64"},
			{Name: s.Repository, Digest: s.Config, Role: trust.RoleConfig, Platform: "linux/amd64"},
		},
	}
	if status != trust.Trusted {
		n.Severity, n.Reason = trust.SeverityUpdate, "it eats the data"
	}
	env := must(trust.Sign(trust.NotarizationType, must(trust.EncodeNotarization(n)), l.key))
	l.records = append(l.records, trust.PlacedNotarization{
		Pos: trust.Position{Tx: l.count}, Envelope: env, Notarization: must(trust.ParseNotarization(env.Payload))})
}

func (l *ledger) Head() (trust.Head, error) {
	return trust.Head{Origin: origin, Count: l.count, Alh: trust.DigestOf(nil), Time: l.now(), RootVersion: 1}, nil
}

func (l *ledger) ByDigest(d trust.Digest) (out []trust.PlacedNotarization, _ error) {
	for _, n := range l.records {
		if slices.ContainsFunc(n.Notarization.Subjects, func(s trust.RecordSubject) bool { return s.Digest == d }) {
			out = append(out, n)
		}
	}
	return out, nil
}

func (l *ledger) ByName(kind, name, version string) (out []trust.PlacedNotarization, _ error) {
	for _, n := range l.records {
		if n.Notarization.Kind == kind && n.Notarization.Name == name && (version == "" || n.Notarization.Version == version) {
			out = append(out, n)
		}
	}
	return out, nil
}

func (l *ledger) PublisherChain(id string) ([]trust.PlacedPublisher, error) {
	if id != l.id {
		return nil, nil
	}
	return l.chain, nil
}

// image is what a registry and an engine have of one version of a service.
func image(service, version string) Resolved {
	config := trust.DigestOf([]byte("config " + service + version))
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":%q},"layers":[]}`, config)
	return Resolved{
		Subject: trust.Subject{
			Component: service, Class: trust.ClassAddon, Repository: "example.org/addons/" + service, Version: version,
			Platform: trust.Platform{OS: "linux", Architecture: "amd64"}, Manifest: trust.DigestOf(manifest), Config: config,
		},
		Raw: trust.Raw{Manifest: manifest}, Size: 1000,
	}
}

// world is an appliance: an engine, a registry and a ledger outside, a real journal, log and Gate inside.
type world struct {
	t        testing.TB
	dir      string
	engine   *engine
	ledger   *ledger
	journal  *state.Journal
	log      *audit.Log
	gate     *trust.Gate
	memory   *trust.Memory
	tap      *tap
	services []Service
	tended   map[string]Service // add-ons, as they are to be run
	m        *Manager
}

func service(name string) Service {
	return Service{
		Name: name, Class: trust.ClassAddon, Data: []string{"/data/" + name},
		Container: spec.Container{StopTimeout: 5 * time.Second},
		Health:    spec.Health{Checks: []spec.Check{{Name: "frontend", Exec: &spec.ExecCheck{Command: []string{"well"}}, Successes: 2}}, Deadline: 8 * time.Second},
	}
}

// newWorld makes an appliance that knows the services, with versions 1, 2 and 3 of each notarized.
func newWorld(t testing.TB, services ...string) *world {
	t.Helper()
	dir, err := os.MkdirTemp(fastDir(), "castellan-test-")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, engine: newEngine(t), ledger: newLedger(), tap: &tap{at: -1}}
	for _, s := range services {
		w.services = append(w.services, service(s))
		for _, v := range []string{"1", "2", "3"} {
			i := image(s, v)
			w.engine.registry[i.Subject.Repository+":"+v] = i
			w.engine.registry[byDigest(i.Subject)] = i
			w.ledger.say(i, trust.Trusted)
		}
	}
	must(0, state.Init(filepath.Join(dir, "journal")))
	must(0, audit.Init(filepath.Join(dir, "log")))
	must(trust.InitMemory(filepath.Join(dir, "trust.json")))
	w.boot()
	return w
}

// tend makes the configured services add-ons.
func (w *world) tend() {
	w.tended = map[string]Service{}
	for i, s := range w.services {
		s.Tended, s.Stage = true, i
		w.tended[s.Name] = s
		w.options(s.Name, "first")
	}
	w.services = nil
	must(0, w.m.SetServices(nil))
}

// options changes what an add-on finds in its options when it is started the next time.
func (w *world) options(name, content string) {
	s := w.tended[name]
	s.Files = []spec.File{{Path: "/data/" + name + "/options.json", Content: []byte(content), Mode: 0o600}}
	w.tended[name] = s
}

// fastDir is memory where there is some: what is tested is the order of the writes, not the disk.
func fastDir() string {
	if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// boot starts the program on what is on disk.
func (w *world) boot() {
	w.t.Helper()
	w.journal = must(state.Open(filepath.Join(w.dir, "journal")))
	w.log = must(audit.Open(filepath.Join(w.dir, "log"), audit.Options{}))
	memory := must(trust.OpenMemory(filepath.Join(w.dir, "trust.json")))
	w.memory = memory
	root := trust.Root{
		Version: 1, Expires: time.Now().AddDate(1, 0, 0), Threshold: 1, Ledgers: []trust.RootLedger{{Origin: origin}},
		Preload: []trust.Preload{{Name: "example.org/addons/*", Publisher: w.ledger.id}},
	}
	w.gate = must(trust.NewGate(trust.GateConfig{
		Evidence: func(trust.Subject) (trust.Evidence, error) { return w.ledger, nil },
		Roots:    func() (trust.Root, trust.Reason) { return root, "" },
		Policy:   func(string) trust.Policy { return trust.Policy{} },
		Memory:   memory, Clock: trust.NewClock(memory, func() bool { return true }), Log: w.log,
	}))
	w.tap.dead = false
	w.m = must(New(Config{
		Journal: tapJournal{w.tap, w.journal}, Images: tapImages{w.tap, w.engine}, Containers: tapContainers{w.tap, w.engine},
		Fetcher: tapFetcher{w.tap, w.engine}, Authority: tapAuthority{w.tap, w.gate}, Story: tapStory{w.tap, w.log},
		Snapshots: tapSnapshots{w.tap, w.engine}, Services: w.services, Parallel: 2,
		Files: tapFiles{w.tap, w.engine}, Neighbours: tapNeighbours{w.tap, w.engine},
		Define: func(name, _ string) (Service, bool, error) { s, ok := w.tended[name]; return s, ok, nil },
	}))
}

// down ends the program's hold on its files.
func (w *world) down() {
	must(0, w.log.Close())
	must(0, w.journal.Close())
}

func (w *world) close() {
	w.down()
	_ = os.RemoveAll(w.dir)
}

// run lets the manager run until every change rests or the tap cuts it off.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.tap.cut = cancel
	done := make(chan error, 1)
	go func() { done <- w.m.Run(ctx) }()
	patience, enough := context.WithTimeout(ctx, 24*time.Hour) // of the bubble's time
	defer enough()
	for _, c := range must(changesOf(w.journal)) {
		if _, err := w.m.Wait(patience, c.ID); err != nil && ctx.Err() == nil {
			w.t.Errorf("it does not come to rest: %v: %+v", err, must(changesOf(w.journal)))
		}
	}
	cancel()
	must(0, <-done)
}

// changesOf reads the changes beside the tap.
func changesOf(j *state.Journal) (list []Change, err error) {
	err = j.View(func(tx *state.Tx) (err error) { list, err = all[Change](tx, changeBucket); return err })
	return list, err
}

func step(service, version string) updater.Step {
	return updater.Step{
		Service: service, Class: trust.ClassAddon, Action: trust.OwnerUpdate,
		To: updater.Target{Reference: "example.org/addons/" + service + ":" + version, Version: version},
	}
}

func (w *world) submit(steps ...updater.Step) []Change {
	w.t.Helper()
	taken, errs := w.m.Submit(context.Background(), updater.Plan{Steps: steps})
	if len(errs) > 0 {
		w.t.Fatal(errs)
	}
	return taken
}

// at brings services to a version, undisturbed.
func (w *world) at(version string, services ...string) {
	w.t.Helper()
	for _, s := range services {
		w.submit(step(s, version))
	}
	w.run()
	for _, s := range services {
		if got := w.status(s).Version(); got != version {
			w.t.Fatalf("%s is at %q, want %q: %+v", s, got, version, must(changesOf(w.journal)))
		}
	}
}

func (w *world) status(service string) Status {
	for _, s := range must(w.m.Services()) {
		if s.Service.Name == service {
			return s
		}
	}
	return Status{}
}
