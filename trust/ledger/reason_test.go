package ledger

import (
	"fmt"
	"testing"

	"github.com/castellan/castellan/trust"
)

func TestGateDefersWithTheReplicasOwnReason(t *testing.T) {
	err := fmt.Errorf("cannot look up: %w", reason(trust.StateMissing, "no head"))
	if got := trust.ReasonOf(err); got != trust.StateMissing {
		t.Errorf("the Gate reads %q, want %q", got, trust.StateMissing)
	}
}
