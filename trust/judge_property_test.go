package trust

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// history appends random words about two images. Each step says whether it may end a withdrawal of an image.
type history struct {
	*world
	images []image
	stolen []ed25519.PrivateKey
}

func newHistory(t *rapid.T) *history {
	h := &history{world: newWorld(t), images: []image{addonImage("1.0"), addonImage("1.1")}}
	h.stolen = []ed25519.PrivateKey{h.addon.work}
	return h
}

func (h *history) step(t *rapid.T) (lifts bool) {
	i := rapid.SampledFrom(h.images).Draw(t, "image")
	status := rapid.SampledFrom([]Status{Trusted, Untrusted, Unsupported}).Draw(t, "status")
	uid := func(n *Notarization) {
		if rapid.Bool().Draw(t, "odd uid") {
			n.UID = uint64(worldStart.UnixNano()) + rapid.Uint64Range(0, 50_000).Draw(t, "uid")
		}
		if rapid.Bool().Draw(t, "part") {
			n.Subjects = n.Subjects[rapid.IntRange(0, len(n.Subjects)-1).Draw(t, "from"):]
		}
	}
	switch rapid.SampledFrom([]string{"addon", "addon", "root", "security", "core", "stranger", "again", "revoke", "thief", "names"}).Draw(t, "who") {
	case "addon":
		h.addon.say(i, status, uid)
	case "root":
		h.addon.sign(i, status, []ed25519.PrivateKey{h.addon.rootKey}, uid)
	case "security":
		h.security.say(i, status, uid)
		return status == Trusted
	case "core":
		h.core.say(i, status, uid)
	case "stranger":
		h.stranger.say(i, status, uid)
	case "thief":
		h.addon.sign(i, status, []ed25519.PrivateKey{rapid.SampledFrom(h.stolen).Draw(t, "key")}, uid)
	case "again":
		if len(h.recs) > 0 {
			h.append(rapid.SampledFrom(h.recs).Draw(t, "record").Envelope)
		}
	case "revoke":
		h.stolen = append(h.stolen, h.addon.revoke(rapid.Uint64Range(0, h.head.Count).Draw(t, "cutoff")))
		return true
	case "names":
		names := rapid.SampledFrom([][]string{nil, {"example.org/addons/ssh"}, {"example.org/else/*"}}).Draw(t, "names")
		h.addon.publish(func(p *Publisher) { p.Names = names })
	}
	return false
}

func TestMoreRecordsNeverEndAWithdrawalUnlessSecurityOrARevocationDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			var before []Verdict
			for _, i := range h.images {
				before = append(before, Judge(h.input(i, Install)))
			}
			lifts := h.step(t)
			for n, i := range h.images {
				after := Judge(h.input(i, Install))
				if before[n].Reason() == Revoked && after.Reason() != Revoked && !lifts {
					t.Fatalf("%s was REVOKED and is %s %s", i.subject.Version, after.Outcome, after.Reason())
				}
			}
		}
	})
}

func TestJudgeIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			h.step(t)
		}
		in := h.input(h.images[0], rapid.SampledFrom([]Action{AutoUpdate, Install, Rollback, Rejudge}).Draw(t, "action"))
		before, err := EncodeInput(in)
		h.must(err)
		first, second := Judge(in), Judge(in)
		after, err := EncodeInput(in)
		h.must(err)
		if string(before) != string(after) {
			t.Fatalf("the input changed")
		}
		if fmt.Sprint(first) != fmt.Sprint(second) {
			t.Fatalf("%+v and then %+v", first, second)
		}
		back, err := DecodeInput(before)
		h.must(err)
		if got := Judge(back); fmt.Sprint(got) != fmt.Sprint(first) {
			t.Fatalf("from the log %+v, want %+v", got, first)
		}
		// The order in which a replica gives its answers plays no part.
		slices.Reverse(h.recs)
		mixed := h.fill(in)
		if got := Judge(mixed); got.Outcome != first.Outcome || got.Reason() != first.Reason() {
			t.Fatalf("in another order %s %s, want %s %s", got.Outcome, got.Reason(), first.Outcome, first.Reason())
		}
	})
}

// flaky is a replica that fails from the n-th question on.
type flaky struct {
	Evidence
	left *int
}

var errFlaky = errors.New("input/output error")

func (f flaky) ok() error {
	if *f.left--; *f.left < 0 {
		return errFlaky
	}
	return nil
}

func (f flaky) Head() (Head, error) { h, _ := f.Evidence.Head(); return h, f.ok() }
func (f flaky) ByDigest(d Digest) ([]PlacedNotarization, error) {
	got, _ := f.Evidence.ByDigest(d)
	return got[:len(got)/2], f.ok() // what comes with an error may be anything
}
func (f flaky) ByName(k, n, v string) ([]PlacedNotarization, error) {
	got, _ := f.Evidence.ByName(k, n, v)
	return got, f.ok()
}
func (f flaky) PublisherChain(id string) ([]PlacedPublisher, error) {
	got, _ := f.Evidence.PublisherChain(id)
	return got, f.ok()
}

func TestFailingReplicaOnlyEverDefers(t *testing.T) {
	h := newHouse(t)
	good, bad, none := addonImage("1.0"), addonImage("1.1"), otherImage("1.0")
	h.addon.say(good, Trusted)
	h.addon.say(bad, Trusted)
	h.addon.say(bad, Untrusted)
	claim := h.channel("stable", "1.0")
	for _, i := range []image{good, bad, none} {
		for left := 0; ; left++ {
			n := left
			h.cfg.Evidence = func(Subject) (Evidence, error) { return wholeThenFlaky(h.world, &n), nil }
			r := h.request(i, Install, "c1")
			r.Channel = claim
			v, err := h.admit(r)
			if n >= 0 { // it answered everything
				break
			}
			if v.Outcome != Defer || v.Reason() != EvidenceUnreadable || err == nil {
				t.Fatalf("failing at question %d: %s %s", left, v.Outcome, v.Reason())
			}
		}
	}
}

