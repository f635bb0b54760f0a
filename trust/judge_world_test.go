package trust

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// tb is what tests, benchmarks and rapid checks have in common.
type tb interface {
	Helper()
	Fatalf(string, ...any)
}

var worldStart = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

const worldOrigin = "ledger.example.org/main"

// world is a ledger with really signed records, in memory, as a verified replica shows it.
type world struct {
	t    tb
	head Head
	recs []PlacedNotarization
	docs map[string][]PlacedPublisher
	uid  uint64
	fail error // every answer, once set

	core, security, addon, stranger *author
	root                            Root
}

// author is a publisher with its keys.
type author struct {
	w       *world
	name    string
	id      string
	rootKey ed25519.PrivateKey
	work    ed25519.PrivateKey
	doc     Publisher
}

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func newWorld(t tb) *world {
	w := &world{t: t, docs: map[string][]PlacedPublisher{}, uid: uint64(worldStart.UnixNano())}
	w.head = Head{Origin: worldOrigin, Alh: DigestOf(nil), Time: worldStart, RootVersion: 1}
	w.core, w.security = w.author("core"), w.author("security")
	w.addon, w.stranger = w.author("addon author"), w.author("stranger")
	w.root = Root{
		Version: 1, Expires: worldStart.AddDate(1, 0, 0), Threshold: 1,
		Ledgers: []RootLedger{{Origin: worldOrigin}},
		Core:    []string{w.core.id}, Security: []string{w.security.id},
		Preload: []Preload{{Name: "example.org/addons/*", Publisher: w.addon.id}},
	}
	return w
}

func (w *world) author(name string) *author {
	a := &author{w: w, name: name, rootKey: key(name + " root"), work: key(name + " work")}
	a.id = PublisherID(public(a.rootKey))
	a.doc = Publisher{ID: a.id, Ledger: worldOrigin, Threshold: 1, Root: public(a.rootKey), Keys: []PublisherKey{working(a.work)}}
	a.publish(func(*Publisher) {})
	return a
}

func working(k ed25519.PrivateKey) PublisherKey {
	return PublisherKey{KeyID: KeyID(public(k)), Pub: public(k)}
}

// publish appends the next version of a's document.
func (a *author) publish(edit func(*Publisher)) {
	a.w.t.Helper()
	next := a.doc
	next.Version++
	if chain := a.w.docs[a.id]; len(chain) > 0 {
		next.Prev = DigestOf(chain[len(chain)-1].Envelope.Payload)
	}
	edit(&next)
	payload, err := EncodePublisher(next)
	a.w.must(err)
	env, err := Sign(PublisherType, payload, a.rootKey)
	a.w.must(err)
	chain, err := VerifyChain(append(slices.Clone(a.w.docs[a.id]), PlacedPublisher{Pos: a.w.next(), Envelope: env, Publisher: next}), nil)
	a.w.must(err)
	a.w.docs[a.id], a.doc = chain, next
}

// revoke withdraws a's working key for everything after cutoff and names a new one.
func (a *author) revoke(cutoff uint64) (stolen ed25519.PrivateKey) {
	stolen = a.work
	a.work = key(fmt.Sprintf("%s work %d", a.name, a.doc.Version+1))
	a.publish(func(p *Publisher) {
		p.Keys = []PublisherKey{working(a.work)}
		p.Revoked = append(slices.Clone(p.Revoked), Revocation{KeyID: KeyID(public(stolen)), Reason: "compromised", Cutoff: cutoff})
	})
	return stolen
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v", err)
	}
}

func (w *world) next() Position {
	w.head.Count++
	return Position{Tx: w.head.Count}
}

// image is a platform image of an index with two platforms.
type image struct {
	subject Subject
	raw     Raw
	others  []RecordSubject // the other platform
}

