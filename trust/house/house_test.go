package house

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/trusttest"
)

const origin = "ledger.example.org/main"

var now = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// replica is a ledger in memory.
type replica struct {
	head trust.Head
	recs []trust.PlacedNotarization
	docs map[string][]trust.PlacedPublisher
}

func (r *replica) Head() (trust.Head, error) { return r.head, nil }

func (r *replica) ByDigest(d trust.Digest) ([]trust.PlacedNotarization, error) {
	return r.find(func(n *trust.Notarization) bool { return about(n, d) })
}

func (r *replica) ByName(kind, name, version string) ([]trust.PlacedNotarization, error) {
	return r.find(func(n *trust.Notarization) bool { return n.Kind == kind && n.Name == name && n.Version == version })
}

func (r *replica) PublisherChain(id string) ([]trust.PlacedPublisher, error) { return r.docs[id], nil }

func (r *replica) find(match func(*trust.Notarization) bool) (out []trust.PlacedNotarization, err error) {
	for _, n := range r.recs {
		if match(&n.Notarization) {
			out = append(out, n)
		}
	}
	return out, nil
}

// world is an appliance with a house key, beside a ledger with a core and a security publisher.
type world struct {
	t              *testing.T
	dir            string
	ledger         *replica
	core, security *trusttest.Publisher
	root           trust.Root
	s              *Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "house"), ledger: &replica{head: trust.Head{Origin: origin, Time: now}, docs: map[string][]trust.PlacedPublisher{}}}
	w.core, w.security = trusttest.NewPublisher(t, origin, "core"), trusttest.NewPublisher(t, origin, "security")
	w.append(w.core.Document())
	w.append(w.security.Document())
	w.root = trust.Root{Version: 1, Threshold: 1, Expires: now.AddDate(1, 0, 0), Ledgers: []trust.RootLedger{{Origin: origin}}, Core: []string{w.core.ID}, Security: []string{w.security.ID}}
	if s, err := Open(w.dir); err != nil || s != nil {
		t.Fatalf("a house key before there was one: %v %v", s, err)
	}
	var err error
	w.s, err = Init(w.dir, func(string) error { return nil })
	must(t, err)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) append(envelope []byte) {
	w.t.Helper()
	rec, err := trust.ParseRecord(envelope)
	must(w.t, err)
	w.ledger.head.Count++
	pos := trust.Position{Tx: w.ledger.head.Count}
	if p := rec.Publisher; p != nil {
		w.ledger.docs[p.ID] = append(w.ledger.docs[p.ID], trust.PlacedPublisher{Pos: pos, Envelope: rec.Envelope, Publisher: *p})
	} else {
		w.ledger.recs = append(w.ledger.recs, trust.PlacedNotarization{Pos: pos, Envelope: rec.Envelope, Notarization: *rec.Notarization})
	}
}

func (w *world) say(s trust.Subject, status trust.Status, change ...func(*Word)) error {
	word := Word{Ledger: origin, Name: s.Repository, Version: s.Version, Subjects: Subjects(s), Status: status}
	for _, c := range change {
		c(&word)
	}
	_, err := w.s.Say(word, now, func(trust.Notarization) error { return nil })
	return err
}

func (w *world) judge(s trust.Subject, salt string, change ...func(*trust.Input)) trust.Verdict {
	w.t.Helper()
	raw := trusttest.Manifests(s.Repository, s.Version, salt)
	in := trust.Input{Request: trust.Request{Subject: s, Action: trust.OwnerUpdate, Raw: &raw, Change: "c", FirstResolved: now.Add(-2 * time.Hour)},
		Root: w.root, Policy: trust.Policy{House: w.s.Publisher()}, Now: now.Add(time.Minute)}
	for _, c := range change {
		c(&in)
	}
	var err error
	in.Facts, err = trust.Collect(With(w.ledger, w.s), s, nil, w.root, in.Policy.House)
	must(w.t, err)
	b, err := trust.EncodeInput(in)
	must(w.t, err)
	back, err := trust.DecodeInput(b)
	must(w.t, err)
	v := trust.Judge(in)
	if again := trust.Judge(back); again.Outcome != v.Outcome || again.Reason() != v.Reason() || again.Record != v.Record {
		w.t.Errorf("judged again from its record: %+v, before %+v", again, v)
	}
	return v
}

func (w *world) want(v trust.Verdict, o trust.Outcome, r trust.Reason) {
	w.t.Helper()
	if v.Outcome != o || v.Reason() != r {
		w.t.Fatalf("got %s %s, want %s %s; findings %+v", v.Outcome, v.Reason(), o, r, v.Findings)
	}
}

func image(version, salt string) trust.Subject {
	return trusttest.Image("example.org/core", version, salt)
}

