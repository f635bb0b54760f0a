package trust

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func nolog(Override) error { return nil }

// forced keeps an override for i, as an owner would make it.
func (h *house) forced(i image, typed string, reasons ...Reason) Override {
	h.t.Helper()
	now, _ := h.clock.Now()
	o, err := h.mem.AddOverride(Override{
		Component: i.subject.Component, Digest: i.subject.Manifest, Reasons: reasons, Why: "my own build", By: "owner",
	}, typed, now, nolog)
	h.must(err)
	return o
}

func TestNoPermitWithoutALogRecord(t *testing.T) {
	h := newHouse(t)
	i := addonImage("1.0")
	h.addon.say(i, Trusted)
	h.log.fail = errors.New("disk full")
	p, v, err := h.Admit(context.Background(), h.request(i, Install, "c1"))
	if err == nil || p.Valid() || v.Outcome != Allow {
		t.Fatalf("permit %+v, verdict %s, error %v; want an error and no permit", p, v.Outcome, err)
	}
	if !strings.Contains(err.Error(), "disk full") || !strings.Contains(err.Error(), `"addon_ssh"`) {
		t.Errorf("error %v", err)
	}
	if (Permit{}).Valid() || (Permit{}).Permits("", "") {
		t.Error("the zero permit permits something")
	}
	h.log.fail = nil
	if _, err := h.admit(h.request(i, Install, "c1")); err != nil {
		t.Fatal(err)
	}
}

func TestPermitIsForOneComponentAndOneImage(t *testing.T) {
	h := newHouse(t)
	i := addonImage("1.0")
	h.addon.say(i, Trusted)
	p, _, err := h.Admit(context.Background(), h.request(i, Install, "c1"))
	h.must(err)
	for _, d := range i.subject.Digests() {
		if !p.Permits("addon_ssh", d) || p.Permits("addon_other", d) {
			t.Errorf("digest %s: %t", d.Short(), p.Permits("addon_ssh", d))
		}
	}
	if p.Permits("addon_ssh", addonImage("2.0").subject.Config) || p.Permits("addon_ssh", "") {
		t.Error("permits another image")
	}
}

func TestUnreadableReplicaDefersWithItsReason(t *testing.T) {
	h := newHouse(t)
	i := addonImage("1.0")
	h.addon.say(i, Trusted)
	for _, c := range []struct {
		err  error
		want Reason
	}{
		{errors.New("input/output error"), EvidenceUnreadable},
		{&StateError{Why: StateMissing, What: "ledger x"}, StateMissing},
		{&StateError{Why: LedgerTooBig, What: "ledger x"}, LedgerTooBig},
		{&StateError{Why: Revoked, What: "an error can't refuse"}, EvidenceUnreadable},
	} {
		h.fail = c.err
		v, err := h.admit(h.request(i, AutoUpdate, "c1"))
		want(t, v, Defer, c.want)
		var deferred *DeferredError
		if !errors.As(err, &deferred) || v.Status == Untrusted {
			t.Errorf("got %v, status %s", err, v.Status)
		}
	}
	h.cfg.Evidence = func(Subject) (Evidence, error) { return nil, nil }
	v, _ := h.admit(h.request(i, AutoUpdate, "c1"))
	want(t, v, Defer, EvidenceUnreadable)
}