func newImage(component string, class Class, repository, version, salt string) image {
	config := func(arch string) Digest { return DigestOf([]byte("config " + repository + version + salt + arch)) }
	manifest := func(arch string) []byte {
		return fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":%q},"layers":[]}`, config(arch))
	}
	arm, amd := manifest("arm64"), manifest("amd64")
	index := fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[
		{"digest":%q,"platform":{"os":"linux","architecture":"arm64","variant":"v8"}},
		{"digest":%q,"platform":{"os":"linux","architecture":"amd64"}},
		{"digest":%q,"platform":{"os":"unknown","architecture":"unknown"}}]}`, DigestOf(arm), DigestOf(amd), DigestOf([]byte("attestation")))
	return image{
		subject: Subject{
			Component: component, Class: class, Repository: repository, Version: version,
			Platform: Platform{OS: "linux", Architecture: "arm64"},
			Index:    DigestOf(index), Manifest: DigestOf(arm), Config: config("arm64"),
		},
		raw: Raw{Index: index, Manifest: arm},
		others: []RecordSubject{
			{Name: repository, Digest: DigestOf(amd), Role: RoleManifest, Platform: "linux/amd64"},
			{Name: repository, Digest: config("amd64"), Role: RoleConfig, Platform: "linux/amd64"},
		},
	}
}

const (
	coreRepo  = "example.org/house/core"
	addonRepo = "example.org/addons/ssh"
	otherRepo = "example.org/others/radio" // nobody vouches for it
)

func coreImage(version string) image { return newImage("core", ClassCore, coreRepo, version, "") }
func addonImage(version string) image {
	return newImage("addon_ssh", ClassAddon, addonRepo, version, "")
}
func otherImage(version string) image {
	return newImage("addon_radio", ClassAddon, otherRepo, version, "")
}

func (i image) subjects() []RecordSubject {
	s := i.subject
	return append([]RecordSubject{
		{Name: s.Repository, Digest: s.Index, Role: RoleIndex},
		{Name: s.Repository, Digest: s.Manifest, Role: RoleManifest, Platform: "linux/arm64/v8"},
		{Name: s.Repository, Digest: s.Config, Role: RoleConfig, Platform: "linux/arm64"},
	}, i.others...)
}

// say appends a's record about i.
func (a *author) say(i image, status Status, edits ...func(*Notarization)) PlacedNotarization {
	a.w.t.Helper()
	return a.sign(i, status, []ed25519.PrivateKey{a.work}, edits...)
}

func (a *author) sign(i image, status Status, keys []ed25519.PrivateKey, edits ...func(*Notarization)) PlacedNotarization {
	a.w.t.Helper()
	a.w.uid += 1000
	n := Notarization{
		UID: a.w.uid, Ledger: a.doc.Ledger, Publisher: a.id, Doc: a.doc.Version, Kind: KindImage,
		Name: i.subject.Repository, Version: i.subject.Version, Status: status, SignedAt: worldStart.Unix(), Subjects: i.subjects(),
	}
	for _, edit := range edits {
		edit(&n)
	}
	payload, err := EncodeNotarization(n)
	a.w.must(err)
	env, err := Sign(NotarizationType, payload, keys...)
	a.w.must(err)
	return a.w.append(env)
}

// append puts an envelope into the ledger as an operator can: without asking anybody.
func (w *world) append(env Envelope) PlacedNotarization {
	w.t.Helper()
	n, err := ParseNotarization(env.Payload)
	w.must(err)
	p := PlacedNotarization{Pos: w.next(), Envelope: env, Notarization: n}
	w.recs = append(w.recs, p)
	return p
}

// channel notarizes a channel file and gives the claim made from it.
func (w *world) channel(file, floor string) *ChannelClaim {
	w.t.Helper()
	c := &ChannelClaim{Name: "stable", Digest: DigestOf([]byte(file)), Floor: floor}
	w.core.say(image{}, Trusted, func(n *Notarization) {
		n.Kind, n.Name, n.Version, n.Subjects = KindChannel, c.Name, "", []RecordSubject{{Name: c.Name, Digest: c.Digest}}
	})
	return c
}

// World as Evidence.

func (w *world) Head() (Head, error) { return w.head, w.fail }

func (w *world) ByDigest(d Digest) ([]PlacedNotarization, error) {
	return w.find(func(n *Notarization) bool { return n.about(d) })
}

func (w *world) ByName(kind, name, version string) ([]PlacedNotarization, error) {
	return w.find(func(n *Notarization) bool {
		return n.Kind == kind && n.Name == name && (version == "" || n.Version == version)
	})
}

func (w *world) find(match func(*Notarization) bool) (out []PlacedNotarization, err error) {
	for _, n := range w.recs {
		if match(&n.Notarization) {
			out = append(out, n)
		}
	}
	return out, w.fail
}

func (w *world) PublisherChain(id string) ([]PlacedPublisher, error) { return w.docs[id], w.fail }

// input is what a judgement of i sees now, two hours after it was first looked up, with the newest checkpoint at hand.
func (w *world) input(i image, a Action) Input {
	w.t.Helper()
	in := Input{
		Request: Request{
			Subject: i.subject, Action: a, Raw: &i.raw, Change: "change-1", Installed: true,
			FirstResolved: w.head.Time.Add(-2 * time.Hour),
		},
		Root: w.root, Now: w.head.Time.Add(time.Minute),
	}
	return w.fill(in)
}

func (w *world) fill(in Input) Input {
	w.t.Helper()
	also := []string{in.Policy.House, in.Policy.Map[in.Subject.Component]}
	if in.Pin != nil {
		also = append(also, in.Pin.Publisher)
	}
	facts, err := Collect(w, in.Subject, in.Channel, in.Root, also...)
	w.must(err)
	in.Facts = facts
	return in
}

// want checks the outcome and reason of a verdict.
func want(t tb, v Verdict, o Outcome, r Reason) {
	t.Helper()
	if v.Outcome != o || v.Reason() != r {
		t.Fatalf("got %s %s, want %s %s; findings %+v", v.Outcome, cmp.Or(v.Reason(), "–"), o, cmp.Or(r, "–"), v.Findings)
	}
}

func warned(v Verdict, r Reason) bool {
	return slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Reason == r && !f.Decided })
}

// house is an appliance: a Gate on a world, with memory on disk and a log in memory.
type house struct {
	*world
	*Gate
	path   string
	mem    *Memory
	clock  *Clock
	log    *recorder
	policy Policy
	system time.Time
	uptime time.Duration
	synced bool
}

// recorder is the verification log; it breaks when told.
type recorder struct {
	mu   sync.Mutex
	got  []Verdict
	in   []Input
	fail error
}

func (r *recorder) RecordVerdict(_ context.Context, v Verdict, in Input) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return 0, r.fail
	}
	r.got, r.in = append(r.got, v), append(r.in, in)
	return uint64(len(r.got)), nil
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{world: newWorld(t), path: t.TempDir() + "/trust.json", log: &recorder{}, system: worldStart.Add(time.Minute), synced: true}
	var err error
	h.mem, err = InitMemory(h.path)
	h.must(err)
	h.boot()
	return h
}

// boot starts the program again on what is on disk.
func (h *house) boot() {
	h.t.Helper()
	var err error
	h.mem, err = OpenMemory(h.path)
	h.must(err)
	h.clock = &Clock{
		Memory: h.mem,
		System: func() time.Time { return h.system }, Uptime: func() time.Duration { return h.uptime }, Synced: func() bool { return h.synced },
	}
	h.Gate, err = NewGate(GateConfig{
		Evidence: func(Subject) (Evidence, error) { return h.world, nil },
		Roots:    func() (Root, Reason) { return h.root, "" },
		Policy:   func(string) Policy { return h.policy },
		Memory:   h.mem, Clock: h.clock, Log: h.log,
	})
	h.must(err)
}

func (h *house) request(i image, a Action, change string) Request {
	return Request{Subject: i.subject, Action: a, Raw: &i.raw, Change: change, Installed: true, FirstResolved: h.head.Time.Add(-2 * time.Hour)}
}

// admit asks the gate and holds it to its word: a permit exactly without an error, and a log record for each verdict.
func (h *house) admit(r Request) (Verdict, error) {
	h.t.Helper()
	before := len(h.log.got)
	p, v, err := h.Admit(context.Background(), r)
	switch {
	case p.Valid() != (err == nil):
		h.t.Fatalf("permit %+v with error %v", p, err)
	case err == nil && (p.Subject() != r.Subject || p.Outcome() != v.Outcome):
		h.t.Fatalf("permit %+v for verdict %+v", p, v)
	case len(h.log.got) != before+1 || h.log.got[before].Outcome != v.Outcome:
		h.t.Fatalf("log holds %d verdicts more, want this one", len(h.log.got)-before)
	}
	var refused *RefusedError
	var deferred *DeferredError
	if err != nil && !(errors.As(err, &refused) && v.Outcome == Refuse) && !(errors.As(err, &deferred) && v.Outcome == Defer) {
		h.t.Fatalf("verdict %s came as %T: %v", v.Outcome, err, err)
	}
	return v, err
}
