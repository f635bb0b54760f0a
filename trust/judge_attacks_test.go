package trust

import (
	"crypto/ed25519"
	"math"
	"testing"
	"time"
)

func TestGoodReleaseIsAllowed(t *testing.T) {
	w := newWorld(t)
	i := coreImage("2026.8.1")
	rec := w.core.say(i, Trusted)
	in := w.input(i, AutoUpdate)
	in.Channel = w.channel("stable 1", "")
	v := Judge(w.fill(in))
	want(t, v, Allow, "")
	if v.Publisher != w.core.id || v.Record != rec.Pos || v.Floor != rec.Pos || v.Status != Trusted {
		t.Errorf("got %+v, want %s at %v", v, w.core.id, rec.Pos)
	}
}

// TestArbitrarySoftwareIsRefused is the table of images that nobody accepted vouches for.
func TestArbitrarySoftwareIsRefused(t *testing.T) {
	good := addonImage("1.0")
	for _, c := range []struct {
		name   string
		attack func(w *world) image
		want   Reason
	}{
		{"no record", func(w *world) image { return good }, SignatureMissing},
		{"same name, other key", func(w *world) image { w.stranger.say(good, Trusted); return good }, SignerChanged},
		{"forged by the operator under the publisher's ID", func(w *world) image {
			w.addon.sign(good, Trusted, []ed25519.PrivateKey{key("operator")})
			return good
		}, SignatureMissing},
		{"signed by nobody but the root key", func(w *world) image {
			w.addon.sign(good, Trusted, []ed25519.PrivateKey{w.addon.rootKey})
			return good
		}, SignatureMissing},
		{"another image of the same publisher", func(w *world) image {
			other := newImage("addon_web", ClassAddon, "example.org/addons/web", "1.0", "")
			w.addon.say(other, Trusted)
			w.addon.say(good, Trusted)
			other.subject.Component, other.subject.Repository = good.subject.Component, good.subject.Repository
			return other
		}, WrongName},
		{"another version", func(w *world) image {
			old := addonImage("0.9")
			w.addon.say(old, Trusted)
			old.subject.Version = "1.0"
			return old
		}, WrongVersion},
		{"other content under the same version", func(w *world) image {
			w.addon.say(good, Trusted)
			return newImage("addon_ssh", ClassAddon, addonRepo, "1.0", "evil")
		}, ContentMismatch},
		{"the image of another platform", func(w *world) image {
			w.addon.say(good, Trusted)
			bad := good
			bad.subject.Platform = Platform{OS: "linux", Architecture: "riscv64"}
			return bad
		}, WrongPlatform},
		{"a platform more in the index", func(w *world) image {
			w.addon.say(good, Trusted)
			bad := good
			bad.raw.Index = append([]byte(`{"manifests":[{"digest":"`+string(good.subject.Manifest)+`"}],"x":`), append(good.raw.Index, '}')...)
			bad.subject.Index = DigestOf(bad.raw.Index)
			return bad
		}, ContentMismatch},
		{"a record that leaves this platform out", func(w *world) image {
			w.addon.say(good, Trusted, func(n *Notarization) { n.Subjects = n.Subjects[:1] })
			return good
		}, ContentMismatch},
		{"a record that names the platform wrong", func(w *world) image {
			w.addon.say(good, Trusted, func(n *Notarization) { n.Subjects[1].Platform = "linux/amd64" })
			return good
		}, WrongPlatform},
		{"too few signatures", func(w *world) image {
			w.addon.publish(func(p *Publisher) {
				p.Threshold, p.Keys = 2, append(p.Keys[:1:1], working(key("second")))
			})
			w.addon.say(good, Trusted)
			return good
		}, SignatureMissing},
		{"a name the publisher was never to speak for", func(w *world) image {
			w.addon.publish(func(p *Publisher) { p.Names = []string{"example.org/addons/web"} })
			w.addon.say(good, Trusted)
			return good
		}, WrongName},
		{"retired, and never called trusted", func(w *world) image { w.addon.say(good, Unsupported); return good }, NoLongerSupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			i := c.attack(w)
			for _, a := range []Action{AutoUpdate, OwnerUpdate, Install, Restore, Rollback, Rejudge} {
				want(t, Judge(w.input(i, a)), Refuse, c.want)
			}
		})
	}
}

