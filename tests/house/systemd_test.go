package house

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// TestSystemdIsTold plays systemd's side of sd_notify(3): the daemon says when it is ready, feeds the watchdog while it
// lives, and says when it stops.
func TestSystemdIsTold(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: w.path("notify"), Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	var mu sync.Mutex
	said := map[string]int{}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := l.Read(buf)
			if err != nil {
				return // the test is over
			}
			mu.Lock()
			for _, line := range strings.Split(string(buf[:n]), "\n") {
				said[line]++
			}
			mu.Unlock()
		}
	}()
	count := func(line string) int {
		mu.Lock()
		defer mu.Unlock()
		return said[line]
	}
	h.env = []string{"NOTIFY_SOCKET=" + w.path("notify"), "WATCHDOG_USEC=600000"}
	h.begin()
	if count("READY=1") != 1 {
		t.Errorf("it answers and said READY %d times", count("READY=1"))
	}
	testenv.Eventually(t, 10*time.Second, "the watchdog is fed", func() bool { return count("WATCHDOG=1") >= 3 })
	if _, err := h.client.Status(context.Background()); err != nil {
		t.Error(err)
	}
	if _, code := h.daemon.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	testenv.Eventually(t, 5*time.Second, "it says that it stops", func() bool { return count("STOPPING=1") == 1 })
}