func TestErrorsSayWhatStaysAndWhatToDo(t *testing.T) {
	h := newHouse(t)
	i := addonImage("1.0")
	h.addon.say(i, Untrusted, func(n *Notarization) { n.Reason = "leaks the door code" })
	_, err := h.admit(h.request(i, AutoUpdate, "c1"))
	for _, part := range []string{`cannot update "addon_ssh" to 1.0: it was withdrawn (REVOKED: by ` + h.addon.id, "leaks the door code", "what runs stays as it is; wait for a newer release"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

func TestPinsAndFloors(t *testing.T) {
	h := newHouse(t)
	one, two := addonImage("1.0"), addonImage("2.0")
	rec1 := h.addon.say(one, Trusted)
	rec2 := h.addon.say(two, Trusted)
	v2, err := h.admit(h.request(two, Install, "c1"))
	h.must(err)
	if p := h.mem.Pin("addon_ssh"); p == nil || p.Publisher != h.addon.id || p.Floor != (Position{}) {
		t.Fatalf("pin %+v, want the publisher and no floor before probation", p)
	}
	h.must(h.Healthy(context.Background(), v2))
	h.must(h.Healthy(context.Background(), v2))
	v1, err := h.admit(h.request(one, OwnerUpdate, "c2"))
	h.must(err)
	h.must(h.Healthy(context.Background(), v1)) // an older image does not lower the floor
	h.boot()
	if p := h.mem.Pin("addon_ssh"); p.Floor != rec2.Pos || !rec1.Pos.Before(p.Floor) {
		t.Fatalf("floor %v, want %v", p.Floor, rec2.Pos)
	}
	v, _ := h.admit(h.request(one, AutoUpdate, "c3"))
	want(t, v, Refuse, Downgrade)
	// The pin survives the add-on: nothing but trust forget drops it, and only when that is logged.
	h.root.Preload = nil
	other := newImage("addon_ssh", ClassAddon, addonRepo, "3.0", "")
	h.stranger.say(other, Trusted)
	v, _ = h.admit(h.request(other, Install, "c4"))
	want(t, v, Refuse, SignerChanged)
	if err := h.mem.Forget("addon_ssh", func(Pin) error { return errors.New("disk full") }); err == nil || h.mem.Pin("addon_ssh") == nil {
		t.Fatal("forgotten without a log record")
	}
	h.must(h.mem.Forget("addon_ssh", func(Pin) error { return nil }))
	v, err = h.admit(h.request(other, Install, "c5"))
	h.must(err)
	want(t, v, AllowUnsigned, "")
}

func TestHouseKeyAndCorePinNothing(t *testing.T) {
	h := newHouse(t)
	me := h.author("owner")
	h.policy.House = me.id
	i := otherImage("1.0")
	me.say(i, Trusted)
	v, err := h.admit(h.request(i, Install, "c1"))
	h.must(err)
	want(t, v, Allow, "")
	h.must(h.Healthy(context.Background(), v)) // the owner's word has no age
	c := coreImage("1")
	h.core.say(c, Trusted)
	_, err = h.admit(h.request(c, OwnerUpdate, "c2"))
	h.must(err)
	if pins := h.mem.Pins(); len(pins) != 0 {
		t.Errorf("pins %+v", pins)
	}
}

func TestOverride(t *testing.T) {
	start := func(t *testing.T) (*house, image) {
		h := newHouse(t)
		i := addonImage("1.0")
		v, _ := h.admit(h.request(i, Install, "c0"))
		want(t, v, Refuse, SignatureMissing)
		return h, i
	}
	t.Run("is used once, and again by the same change after a crash", func(t *testing.T) {
		h, i := start(t)
		o := h.forced(i, "", SignatureMissing)
		v, err := h.admit(h.request(i, Install, "c1"))
		h.must(err)
		want(t, v, AllowOverridden, SignatureMissing)
		if v.Override != o.ID || v.Floor != (Position{}) {
			t.Errorf("verdict %+v", v)
		}
		h.must(h.Healthy(context.Background(), v))
		if len(h.mem.Pins()) != 0 {
			t.Errorf("an override pins: %+v", h.mem.Pins())
		}
		h.system = h.system.Add(time.Hour) // long past its expiry
		h.head.Time = h.system
		h.boot()
		v, err = h.admit(h.request(i, Rejudge, "c1"))
		h.must(err)
		want(t, v, AllowOverridden, SignatureMissing)
		v, _ = h.admit(h.request(i, Install, "c2"))
		want(t, v, Refuse, SignatureMissing)
	})
	t.Run("is bound before the verdict is logged", func(t *testing.T) {
		h, i := start(t)
		h.forced(i, "", SignatureMissing)
		h.log.fail = errors.New("power cut")
		if _, _, err := h.Admit(context.Background(), h.request(i, Install, "c1")); err == nil {
			t.Fatal("want an error")
		}
		h.log.fail = nil
		h.boot()
		v, _ := h.admit(h.request(i, Install, "c2"))
		want(t, v, Refuse, SignatureMissing)
		v, err := h.admit(h.request(i, Install, "c1"))
		h.must(err)
		want(t, v, AllowOverridden, SignatureMissing)
	})
	t.Run("serves one of many that race for it", func(t *testing.T) {
		h, i := start(t)
		h.forced(i, "", SignatureMissing)
		var wg sync.WaitGroup
		var mu sync.Mutex
		allowed := 0
		for n := range 8 {
			wg.Go(func() {
				if p, _, _ := h.Admit(context.Background(), h.request(i, Install, "race-"+string(rune('a'+n)))); p.Valid() {
					mu.Lock()
					allowed++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if allowed != 1 {
			t.Errorf("%d changes used it, want 1", allowed)
		}
	})
	t.Run("expires", func(t *testing.T) {
		h, i := start(t)
		h.forced(i, "", SignatureMissing)
		h.system = h.system.Add(OverrideTTL)
		v, _ := h.admit(h.request(i, Install, "c1"))
		want(t, v, Refuse, SignatureMissing)
	})
	t.Run("does not come back with a clock that goes back", func(t *testing.T) {
		h, i := start(t)
		h.forced(i, "", SignatureMissing)
		h.system = h.system.Add(-time.Hour)
		v, _ := h.admit(h.request(i, Install, "c1"))
		if v.Outcome.Allowed() {
			t.Errorf("got %+v", v)
		}
	})
	t.Run("is for one digest, one component, its reasons, and a change", func(t *testing.T) {
		h, i := start(t)
		h.forced(i, "", SignatureMissing)
		other := newImage("addon_ssh", ClassAddon, addonRepo, "1.0", "other")
		twin := i
		twin.subject.Component = "addon_twin"
		for _, r := range []Request{h.request(other, Install, "c1"), h.request(twin, Install, "c1"), h.request(i, Install, "")} {
			v, _ := h.admit(r)
			want(t, v, Refuse, SignatureMissing)
		}
		h.stranger.say(i, Trusted)
		v, _ := h.admit(h.request(i, Install, "c1"))
		want(t, v, Refuse, SignerChanged)
	})
	t.Run("lifts only what it lists", func(t *testing.T) {
		h, i := start(t)
		h.system = h.system.Add(30 * 24 * time.Hour) // and the ledger is too old as well
		against, err := h.Against(context.Background(), h.request(i, Install, "c1"))
		h.must(err)
		if len(against) != 2 || against[0].Reason != SignatureMissing || against[1].Reason != LedgerExpired {
			t.Fatalf("against: %+v", against)
		}
		h.forced(i, "", SignatureMissing)
		v, _ := h.admit(h.request(i, Install, "c1"))
		want(t, v, Refuse, SignatureMissing) // it would not help, so it is not used up
		h.forced(i, "", SignatureMissing, LedgerExpired)
		v, err = h.admit(h.request(i, Install, "c1"))
		h.must(err)
		want(t, v, AllowOverridden, SignatureMissing)
	})
	t.Run("of a withdrawal wants the name typed again", func(t *testing.T) {
		h, i := start(t)
		h.addon.say(i, Trusted)
		h.addon.say(i, Untrusted)
		now, _ := h.clock.Now()
		ask := Override{Component: "addon_ssh", Digest: i.subject.Config, Reasons: []Reason{Revoked}, Why: "I know", By: "owner"}
		for _, typed := range []string{"", "addon_other", "ADDON_SSH"} {
			if _, err := h.mem.AddOverride(ask, typed, now, nolog); err == nil || !strings.Contains(err.Error(), `type "addon_ssh"`) {
				t.Fatalf("typed %q: %v", typed, err)
			}
		}
		h.forced(i, "addon_ssh", Revoked)
		v, err := h.admit(h.request(i, Install, "c1"))
		h.must(err)
		want(t, v, AllowOverridden, Revoked)
		if v.Status != Untrusted {
			t.Errorf("status %s: forcing makes nothing trusted", v.Status)
		}
	})
	t.Run("is refused or not kept", func(t *testing.T) {
		h, i := start(t)
		now, _ := h.clock.Now()
		good := Override{Component: "addon_ssh", Digest: i.subject.Manifest, Reasons: []Reason{SignatureMissing}, Why: "why", By: "owner"}
		for name, edit := range map[string]func(*Override){
			"no why": func(o *Override) { o.Why = "  " }, "nobody": func(o *Override) { o.By = "" }, "no digest": func(o *Override) { o.Digest = "x" },
			"no component": func(o *Override) { o.Component = "" }, "no reasons": func(o *Override) { o.Reasons = nil },
			"digest mismatch": func(o *Override) { o.Reasons = []Reason{DigestMismatch} }, "wrong version": func(o *Override) { o.Reasons = []Reason{WrongVersion} },
			"wrong platform": func(o *Override) { o.Reasons = []Reason{WrongPlatform} }, "unknown": func(o *Override) { o.Reasons = []Reason{"WHATEVER"} },
		} {
			o := good
			edit(&o)
			if _, err := h.mem.AddOverride(o, o.Component, now, nolog); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		if _, err := h.mem.AddOverride(good, "", now, func(Override) error { return errors.New("disk full") }); err == nil {
			t.Error("kept without a log record")
		}
		if got := h.mem.Overrides(); len(got) != 0 {
			t.Errorf("kept %+v", got)
		}
	})
}

func TestDecideHasNoEffect(t *testing.T) {
	h := newHouse(t)
	i := addonImage("1.0")
	h.forced(i, "", SignatureMissing)
	before, err := os.ReadFile(h.path)
	h.must(err)
	v, err := h.Decide(context.Background(), h.request(i, Install, "c1"))
	h.must(err)
	want(t, v, AllowOverridden, SignatureMissing)
	h.addon.say(i, Untrusted)
	v, err = h.Decide(context.Background(), h.request(i, Install, "c1"))
	h.must(err)
	want(t, v, Refuse, Revoked)
	after, err := os.ReadFile(h.path)
	h.must(err)
	if string(before) != string(after) || len(h.log.got) != 0 {
		t.Error("Decide changed something")
	}
}

func TestRejudgeLogsOnlyChanges(t *testing.T) {
	h := newHouse(t)
	i := addonImage("1.0")
	h.addon.say(i, Trusted)
	_, err := h.admit(h.request(i, Install, "c1"))
	h.must(err)
	rejudge := func(o Outcome, r Reason, changed bool) {
		t.Helper()
		before := len(h.log.got)
		v, got, err := h.Rejudge(context.Background(), Request{Subject: i.subject, Held: i.subject.Config, FirstResolved: worldStart.Add(-48 * time.Hour)})
		h.must(err)
		want(t, v, o, r)
		if got != changed || (len(h.log.got) > before) != changed {
			t.Fatalf("changed %t and %d records, want %t", got, len(h.log.got)-before, changed)
		}
	}
	rejudge(Allow, "", false)
	h.addon.say(i, Untrusted, func(n *Notarization) { n.Severity = SeverityUpdate })
	rejudge(Refuse, Revoked, true)
	rejudge(Refuse, Revoked, false)
	h.boot()
	rejudge(Refuse, Revoked, false)
	if marks := h.mem.Marks(); len(marks) != 1 || marks[0].Severity != SeverityUpdate {
		t.Fatalf("marks %+v", marks)
	}
	h.recs = h.recs[:1] // the replica was built anew from a ledger that lost the record
	rejudge(Refuse, Revoked, false)
	h.fail = errors.New("input/output error")
	rejudge(Defer, EvidenceUnreadable, true)
}

func TestLoggedInputGivesTheSameVerdictAgain(t *testing.T) {
	h := newHouse(t)
	i, bad, free := addonImage("1.0"), addonImage("1.1"), otherImage("1.0")
	h.addon.say(i, Trusted)
	h.addon.say(bad, Untrusted)
	h.channel("stable", "")
	for _, r := range []Request{h.request(i, Install, "c1"), h.request(bad, AutoUpdate, "c2"), h.request(free, Install, "c3"), h.request(addonImage("9"), Install, "c4")} {
		r.Channel = &ChannelClaim{Name: "stable"}
		h.admit(r)
	}
	h.forced(bad, "addon_ssh", Revoked, SignatureMissing)
	h.admit(h.request(bad, Install, "c5"))
	h.fail = errors.New("input/output error")
	h.admit(h.request(i, Install, "c6"))
	for n, in := range h.log.in {
		b, err := EncodeInput(in)
		h.must(err)
		back, err := DecodeInput(b)
		h.must(err)
		got, err := EncodeInput(back)
		h.must(err)
		if string(got) != string(b) {
			t.Errorf("record %d: encoding differs", n)
		}
		v := Judge(back)
		want(t, v, h.log.got[n].Outcome, h.log.got[n].Reason())
		if v.Record != h.log.got[n].Record || v.Override != h.log.got[n].Override {
			t.Errorf("record %d: got %+v, want %+v", n, v, h.log.got[n])
		}
	}
	for _, bad := range []string{"", "{", "null x", `{"Whatever":1}`, `{"Facts":{"records":[{"envelope":{"payload":"AAAA"}}]}}`} {
		if _, err := DecodeInput([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}