func TestDigestsAreComputedAgain(t *testing.T) {
	w := newWorld(t)
	good := addonImage("1.0")
	w.addon.say(good, Trusted)
	other := addonImage("2.0")
	for name, edit := range map[string]func(*Input){
		"manifest of another image": func(in *Input) { in.Raw.Manifest = other.raw.Manifest },
		"index of another image":    func(in *Input) { in.Raw.Index = other.raw.Index },
		"manifest the index does not list": func(in *Input) {
			in.Raw.Manifest, in.Subject.Manifest, in.Subject.Config = other.raw.Manifest, other.subject.Manifest, other.subject.Config
		},
		"config the manifest does not name": func(in *Input) { in.Subject.Config = other.subject.Config },
		"no index at all":                   func(in *Input) { in.Raw.Index = nil },
		"another image in the engine":       func(in *Input) { in.Held = other.subject.Config },
		"two configs by case": func(in *Input) {
			in.Raw.Manifest = []byte(`{"config":{"digest":"` + string(good.subject.Config) + `"},"Config":{"digest":"` + string(other.subject.Config) + `"}}`)
			in.Subject.Index, in.Subject.Manifest = "", DigestOf(in.Raw.Manifest)
		},
		"garbage": func(in *Input) {
			in.Raw.Manifest = []byte("<html>")
			in.Subject.Index, in.Subject.Manifest = "", DigestOf(in.Raw.Manifest)
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := good
			in := w.input(i, Install)
			edit(&in)
			want(t, Judge(in), Refuse, DigestMismatch)
			in.Override = &Override{Component: in.Subject.Component, Digest: in.Subject.Manifest, Reasons: []Reason{DigestMismatch}, Confirmed: true, UsedBy: in.Change}
			want(t, Judge(in), Refuse, DigestMismatch)
		})
	}
	in := w.input(good, Rejudge)
	for _, held := range good.subject.Digests() {
		in.Raw, in.Held = nil, held
		want(t, Judge(in), Allow, "")
	}
	in.Held = ""
	want(t, Judge(in), Refuse, SubjectInvalid)
}

func TestUntrustedOfAStrangerChangesNothing(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	w.addon.say(i, Trusted)
	w.stranger.say(i, Untrusted, func(n *Notarization) { n.Severity = SeverityStop })
	v := Judge(w.input(i, AutoUpdate))
	want(t, v, Allow, "")
	if v.Ignored != 1 {
		t.Errorf("%d ignored records were counted, want 1", v.Ignored)
	}
	o := otherImage("1.0")
	w.stranger.say(o, Untrusted)
	w.addon.sign(o, Untrusted, []ed25519.PrivateKey{w.stranger.work}) // in another's name
	v = Judge(w.input(o, Install))
	want(t, v, AllowUnsigned, "")
	if v.Ignored != 2 {
		t.Errorf("%d ignored records were counted, want 2", v.Ignored)
	}
}

