package engine

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/castellan/castellan/tests/testenv"
)

// TestWithoutRightsTheNextStepIsNamed runs itself in a process that may not make namespaces, or not set up interfaces.
func TestWithoutRightsTheNextStepIsNamed(t *testing.T) {
	if os.Getenv("CASTELLAN_TEST_POOR") != "" {
		h := newHouse(t, testenv.Engine(t))
		h.cfg.Network = shared("castpoor", "13")
		removed(h, "castpoor")
		_, err := h.EnsureNetwork(t.Context())
		fmt.Println("says:", err)
		return
	}
	for _, right := range []string{"sys_admin", "net_admin"} {
		cmd := exec.Command("setpriv", "--bounding-set=-"+right, "--inh-caps=-"+right, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "CASTELLAN_TEST_POOR=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("says: cannot prepare network castpoor: ")) ||
			!bytes.Contains(out, []byte("operation not permitted: it needs CAP_NET_ADMIN and CAP_SYS_ADMIN")) {
			t.Errorf("without %s: %v\n%s", right, err, out)
		}
	}
}
