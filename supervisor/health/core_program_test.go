package health

import (
	"bytes"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
)

// TestStandInOfCore holds the program that the tests of the whole house call Home Assistant Core to the gate.
func TestStandInOfCore(t *testing.T) {
	program := filepath.Join(t.TempDir(), "core")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../tests/testenv/core").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range []struct {
		name, env string
		token     string
		want      string // of the error, "" = passes
		seen      string // of one try on the way
	}{
		{"starts and migrates", "CORE_STATES=STARTING:200ms,MIGRATING:300ms CORE_TOKEN=" + goodToken, goodToken, "", "it migrates its database"},
		{"without a token", "CORE_TOKEN=" + goodToken, "", "", ""},
		{"over TLS", "CORE_TLS=1 CORE_SILENT=100ms", "", "", "connection refused"},
		{"sick frontend", "CORE_ILL=frontend", "", "its page: status 502", ""},
		{"no websocket", "CORE_ILL=websocket CORE_TOKEN=" + goodToken, goodToken, "its websocket: status 401", ""},
		{"components", "CORE_ILL=components CORE_TOKEN=" + goodToken, goodToken, "its component frontend is not loaded", ""},
		{"token refused", "CORE_TOKEN=other", goodToken, "refuse", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			port := portOf(t, l.Addr().String())
			_ = l.Close()
			cmd := exec.CommandContext(t.Context(), program)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			cmd.Env = append(strings.Fields(c.env), "CORE_ADDR=127.0.0.1:"+strconv.Itoa(int(port)))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}()
			check := spec.CoreCheck{Port: port, SSL: strings.Contains(c.env, "TLS")}
			if c.token != "" {
				check.TokenFile = tokenFile(t, c.token)
			}
			try := prober(spec.Check{Core: &check})
			seen := c.seen == ""
			var last error
			for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
				if _, last = try(t.Context(), Target{}); last != nil && c.seen != "" && strings.Contains(last.Error(), c.seen) {
					seen = true
				}
				if c.want == "" && last == nil || c.want != "" && last != nil && strings.Contains(last.Error(), c.want) {
					break
				}
			}
			if !seen || c.want == "" && last != nil || c.want != "" && (last == nil || !strings.Contains(last.Error(), c.want)) {
				t.Errorf("got %v, want %q; %q seen: %v; %s", last, c.want, c.seen, seen, out.Bytes())
			}
		})
	}
}
