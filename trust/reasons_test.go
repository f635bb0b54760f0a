package trust

import (
	"strings"
	"testing"
)

func TestReasonTableIsWhole(t *testing.T) {
	seen := map[Reason]bool{}
	for _, m := range Reasons() {
		switch {
		case seen[m.Reason]:
			t.Errorf("%s stands there twice", m.Reason)
		case m.Short == "" || m.Next == "" || strings.HasSuffix(m.Short, ".") || strings.HasSuffix(m.Next, "."):
			t.Errorf("%s: words for people %q, %q", m.Reason, m.Short, m.Next)
		case m.Outcome.Allowed():
			t.Errorf("%s speaks against nothing", m.Reason)
		case m.Outcome == "" && (m.Force != ForceNo || m.Exit != ExitTrusted):
			t.Errorf("%s only warns", m.Reason)
		case m.Outcome != "" && m.Exit == ExitTrusted:
			t.Errorf("%s ends with exit code 0", m.Reason)
		case m.Outcome == Defer && m.Status == Untrusted:
			t.Errorf("%s calls an outage untrusted", m.Reason)
		}
		seen[m.Reason] = true
	}
	// As TRUST.md §7 lists them.
	for _, r := range []Reason{Revoked, KeyRevoked, ContentMismatch, DependencyUntrusted, LedgerQuarantined} {
		if r.Meaning().Force != ForceTyped {
			t.Errorf("%s does not want the name typed again", r)
		}
	}
	for _, r := range []Reason{DigestMismatch, WrongName, WrongVersion, WrongPlatform, "NEVER_HEARD_OF"} {
		if r.Meaning().Force != ForceNo {
			t.Errorf("%s can be forced", r)
		}
	}
	for r, exit := range map[Reason]int{Revoked: 3, SignatureMissing: 4, NoLongerSupported: 5, KeyRevoked: 6, LedgerExpired: 7, EvidenceUnavailable: 7, "NEVER_HEARD_OF": 1} {
		if got := r.Meaning().Exit; got != exit {
			t.Errorf("%s ends with exit code %d, want %d", r, got, exit)
		}
	}
	if Reason("NEVER_HEARD_OF").Known() || Reason("NEVER_HEARD_OF").Meaning().Outcome != Defer {
		t.Error("an unknown reason is known or does not defer")
	}
}
