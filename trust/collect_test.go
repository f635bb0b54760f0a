package trust

import (
	"crypto/ed25519"
	"fmt"
	"testing"
)

func TestCollectStandsAtOneHead(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	w.addon.say(i, Trusted)
	at := w.head
	w.addon.say(i, Untrusted) // a sync commits while the collector asks
	w.addon.revoke(0)
	w.head = at
	facts, err := Collect(w, i.subject, nil, w.root)
	w.must(err)
	if len(facts.Records) != 1 || len(facts.Publishers[w.addon.id]) != 1 || facts.Head != at {
		t.Errorf("%d records and %d documents beyond head %d", len(facts.Records), len(facts.Publishers[w.addon.id]), at.Count)
	}
}

func TestCollectFiltersWhatAnIndexGivesTooMuch(t *testing.T) {
	w := newWorld(t)
	i, other := addonImage("1.0"), addonImage("2.0")
	w.addon.say(i, Trusted)
	w.addon.say(other, Trusted)
	w.addon.say(i, Trusted, func(n *Notarization) { n.Ledger = "ledger.example.com/other" })
	facts, err := Collect(colliding{w}, i.subject, &ChannelClaim{Name: "stable"}, w.root)
	w.must(err)
	if len(facts.Records) != 1 || len(facts.Named) != 1 || len(facts.Channel) != 0 {
		t.Errorf("%d records, %d named, %d of the channel; want 1, 1, 0", len(facts.Records), len(facts.Named), len(facts.Channel))
	}
}

// colliding is a replica whose index knows only one key: every answer is everything.
type colliding struct{ *world }

func (c colliding) ByDigest(Digest) ([]PlacedNotarization, error) { return c.recs, nil }
func (c colliding) ByName(_, _, _ string) ([]PlacedNotarization, error) {
	return append(c.recs[:len(c.recs):len(c.recs)], c.recs...), nil
}

func TestFactsStaySmallHoweverMuchIsAppended(t *testing.T) {
	w := newWorld(t)
	i := coreImage("2026.8.1")
	w.core.say(i, Trusted)
	for n := range 100 {
		w.channel(fmt.Sprint("stable ", n), "")
		w.stranger.say(i, Untrusted)
	}
	claim := w.channel("stable now", "")
	in := w.input(i, AutoUpdate)
	in.Channel = claim
	in = w.fill(in)
	want(t, Judge(in), Allow, "")
	if len(in.Facts.Records) > maxStrangers+1 || len(in.Facts.Channel) > 2 {
		t.Errorf("%d records and %d of the channel are copied", len(in.Facts.Records), len(in.Facts.Channel))
	}
}

func TestReadWordIsForAnythingWithADigest(t *testing.T) {
	w := newWorld(t)
	d := DigestOf([]byte("a file"))
	file := func(a *author, s Status) {
		a.say(image{}, s, func(n *Notarization) {
			n.Kind, n.Name, n.Version, n.Subjects = KindFile, "backup.tar", "", []RecordSubject{{Digest: d}}
		})
	}
	word := func(want Status) {
		t.Helper()
		facts, err := Collect(w, Subject{Manifest: d}, nil, w.root, w.addon.id)
		w.must(err)
		if got := ReadWord(facts, w.root, []string{w.addon.id}, d); got.Status != want {
			t.Fatalf("got %+v, want %s", got, want)
		}
	}
	word(Unknown)
	file(w.stranger, Trusted)
	word(Unknown)
	good := w.head.Count
	file(w.addon, Trusted)
	word(Trusted)
	file(w.addon, Unsupported)
	word(Unsupported)
	w.addon.revoke(good)
	word(ApikeyRevoked)
	file(w.addon, Trusted)
	word(Trusted)
	file(w.security, Untrusted)
	word(Untrusted)
	file(w.addon, Trusted)
	word(Untrusted)
	file(w.security, Trusted)
	word(Trusted)
}

// forge signs a channel record in a publisher's name with a key that is not his, as an operator or a thief would.
func (w *world) forgeChannel(as *author, with ed25519.PrivateKey, file string) {
	as.sign(image{}, Trusted, []ed25519.PrivateKey{with}, func(n *Notarization) {
		n.Kind, n.Name, n.Version, n.Subjects = KindChannel, "stable", "", []RecordSubject{{Name: "stable", Digest: DigestOf([]byte(file))}}
	})
}

func TestForgedChannelRecordsHideNothing(t *testing.T) {
	for name, crowd := range map[string]func(*world){
		"by the operator": func(w *world) {
			for n := range 20 {
				w.forgeChannel(w.core, w.stranger.work, fmt.Sprint("forged ", n))
			}
		},
		"with a key that is revoked": func(w *world) {
			cutoff := w.head.Count
			for n := range 20 {
				w.forgeChannel(w.core, w.core.work, fmt.Sprint("stolen ", n))
			}
			w.core.revoke(cutoff)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			i := coreImage("2026.8.1")
			w.core.say(i, Trusted)
			old := w.channel("stable of July", "")
			now := w.channel("stable of August", "")
			crowd(w)
			in := w.input(i, AutoUpdate)
			in.Channel = old
			want(t, Judge(w.fill(in)), Defer, ChannelOutdated)
			in.Channel = now
			want(t, Judge(w.fill(in)), Allow, "")
			facts, err := CollectChannel(w, "stable", w.root)
			w.must(err)
			if d, _, ok := CurrentChannel(facts, w.root, Policy{}, "stable"); !ok || d != now.Digest {
				t.Errorf("current is %s, %v; want %s", d.Short(), ok, now.Digest.Short())
			}
		})
	}
}

func TestFactsHoldNoFloodOfForgeriesAndStrangers(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	for range 3 * maxUnchecked {
		w.addon.sign(i, Untrusted, []ed25519.PrivateKey{w.stranger.work})
	}
	w.addon.say(i, Trusted)
	for range 30 {
		w.stranger.publish(func(p *Publisher) {
			p.Names = nil
			for n := range maxPatterns {
				p.Names = append(p.Names, fmt.Sprintf("example.org/%0100d/%d", n, p.Version))
			}
		})
	}
	w.stranger.say(i, Trusted)
	in := w.input(i, OwnerUpdate)
	v := Judge(in)
	want(t, v, Allow, "")
	if want := 3*maxUnchecked + 1; v.Ignored != want {
		t.Errorf("%d ignored records were counted, want %d", v.Ignored, want)
	}
	b, err := EncodeInput(in)
	w.must(err)
	if len(in.Facts.Records) > maxUnchecked+maxStrangers+1 || len(b) > 1<<20 {
		t.Errorf("%d records, %d bytes of evidence", len(in.Facts.Records), len(b))
	}
}