func TestWithdrawalsCount(t *testing.T) {
	byRoot := func(a *author, i image, edits ...func(*Notarization)) {
		a.sign(i, Untrusted, []ed25519.PrivateKey{a.rootKey}, edits...)
	}
	stop := func(n *Notarization) { n.Severity = SeverityStop }
	for _, c := range []struct {
		name     string
		withdraw func(w *world, i image)
		severity Severity
		byRoot   bool
	}{
		{"by the publisher", func(w *world, i image) { w.addon.say(i, Untrusted) }, SeverityNotify, false},
		{"by its root key", func(w *world, i image) { byRoot(w.addon, i, stop) }, SeverityStop, true},
		{"by security", func(w *world, i image) { w.security.say(i, Untrusted, stop) }, SeverityStop, true},
		{"of the config only", func(w *world, i image) {
			w.addon.say(i, Untrusted, func(n *Notarization) { n.Subjects = n.Subjects[2:3]; n.Severity = SeverityUpdate })
		}, SeverityUpdate, false},
		{"a stop by who may not stop beside an update by the root key", func(w *world, i image) {
			w.addon.say(i, Untrusted, stop)
			byRoot(w.addon, i, stop)
		}, SeverityStop, true},
		{"a withdrawal with a lower uid than the word it withdraws", func(w *world, i image) {
			w.addon.say(i, Untrusted, func(n *Notarization) { n.UID = 5 })
		}, SeverityNotify, false},
		{"and a later TRUSTED of the same publisher does not lift it", func(w *world, i image) {
			w.addon.say(i, Untrusted)
			w.addon.say(i, Trusted)
		}, SeverityNotify, false},
		{"nor does narrowing the publisher's names afterwards", func(w *world, i image) {
			w.addon.say(i, Untrusted)
			w.addon.publish(func(p *Publisher) { p.Names = []string{"example.org/elsewhere/*"} })
		}, SeverityNotify, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			i := addonImage("1.0")
			w.addon.say(i, Trusted)
			c.withdraw(w, i)
			for _, a := range []Action{AutoUpdate, OwnerUpdate, Install, Restore, Rollback, Rejudge} {
				v := Judge(w.input(i, a))
				want(t, v, Refuse, Revoked)
				if v.Severity != c.severity || v.ByRoot != c.byRoot || v.Status != Untrusted {
					t.Fatalf("severity %s by root %t status %s, want %s %t", v.Severity, v.ByRoot, v.Status, c.severity, c.byRoot)
				}
			}
		})
	}
}

func TestAgeLimitsWhatIsAllowedNeverWhatIsBlocked(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	w.addon.say(i, Untrusted)
	in := w.input(i, AutoUpdate)
	in.Now, in.ClockBad, in.RootState = in.Now.AddDate(20, 0, 0), true, RootExpired
	in.Facts.Head.Quarantined = "two stories"
	want(t, Judge(in), Refuse, Revoked)
}

func TestOnlySecurityLifts(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	w.addon.say(i, Trusted)
	w.addon.say(i, Untrusted)
	w.security.say(i, Trusted, func(n *Notarization) { n.UID = 7 }) // older than the withdrawal
	want(t, Judge(w.input(i, AutoUpdate)), Refuse, Revoked)
	w.security.say(i, Trusted)
	want(t, Judge(w.input(i, AutoUpdate)), Allow, "")
	w.addon.say(i, Untrusted) // again, later
	want(t, Judge(w.input(i, AutoUpdate)), Refuse, Revoked)
}

func TestRecordOfAnotherLedgerHasNoEffect(t *testing.T) {
	w := newWorld(t)
	i, o := addonImage("1.0"), addonImage("2.0")
	elsewhere := func(n *Notarization) { n.Ledger = "ledger.example.com/other" }
	w.addon.say(i, Trusted, elsewhere)
	want(t, Judge(w.input(i, AutoUpdate)), Refuse, SignatureMissing)
	w.addon.say(o, Trusted)
	w.addon.say(o, Untrusted, elsewhere)
	want(t, Judge(w.input(o, AutoUpdate)), Allow, "")
	// Not even a replica that hands them to the Judge makes them count.
	in := w.input(i, AutoUpdate)
	in.Facts.Records = append(in.Facts.Records, w.recs[0])
	want(t, Judge(in), Refuse, SignatureMissing)
}