// wholeThenFlaky answers in full as long as it answers.
func wholeThenFlaky(w *world, left *int) Evidence { return &counting{flaky{w, left}} }

type counting struct{ flaky }

func (c *counting) ByDigest(d Digest) ([]PlacedNotarization, error) {
	got, err := c.flaky.ByDigest(d)
	if err == nil {
		got, _ = c.Evidence.ByDigest(d)
	}
	return got, err
}

func TestEveryAdmissionIsLoggedAndFloorsNeverShrink(t *testing.T) {
	h := newHouse(t)
	var images []image
	for n := range 6 {
		i := addonImage(fmt.Sprint(n))
		images = append(images, i)
		h.addon.say(i, []Status{Trusted, Trusted, Unsupported, Untrusted}[n%4])
		h.addon.say(i, Trusted)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	actions := []Action{AutoUpdate, OwnerUpdate, Install, Restore, Rollback, Rejudge}
	var floor Position
	for n := range 150 {
		i := images[rng.IntN(len(images))]
		h.fail = nil
		if rng.IntN(6) == 0 {
			h.fail = errFlaky
		}
		v, err := h.admit(h.request(i, actions[rng.IntN(len(actions))], fmt.Sprint("c", n))) // checks that it is logged
		if err == nil && rng.IntN(2) == 0 {
			h.must(h.Healthy(context.Background(), v))
		}
		if rng.IntN(20) == 0 {
			h.boot()
		}
		if p := h.mem.Pin("addon_ssh"); p != nil {
			if p.Floor.Before(floor) {
				t.Fatalf("floor fell from %v to %v", floor, p.Floor)
			}
			floor = p.Floor
		}
	}
	if floor == (Position{}) || len(h.log.got) != 150 {
		t.Errorf("floor %v after %d records", floor, len(h.log.got))
	}
}

func FuzzManifests(f *testing.F) {
	i := addonImage("1.0")
	f.Add(i.raw.Index, i.raw.Manifest)
	f.Add([]byte("{}"), []byte(`{"config":{"digest":1}}`))
	f.Add([]byte(`{"manifests":null}`), []byte(`{"config":null}`))
	f.Fuzz(func(t *testing.T, index, manifest []byte) {
		in := Input{Request: Request{Subject: i.subject, Action: Install, Raw: &Raw{Index: index, Manifest: manifest}}}
		in.Subject.Index, in.Subject.Manifest = DigestOf(index), DigestOf(manifest)
		in.FirstResolved, in.Now = worldStart, worldStart
		if v := Judge(in); v.Outcome.Allowed() && !slices.Contains([]Outcome{AllowUnsigned}, v.Outcome) {
			t.Errorf("got %+v", v)
		}
	})
}

func FuzzDecodeInput(f *testing.F) {
	w := newWorld(f)
	i := addonImage("1.0")
	w.addon.say(i, Trusted)
	b, err := EncodeInput(w.input(i, Install))
	w.must(err)
	f.Add(b)
	f.Add([]byte(`{"Facts":{"publishers":{"p":[]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if in, err := DecodeInput(b); err == nil {
			Judge(in) // whatever a log holds, it gives a verdict
		}
	})
}

// warm is a replica with an index, of a ledger with many releases.
type warm struct {
	*world
	byDigest map[Digest][]PlacedNotarization
	byName   map[[2]string][]PlacedNotarization
}

func (w *warm) ByDigest(d Digest) ([]PlacedNotarization, error) { return w.byDigest[d], nil }
func (w *warm) ByName(kind, name, version string) ([]PlacedNotarization, error) {
	return w.byName[[2]string{kind, name + " " + version}], nil
}

// BenchmarkJudge judges one core release of a ledger with 300 of them from a warm index: collection, two signatures
// (the notarization and the current channel record), all steps.
func BenchmarkJudge(b *testing.B) {
	w := &warm{world: newWorld(b), byDigest: map[Digest][]PlacedNotarization{}, byName: map[[2]string][]PlacedNotarization{}}
	var i image
	var claim *ChannelClaim
	for n := range 300 {
		i = coreImage(fmt.Sprint("2026.8.", n))
		w.core.say(i, Trusted)
		claim = w.channel(fmt.Sprint("stable ", n), "")
	}
	for _, n := range w.recs {
		for _, s := range n.Notarization.Subjects {
			w.byDigest[s.Digest] = append(w.byDigest[s.Digest], n)
		}
		for _, v := range []string{n.Notarization.Version, ""} {
			k := [2]string{n.Notarization.Kind, n.Notarization.Name + " " + v}
			w.byName[k] = append(w.byName[k], n)
			if n.Notarization.Version == "" {
				break
			}
		}
	}
	in := w.input(i, AutoUpdate)
	in.Channel, in.Pin = claim, &Pin{Component: "core", Ledger: worldOrigin, Floor: Position{Tx: 10}}
	b.ReportAllocs()
	for b.Loop() {
		facts, err := Collect(w, in.Subject, in.Channel, in.Root)
		w.must(err)
		in.Facts = facts
		if v := Judge(in); v.Outcome != Allow {
			b.Fatalf("got %+v", v)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/judgement")
}
