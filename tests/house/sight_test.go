package house

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// TestAnOwnerSeesWhyThingsRun goes through what an owner is shown of trust, on real parts: ledgers, publishers, judgements,
// overrides, and the log as a file that is checked elsewhere.
func TestAnOwnerSeesWhyThingsRun(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	bad := w.core("1.1.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()

	var ledgers api.LedgerList
	h.castellan("trust", "ledgers", "--json").decode(t, &ledgers)
	if len(ledgers.Ledgers) != 1 {
		t.Fatalf("ledgers %+v", ledgers)
	}
	l := ledgers.Ledgers[0]
	if l.State != "fresh" || l.Stale || l.Agreement != "agreed" || l.Agreeing != len(l.Mirrors) || len(l.Keys) != 1 || l.Records.Notarizations == 0 || l.Records.Withdrawals != 0 || !strings.HasPrefix(l.Head, "sha256:") {
		t.Errorf("the ledger is %+v", l)
	}
	h.castellan("trust", "ledgers").says(t, 0, l.Origin, "tell one story")

	judged := func(exit int, args ...string) (j api.Judgement) {
		t.Helper()
		a := h.castellan(append([]string{"trust", "verify", "--json"}, args...)...)
		a.says(t, exit)
		a.decode(t, &j)
		return j
	}
	if j := judged(0); j.Installed == 0 || j.Verified != j.Installed || j.Judged.IsZero() || j.Error != "" {
		t.Errorf("all is well: %+v", j)
	}

	w.untrust(bad, "--severity", "notify")
	h.castellan("update", h.core, "--to", "1.1.0").says(t, 4, "withdrawn")
	h.castellan("trust", "overrides").says(t, 0, "nothing is forced")
	against, err := h.client.Against(t.Context(), h.core)
	must(t, err)
	if len(against.Reasons) != 1 || against.Reasons[0].Code != "REVOKED" || against.Reasons[0].Force != "typed" || against.Outcome != "REFUSE" ||
		against.Digest != string(bad.Manifest) || against.Change.To != "1.1.0" || against.Verdict == 0 {
		t.Errorf("against it stands %+v", against)
	}
	h.castellan("log", "explain", fmt.Sprint(against.Verdict)).says(t, 0, "REVOKED")
	h.castellan("trust", "force", h.core, "--why", "I know", "--confirm", h.core).says(t, 0)
	var list api.OverrideList
	overrides := func() []api.OverrideState {
		t.Helper()
		list = api.OverrideList{}
		h.castellan("trust", "overrides", "--json").decode(t, &list)
		return list.Overrides
	}
	got := overrides()
	if len(got) != 1 || got[0].State != "waiting" || got[0].Service != h.core || got[0].Version != "1.1.0" || got[0].Why != "I know" || got[0].Seq == 0 || got[0].Digest != string(bad.Manifest) {
		t.Fatalf("overrides %+v", got)
	}
	h.castellan("trust", "unforce", got[0].ID).says(t, 0, "is taken back")
	h.castellan("trust", "unforce", got[0].ID).says(t, 1, "no override", "Next: castellan trust overrides")
	h.castellan("update", h.core, "--to", "1.1.0").says(t, 4, "withdrawn")
	h.castellan("trust", "force", h.core, "--why", "I know", "--confirm", h.core).says(t, 0)
	h.change(0, "update", h.core, "--to", "1.1.0")
	if got = overrides(); len(got) != 1 || got[0].State != "running" || got[0].Version != "1.1.0" || got[0].Verdict == 0 || got[0].By == "" {
		t.Errorf("overrides %+v", got)
	}

	var publishers api.PublisherList
	h.castellan("trust", "publishers", "--json").decode(t, &publishers)
	if len(publishers.Publishers) == 0 || publishers.Error != "" {
		t.Fatalf("publishers %+v", publishers)
	}
	p := publishers.Publishers[0]
	if p.Roles[0] != "core" || p.Version == 0 || p.Last == nil || p.Last.Status != "UNTRUSTED" || len(p.Withdrawn) != 1 || p.Withdrawn[0].Reason != "for the test" || p.Withdrawn[0].Version != "1.1.0" {
		t.Errorf("core's publisher %+v, last %+v", p, p.Last)
	}
	if r := publishers.Revocations; len(r) != 1 || r[0].Service != h.core || r[0].Where != "current" || r[0].Code != "REVOKED" || !r[0].Forced || r[0].Reason != "for the test" || r[0].Publisher != p.ID {
		t.Errorf("revocations %+v", r)
	}
	h.castellan("trust", "publishers").says(t, 0, p.ID, "for the test")

	h.castellan("log", "--outcome", "refuse", "--service", h.core).says(t, 0, "REFUSE REVOKED")
	a := h.castellan("log", "export", "--format", "csv", "--kind", "override")
	a.says(t, 0, "seq,time,kind,service,outcome,reason,summary", ",override,")
	whole := h.castellan("log", "export")
	whole.says(t, 0, `"kind":"boot"`)
	file := filepath.Join(t.TempDir(), "log.jsonl")
	if err := os.WriteFile(file, []byte(whole.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	h.castellan("log", "verify", file).says(t, 0, "chain good")
	if strings.Contains(whole.stdout, "I know") {
		t.Error("a reason that somebody gave leaves the house")
	}
	h.change(0, "rollback", h.core)
	if got = overrides(); len(got) != 0 {
		t.Errorf("after the rollback: %+v", got)
	}
	h.soundness()
}