func TestOldRecordAppendedAgainChangesNothing(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	old := w.addon.say(i, Trusted)
	w.addon.say(i, Unsupported)
	w.append(old.Envelope) // the operator's trick: same bytes, later position
	want(t, Judge(w.input(i, AutoUpdate)), Refuse, NoLongerSupported)
	v := Judge(w.input(i, Install))
	want(t, v, Allow, "")
	if v.Status != Unsupported || !warned(v, NoLongerSupported) || v.Floor != old.Pos {
		t.Errorf("got %+v, want a warning, UNSUPPORTED and floor %v", v, old.Pos)
	}
	w.addon.say(i, Trusted) // trusted and unsupported may alternate
	want(t, Judge(w.input(i, AutoUpdate)), Allow, "")
}

func TestFastForwardByAStolenKeyEndsWithItsRevocation(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	w.addon.say(i, Trusted)
	good := w.head.Count
	w.addon.say(i, Unsupported, func(n *Notarization) { n.UID = math.MaxInt64 }) // by the thief
	want(t, Judge(w.input(i, AutoUpdate)), Refuse, NoLongerSupported)
	w.addon.revoke(good)
	want(t, Judge(w.input(i, AutoUpdate)), Allow, "")
}

func TestRevokedKeyCountsForNothingPastItsCutOff(t *testing.T) {
	w := newWorld(t)
	before, after, hurt := addonImage("1.0"), addonImage("1.1"), addonImage("1.2")
	w.addon.say(before, Trusted)
	w.addon.say(hurt, Trusted)
	cutoff := w.head.Count
	w.addon.say(after, Trusted)
	w.addon.say(hurt, Untrusted)
	want(t, Judge(w.input(hurt, AutoUpdate)), Refuse, Revoked)
	stolen := w.addon.revoke(cutoff)
	late := addonImage("1.3")
	w.addon.sign(late, Trusted, []ed25519.PrivateKey{stolen}) // a key that is not named any more
	want(t, Judge(w.input(before, AutoUpdate)), Allow, "")
	want(t, Judge(w.input(hurt, AutoUpdate)), Allow, "")
	v := Judge(w.input(after, AutoUpdate))
	want(t, v, Refuse, KeyRevoked)
	if v.Status != ApikeyRevoked {
		t.Errorf("status %s", v.Status)
	}
	want(t, Judge(w.input(late, AutoUpdate)), Refuse, SignatureMissing)
}

func TestFreeze(t *testing.T) {
	for _, c := range []struct {
		age  time.Duration
		want Outcome
		why  Reason
		warn bool
	}{
		{47 * time.Hour, Allow, "", false},
		{49 * time.Hour, Allow, "", true},
		{14 * 24 * time.Hour, Allow, "", true},
		{14*24*time.Hour + time.Second, Defer, LedgerExpired, false},
		{-23 * time.Hour, Allow, "", false},
		{-25 * time.Hour, Defer, ClockUntrusted, false},
	} {
		t.Run(c.age.String(), func(t *testing.T) {
			w := newWorld(t)
			i := addonImage("1.0")
			w.addon.say(i, Trusted)
			in := w.input(i, AutoUpdate)
			in.Now = w.head.Time.Add(c.age)
			v := Judge(in)
			want(t, v, c.want, c.why)
			if warned(v, LedgerStale) != c.warn {
				t.Errorf("findings %+v, want a warning: %t", v.Findings, c.warn)
			}
			if v.Outcome == Defer && v.Status == Untrusted {
				t.Error("an outage is called untrusted")
			}
			in.Policy.Max = 3 * 24 * time.Hour
			if in.Now = w.head.Time.Add(3*24*time.Hour + time.Second); c.want == Allow {
				want(t, Judge(in), Defer, LedgerExpired)
			}
			in.Action = Rollback // never needs clock, root or a fresh ledger
			in.ClockBad, in.RootState = true, RootMissing
			want(t, Judge(in), Allow, "")
		})
	}
}