func TestWordLetsInExactlyOneImage(t *testing.T) {
	w := newWorld(t)
	mine := image("1.0", "")
	w.want(w.judge(mine, ""), trust.Refuse, trust.SignatureMissing)
	must(t, w.say(mine, trust.Trusted))
	v := w.judge(mine, "")
	w.want(v, trust.Allow, "")
	if v.Publisher != w.s.Publisher() || v.Floor != (trust.Position{}) || v.Record.Tx != 0 {
		t.Errorf("verdict %+v: it must be the owner's word, without a floor", v)
	}
	w.want(w.judge(image("1.0", "other"), "other"), trust.Refuse, trust.ContentMismatch)
	w.want(w.judge(image("1.1", ""), ""), trust.Refuse, trust.SignatureMissing)
	renamed := trusttest.Image("example.org/supervisor", "1.0", "")
	w.want(w.judge(renamed, ""), trust.Refuse, trust.SignatureMissing)
	later := mine
	later.Version = "1.1" // the same content under another version, and under another name
	w.want(w.judge(later, "", retold), trust.Refuse, trust.WrongVersion)
	elsewhere := mine
	elsewhere.Repository = "example.org/elsewhere"
	w.want(w.judge(elsewhere, "", retold), trust.Refuse, trust.WrongName)
	riscv := mine
	riscv.Platform.Architecture = "riscv64"
	w.want(w.judge(riscv, ""), trust.Refuse, trust.WrongPlatform)
	w.want(w.judge(mine, "", func(in *trust.Input) { in.Policy.House = "" }), trust.Refuse, trust.SignerChanged) // on another appliance
	w.want(w.judge(mine, "", func(in *trust.Input) { in.Action = trust.AutoUpdate }), trust.Refuse, trust.NotInChannel)

	w.append(w.core.Notarize(image("1.0", "vendor"))) // its own word still counts
	w.want(w.judge(image("1.0", "vendor"), "vendor"), trust.Allow, "")
}

// retold gives the manifests of what the digests are of.
func retold(in *trust.Input) {
	raw := trusttest.Manifests("example.org/core", "1.0", "")
	in.Raw = &raw
}

func TestWordOnAnAddonHoldsItsVersionToOneContent(t *testing.T) {
	w := newWorld(t)
	addon := func(salt string) trust.Subject {
		s := trusttest.Image("example.org/radio", "1.0", salt)
		s.Component, s.Class = "addon_radio", trust.ClassAddon
		return s
	}
	w.want(w.judge(addon("x"), "x"), trust.AllowUnsigned, "")
	must(t, w.say(addon(""), trust.Trusted))
	w.want(w.judge(addon(""), ""), trust.Allow, "")
	w.want(w.judge(addon("x"), "x"), trust.Refuse, trust.ContentMismatch)
}

func TestWithdrawalsOutweighTheOwner(t *testing.T) {
	for name, by := range map[string]func(*world) *trusttest.Publisher{
		"security": func(w *world) *trusttest.Publisher { return w.security },
		"core":     func(w *world) *trusttest.Publisher { return w.core },
	} {
		w := newWorld(t)
		w.append(by(w).Notarize(image("1.0", ""), trusttest.Withdraw))
		must(t, w.say(image("1.0", ""), trust.Trusted))
		t.Log(name)
		w.want(w.judge(image("1.0", ""), ""), trust.Refuse, trust.Revoked)
	}
}

func TestOwnersWithdrawalStays(t *testing.T) {
	w := newWorld(t)
	mine := image("1.0", "")
	w.append(w.core.Notarize(mine)) // it works against what others vouch for, too
	w.want(w.judge(mine, ""), trust.Allow, "")
	must(t, w.say(mine, trust.Untrusted, func(x *Word) { x.Severity, x.Reason = trust.SeverityStop, "no" }))
	v := w.judge(mine, "")
	w.want(v, trust.Refuse, trust.Revoked)
	if v.Severity != trust.SeverityStop || !v.ByRoot {
		t.Errorf("severity %s by root %t", v.Severity, v.ByRoot)
	}
	if err := w.say(mine, trust.Trusted); err == nil || !strings.Contains(err.Error(), "a withdrawal stays") {
		t.Errorf("accepted again: %v", err)
	}
}

// TestStolenKeySaysNothingFromOutside puts what the house key has signed into the ledger: there it counts for nothing.
func TestStolenKeySaysNothingFromOutside(t *testing.T) {
	w := newWorld(t)
	thief := newWorld(t)
	must(t, thief.say(image("6.6", ""), trust.Trusted))
	for _, r := range thief.s.records {
		b, err := r.Envelope.Marshal()
		must(t, err)
		w.append(b)
	}
	w.s = thief.s // the key is the same one, the file is not
	w.s.records = nil
	w.want(w.judge(image("6.6", ""), ""), trust.Refuse, trust.SignatureMissing)
}

func TestEachLedgerHasWordsOfItsOwn(t *testing.T) {
	w := newWorld(t)
	mine := image("1.0", "")
	must(t, w.say(mine, trust.Trusted, func(x *Word) { x.Ledger = "ledger.example.net/other" }))
	w.want(w.judge(mine, ""), trust.Refuse, trust.SignatureMissing)
	must(t, w.say(mine, trust.Trusted))
	w.want(w.judge(mine, ""), trust.Allow, "")
	w.reopen()
	w.want(w.judge(mine, ""), trust.Allow, "")
}

