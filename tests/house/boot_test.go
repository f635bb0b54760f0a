package house

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// boot starts the daemon as after a boot of the host: the kernel's word for the boot is another one. The daemon gets a
// mount namespace of its own for that, so that no other test boots too.
func (h *house) boot(id string) {
	h.t.Helper()
	must(h.t, os.WriteFile(h.path("boot"), []byte(id+"\n"), 0o444))
	const script = `mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"`
	h.daemon = start(h.t, h.path("castellan.log"), h.env, "unshare", "--mount", "sh", "-c", script, "sh", h.path("boot"),
		bin(h.t, "castellan"), "run", "--config", h.path("castellan.yaml"))
	testenv.Eventually(h.t, time.Minute, "the daemon answers after the boot", func() bool {
		if !h.daemon.running() {
			h.t.Fatalf("castellan run has ended:\n%s", h.daemon.tail())
		}
		_, err := h.client.Version(context.Background())
		return err == nil
	})
}

// knowsBoot fails the test unless the daemon's own view of the boot is the one it was given: a test of boots that boots
// nothing would show nothing.
func (h *house) knowsBoot(t testing.TB, id string) {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(h.daemon.cmd.Process.Pid) + "/root/proc/sys/kernel/random/boot_id")
	must(t, err)
	if string(b) != id+"\n" {
		t.Fatalf("the daemon takes the boot for %q, want %q", b, id)
	}
}