func TestReleaseNewerThanTheReplicaIsDeferredThenAllowed(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	in := w.input(i, AutoUpdate)
	for name, first := range map[string]time.Time{
		"unknown": {}, "now": w.head.Time, "59 minutes before the checkpoint": w.head.Time.Add(-59 * time.Minute), "after it": w.head.Time.Add(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			in := in
			in.FirstResolved = first
			want(t, Judge(in), Defer, EvidenceUnavailable)
			// Not even what looks like an attack is one, as long as the replica may be behind.
			w := newWorld(t)
			w.stranger.say(i, Trusted)
			w.addon.say(newImage("addon_ssh", ClassAddon, addonRepo, "1.0", "other build"), Trusted)
			in2 := w.fill(in)
			in2.Root = w.root
			want(t, Judge(in2), Defer, EvidenceUnavailable)
		})
	}
	w.addon.say(i, Trusted)
	want(t, Judge(w.input(i, AutoUpdate)), Allow, "")
}

func TestMissingRootNeverMakesARefusal(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	w.stranger.say(i, Trusted)
	in := w.input(i, AutoUpdate)
	in.Facts.Head.RootVersion = 2 // it may well accept the stranger
	want(t, Judge(in), Defer, RootMissing)
	w.addon.say(i, Trusted)
	in = w.input(i, AutoUpdate)
	in.Facts.Head.RootVersion = 2
	want(t, Judge(in), Defer, RootMissing)
	in.Facts.Head.RootVersion, in.Now = 1, w.root.Expires.Add(time.Second)
	in.Facts.Head.Time = in.Now
	want(t, Judge(in), Defer, RootExpired)
}

func TestClockThatCantBeBelievedDefers(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	w.addon.say(i, Trusted)
	in := w.input(i, AutoUpdate)
	in.ClockBad = true
	want(t, Judge(in), Defer, ClockUntrusted)
	in.Action = Rejudge
	want(t, Judge(in), Allow, "")
}

func TestQuarantineBlocksOnlyWhatNeedsTheLedger(t *testing.T) {
	w := newWorld(t)
	i, o := addonImage("1.0"), otherImage("1.0")
	w.addon.say(i, Trusted)
	w.head.Quarantined = "two histories, see fork-12.json"
	want(t, Judge(w.input(i, AutoUpdate)), Refuse, LedgerQuarantined)
	want(t, Judge(w.input(i, Rollback)), Allow, "")
	want(t, Judge(w.input(o, Install)), AllowUnsigned, "")
}

func TestAddonLedgerNeverSpeaksForCore(t *testing.T) {
	w := newWorld(t)
	i := coreImage("2026.8.1")
	w.core.say(i, Trusted)
	in := w.input(i, AutoUpdate)
	in.Channel = w.channel("stable 1", "")
	in = w.fill(in)
	in.Root.Ledgers = []RootLedger{{Origin: "ledger.example.org/another"}}
	want(t, Judge(in), Defer, LedgerChanged)
	a := addonImage("1.0")
	w.addon.say(a, Trusted)
	in = w.input(a, AutoUpdate)
	in.Pin = &Pin{Component: "addon_ssh", Publisher: w.addon.id, Ledger: "ledger.example.org/own"}
	want(t, Judge(in), Defer, LedgerChanged)
}

func TestSignedAddonStaysSigned(t *testing.T) {
	w := newWorld(t)
	i := otherImage("2.0")
	in := w.input(i, AutoUpdate)
	in.Pin = &Pin{Component: "addon_radio", Publisher: w.addon.id}
	want(t, Judge(in), Refuse, SignatureMissing) // signed becomes unsigned
	w.stranger.say(i, Trusted)
	in = w.fill(in)
	want(t, Judge(in), Refuse, SignerChanged) // the signer changes
	in.Policy.Map = map[string]string{"addon_radio": w.stranger.id}
	want(t, Judge(w.fill(in)), Refuse, SignerChanged) // its repository can't talk it over
	in.Pin = nil
	want(t, Judge(w.fill(in)), Allow, "")
}