func (w *world) reopen() {
	w.t.Helper()
	s, err := Open(w.dir)
	must(w.t, err)
	w.s = s
}

func TestNothingCountsThatIsNotLoggedAndOnDisk(t *testing.T) {
	w := newWorld(t)
	full := errors.New("disk full")
	if _, err := w.s.Say(Word{Ledger: origin, Name: "example.org/core", Version: "1.0", Subjects: Subjects(image("1.0", "")), Status: trust.Trusted}, now,
		func(trust.Notarization) error { return full }); !errors.Is(err, full) {
		t.Fatal(err)
	}
	must(t, os.Chmod(w.dir, 0o700))
	if err := w.say(image("1.0", ""), "WHATEVER"); err == nil {
		t.Error("an unknown status was kept")
	}
	if n := len(w.s.List()); n != 0 {
		t.Errorf("%d words", n)
	}
	if _, err := Init(filepath.Join(t.TempDir(), "h"), func(string) error { return full }); !errors.Is(err, full) {
		t.Errorf("a key was made without a log record: %v", err)
	}
	if _, err := Init(w.dir, func(string) error { return nil }); err == nil {
		t.Error("a key was overwritten")
	}
}

func TestDamagedOrLostFileIsNoFreshStart(t *testing.T) {
	w := newWorld(t)
	must(t, w.say(image("1.0", ""), trust.Trusted))
	name := filepath.Join(w.dir, fileName)
	good, err := os.ReadFile(name)
	must(t, err)
	if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", fi.Mode(), err)
	}
	stranger := newWorld(t)
	must(t, stranger.say(image("1.0", ""), trust.Trusted))
	theirs, err := os.ReadFile(filepath.Join(stranger.dir, fileName))
	must(t, err)
	records := func(b []byte) []byte { return b[slices.Index(b, '['):] }
	for what, b := range map[string][]byte{
		"gone": nil, "empty": {}, "cut": good[:len(good)/2], "of a newer format": []byte(strings.Replace(string(good), `"format":1`, `"format":2`, 1)),
		"with records of another key": append(slices.Clone(good[:slices.Index(good, '[')]), records(theirs)...),
	} {
		must(t, os.WriteFile(name, b, 0o600))
		if b == nil {
			must(t, os.Remove(name))
		}
		_, err := Open(w.dir)
		var lost *trust.StateError
		if what == "with records of another key" && slices.Equal(b, theirs) {
			t.Fatal("nothing was changed")
		}
		if !errors.As(err, &lost) || lost.Why != trust.StateMissing {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, os.WriteFile(name, good, 0o600))
	w.reopen()
	if n := w.s.List(); len(n) != 1 || n[0].Version != "1.0" {
		t.Errorf("words %+v", n)
	}
}

// TestChannelIsTheOwnersOnlyWhenHeSaysSo accepts an image, which says nothing of a channel, and then a channel's file.
func TestChannelIsTheOwnersOnlyWhenHeSaysSo(t *testing.T) {
	w := newWorld(t)
	policy := trust.Policy{House: w.s.Publisher()}
	current := func() (trust.Digest, bool) {
		facts, err := trust.CollectChannel(With(w.ledger, w.s), "stable", w.root, policy.House)
		must(t, err)
		d, _, ok := trust.CurrentChannel(facts, w.root, policy, "stable")
		return d, ok
	}
	mine := image("1.0", "")
	must(t, w.say(mine, trust.Trusted))
	if d, ok := current(); ok {
		t.Fatalf("the channel is %s by a word about an image", d)
	}
	file := trust.DigestOf([]byte("stable"))
	claim := func(in *trust.Input) {
		in.Action, in.Channel = trust.AutoUpdate, &trust.ChannelClaim{Name: "stable", Digest: file}
	}
	judge := func() trust.Verdict { return w.judgeChannel(mine, claim) }
	w.want(judge(), trust.Refuse, trust.NotInChannel)
	_, err := w.s.Say(ChannelWord(origin, "stable", file), now, func(trust.Notarization) error { return nil })
	must(t, err)
	if d, ok := current(); !ok || d != file {
		t.Fatalf("the channel is %s %t, want %s", d, ok, file)
	}
	w.want(judge(), trust.Allow, "")
	w.reopen()
	w.want(judge(), trust.Allow, "")
	w.want(w.judgeChannel(image("1.1", ""), claim), trust.Refuse, trust.SignatureMissing) // a channel vouches for no image
}

func (w *world) judgeChannel(s trust.Subject, claim func(*trust.Input)) trust.Verdict {
	w.t.Helper()
	raw := trusttest.Manifests(s.Repository, s.Version, "")
	in := trust.Input{Request: trust.Request{Subject: s, Raw: &raw, Change: "c", FirstResolved: now.Add(-2 * time.Hour)},
		Root: w.root, Policy: trust.Policy{House: w.s.Publisher()}, Now: now.Add(time.Minute)}
	claim(&in)
	var err error
	in.Facts, err = trust.Collect(With(w.ledger, w.s), s, in.Channel, w.root, in.Policy.House)
	must(w.t, err)
	return trust.Judge(in)
}