func TestUnsignedAddonsAreLetInByHandAndFollowedByThemselves(t *testing.T) {
	w := newWorld(t)
	i := otherImage("1.0")
	w.stranger.say(i, Trusted) // a stranger's word makes nothing signed
	in := w.input(i, Install)
	want(t, Judge(in), AllowUnsigned, "")
	in.Action = AutoUpdate
	want(t, Judge(in), Refuse, SignatureMissing)
	in.InstalledUnsigned = true
	want(t, Judge(in), AllowUnsigned, "")
	in.Now = in.Now.AddDate(1, 0, 0) // the ledger is gone for ever
	if v := Judge(in); v.Outcome != AllowUnsigned || !warned(v, LedgerStale) {
		t.Errorf("got %+v", v)
	}
	w.security.say(i, Untrusted)
	want(t, Judge(w.fill(in)), Refuse, Revoked)
	in = w.input(newImage("local_x", ClassLocal, "local/x", "1", ""), AutoUpdate)
	in.InstalledUnsigned = true
	want(t, Judge(in), Refuse, LocalBuild)
	in.Action = OwnerUpdate
	want(t, Judge(in), AllowUnsigned, "")
}

func TestHouseKeyVouchesDigestByDigest(t *testing.T) {
	w := newWorld(t)
	me := w.author("owner")
	mine, next := coreImage("2026.8.1"), coreImage("2026.8.2")
	me.say(mine, Trusted)
	in := w.input(mine, OwnerUpdate)
	want(t, Judge(in), Refuse, SignerChanged) // on another appliance
	in.Policy.House = me.id
	v := Judge(w.fill(in))
	want(t, v, Allow, "")
	if v.Publisher != me.id {
		t.Errorf("publisher %s", v.Publisher)
	}
	in = w.input(next, OwnerUpdate)
	in.Policy.House = me.id
	want(t, Judge(w.fill(in)), Refuse, SignatureMissing)
}

func TestDenyListRefuses(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	w.addon.say(i, Trusted)
	for _, d := range i.subject.Digests() {
		in := w.input(i, Rejudge)
		in.Denied = []Digest{d}
		want(t, Judge(in), Refuse, LocallyDenied)
	}
}

func TestDowngrade(t *testing.T) {
	w := newWorld(t)
	floor, old, between, now := coreImage("2026.6.0"), coreImage("2026.7.0"), coreImage("2026.7.1"), coreImage("2026.8.0")
	ancient := coreImage("2026.1.0")
	w.core.say(ancient, Trusted)
	w.core.say(floor, Trusted)
	w.core.say(old, Trusted)
	w.core.say(between, Trusted)
	best := w.core.say(now, Trusted)
	w.core.say(old, Trusted) // said again: its first position counts
	claim := w.channel("stable", "2026.6.0")
	judge := func(i image, a Action) Verdict {
		in := w.input(i, a)
		in.Channel, in.Pin = claim, &Pin{Component: "core", Ledger: worldOrigin, Floor: best.Pos}
		return Judge(w.fill(in))
	}
	want(t, judge(now, AutoUpdate), Allow, "")
	for _, i := range []image{old, between, ancient} {
		want(t, judge(i, AutoUpdate), Refuse, Downgrade)
		want(t, judge(i, Rollback), Allow, "")
	}
	for _, i := range []image{old, floor} {
		v := judge(i, OwnerUpdate)
		want(t, v, Allow, "")
		if !warned(v, DowngradeByUser) {
			t.Errorf("findings %+v", v.Findings)
		}
	}
	want(t, judge(ancient, OwnerUpdate), Refuse, Downgrade)
	claim.Floor = "2026.5.9" // unknown
	want(t, judge(old, OwnerUpdate), Refuse, Downgrade)
}

func TestCoreFollowsTheCurrentChannelRecordOnly(t *testing.T) {
	w := newWorld(t)
	i := coreImage("2026.8.1")
	w.core.say(i, Trusted)
	judge := func(c *ChannelClaim, a Action, edits ...func(*Input)) Verdict {
		in := w.input(i, a)
		in.Channel = c
		in = w.fill(in)
		for _, e := range edits {
			e(&in)
		}
		return Judge(in)
	}
	forged := &ChannelClaim{Name: "stable", Digest: DigestOf([]byte("forged"))}
	want(t, judge(nil, AutoUpdate), Refuse, NotInChannel)
	want(t, judge(nil, OwnerUpdate), Allow, "")
	want(t, judge(forged, AutoUpdate), Refuse, NotInChannel)
	want(t, judge(forged, OwnerUpdate), Refuse, NotInChannel)
	want(t, judge(forged, AutoUpdate, func(in *Input) { in.FirstResolved = in.Now }), Defer, EvidenceUnavailable)
	first := w.channel("stable 1", "")
	want(t, judge(first, AutoUpdate), Allow, "")
	second := w.channel("stable 2", "")
	want(t, judge(second, AutoUpdate), Allow, "")
	want(t, judge(first, AutoUpdate), Defer, ChannelOutdated) // a lagging copy is no alarm
	want(t, judge(first, OwnerUpdate), Allow, "")
	beta := *second
	beta.Name = "beta"
	want(t, judge(&beta, AutoUpdate), Refuse, NotInChannel) // mix and match
	want(t, judge(second, AutoUpdate, func(in *Input) { in.Requires = []string{"supervisor 2026.8"} }), Defer, RequiresUnmet)
	w.stranger.say(image{}, Trusted, func(n *Notarization) {
		n.Kind, n.Name, n.Version, n.Subjects = KindChannel, "stable", "", []RecordSubject{{Name: "stable", Digest: forged.Digest}}
	})
	want(t, judge(second, AutoUpdate), Allow, "")
	facts, err := CollectChannel(w, "stable", w.root)
	w.must(err)
	if d, _, ok := CurrentChannel(facts, w.root, Policy{}, "stable"); !ok || d != second.Digest {
		t.Errorf("current channel %s %t", d, ok)
	}
	w.core.say(image{}, Untrusted, func(n *Notarization) {
		n.Kind, n.Name, n.Version, n.Subjects = KindChannel, "stable", "", []RecordSubject{{Name: "stable", Digest: second.Digest}}
	})
	want(t, judge(second, AutoUpdate), Refuse, NotInChannel)
	want(t, judge(first, AutoUpdate), Allow, "") // the one before is current again
}

func TestWithdrawalSeenOnceIsNotForgotten(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	w.addon.say(i, Trusted)
	in := w.input(i, AutoUpdate)
	in.Sticky = []Mark{{Digest: i.subject.Manifest, Publisher: w.addon.id, Ledger: worldOrigin, UID: w.uid + 1, Pos: Position{Tx: 99}, Severity: SeverityUpdate}}
	v := Judge(in)
	want(t, v, Refuse, Revoked)
	if v.Severity != SeverityUpdate {
		t.Errorf("severity %s", v.Severity)
	}
	w.uid += 5
	w.security.say(i, Trusted)
	want(t, Judge(w.fill(in)), Allow, "")
}

func TestSubjectsNothingTrueCanBeSaidAboutAreRefused(t *testing.T) {
	w := newWorld(t)
	i := addonImage("1.0")
	w.addon.say(i, Trusted)
	for name, edit := range map[string]func(*Input){
		"no class": func(in *Input) { in.Subject.Class = "" }, "no action": func(in *Input) { in.Action = "" },
		"no component": func(in *Input) { in.Subject.Component = "" }, "no version": func(in *Input) { in.Subject.Version = "" },
		"no platform": func(in *Input) { in.Subject.Platform = Platform{} }, "no config": func(in *Input) { in.Subject.Config = "" },
		"a tag for a digest": func(in *Input) { in.Subject.Manifest = "latest" },
	} {
		t.Run(name, func(t *testing.T) {
			in := w.input(i, Install)
			edit(&in)
			want(t, Judge(in), Refuse, SubjectInvalid)
		})
	}
	if v := Judge(Input{}); v.Outcome != Refuse {
		t.Errorf("the empty input gives %+v", v)
	}
}
