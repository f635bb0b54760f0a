package house

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// TestBadConfigurationIsNamed starts the daemon with configurations that are wrong. It says file, line and field, and
// nothing is made.
func TestBadConfigurationIsNamed(t *testing.T) {
	testenv.Engine(t)
	h := newHouse(bareWorld(t))
	good := h.config()
	file := h.path("castellan.yaml")
	for _, c := range []struct {
		name, text string
		says       []string
	}{
		{"unknown key", good + "colour: blue\n", []string{file, "colour", "15"}},
		{"unknown key inside", strings.Replace(good, "update: ask", "update: ask\n    updates: auto", 1), []string{file, "updates", "13"}},
		{"wrong type", strings.Replace(good, "services:", "limits: {parallel: many}\nservices:", 1), []string{file, "parallel"}},
		{"bad value", strings.Replace(good, "update: ask", "update: sometimes", 1), []string{file, "update", "sometimes", "auto"}},
		{"no YAML", "data_dir: [", []string{file}},
		{"binary", "\x00\x01\xff", []string{file}},
		{"no root documents", strings.Replace(good, h.path("roots"), h.path("nowhere"), 1), []string{h.path("nowhere"), "line 6", "trust.root_dir", "install the root documents"}},
		{"bad engine", strings.Replace(good, h.engine, "http://x", 1), []string{"engine.host"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.configure(c.text)
			run(t, nil, bin(t, "castellan"), "run", "--config", file).says(t, 1, c.says...)
		})
	}
	run(t, nil, bin(t, "castellan"), "run", "--config", h.path("none.yaml")).says(t, 1, h.path("none.yaml"), "no such file")
}

// TestBrokenReloadChangesNothing breaks the configuration of a running daemon in several ways and mends it again.
func TestBrokenReloadChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.image("lights", "1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	good := h.config()
	before := h.picture()
	for _, c := range []struct{ name, text, says string }{
		{"unknown key", good + "colour: blue\n", "colour"},
		{"half a file", good[:len(good)/2], "castellan.yaml"},
		{"empty of services", strings.Replace(good, "  - name: "+h.core, "  - nam: "+h.core, 1), "nam"},
		{"garbage", "\x00\xff", "castellan.yaml"},
	} {
		h.configure(c.text)
		testenv.Eventually(t, 20*time.Second, c.name+": status says "+c.says, func() bool { return strings.Contains(h.status().Config.Error, c.says) })
		h.castellan("status").says(t, 0, "config", c.says)
		h.runs(h.core, "1.0.0", "verified")
	}
	must(t, os.Remove(h.path("castellan.yaml")))
	testenv.Eventually(t, 20*time.Second, "status says that the file is gone", func() bool { return strings.Contains(h.status().Config.Error, "no such file") })
	if now := h.picture(); now != before {
		t.Errorf("the containers changed:\n%s\n%s", before, now)
	}
	h.settings.addons = true
	h.configure(h.config())
	testenv.Eventually(t, 30*time.Second, "the mended file counts and lights runs", func() bool {
		st := h.status()
		return st.Config.Error == "" && len(st.Services) == 2 && h.rests(st)
	})
	h.soundness()
}

// TestBrokenChannelKeepsTheOldRelease serves broken channel files. The old release stays and the error names the file.
func TestBrokenChannelKeepsTheOldRelease(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	w.core("1.1.0")
	w.release("1.1.0")
	h := newHouse(w)
	h.begin()
	h.runs(h.core, "1.1.0", "verified")
	good, err := os.ReadFile(w.path("web", "stable.json"))
	must(t, err)
	for _, c := range []struct{ name, text, says string }{
		{"garbage", "\x00\x01", "channel"},
		{"another channel", strings.Replace(string(good), `"channel": "stable"`, `"channel": "beta"`, 1), "beta"},
		{"duplicate key", strings.Replace(string(good), `{`, `{"channel": "stable",`, 1), "channel"},
		{"no core", strings.Replace(string(good), `"homeassistant"`, `"homeassistent"`, 1), "homeassistant"},
		{"bad extension", strings.Replace(string(good), `{`, `{"castellan": {"rollout": "all"},`, 1), "castellan"},
	} {
		must(t, os.WriteFile(w.path("web", "stable.json"), []byte(c.text), 0o644))
		w.cas("channel", "stable", w.path("web", "stable.json")) // the publisher himself blunders
		h.castellan("check").says(t, 0)
		if got := h.status().Channel.Error; !strings.Contains(got, c.says) || !strings.Contains(got, "stable") {
			t.Errorf("%s: status says %q, want %q", c.name, got, c.says)
		}
		h.runs(h.core, "1.1.0", "verified")
	}
	must(t, os.WriteFile(w.path("web", "stable.json"), good, 0o644))
	w.core("1.2.0")
	w.release("1.2.0")
	h.change(0, "update", h.core)
	h.runs(h.core, "1.2.0", "verified")
	if got := h.status().Channel.Error; got != "" {
		t.Errorf("the channel is mended and status says %q", got)
	}
}

// TestHostileCallsChangeNothing sends what no client of ours sends, and wrong command lines.
func TestHostileCallsChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	for _, c := range []struct{ path, body, says string }{
		{"/castellan/update", `{"service":"` + h.core + `","force":true}`, "/force"},
		{"/castellan/update", `{"service":"` + h.core + `","service":"x"}`, "Invalid json"},
		{"/castellan/update", `{"Service":"` + h.core + `"}`, "/Service"},
		{"/castellan/update", strings.Repeat("[", 100_000), "wrong type"},
		{"/castellan/update", `{"service":"` + strings.Repeat("x", 10_000) + `"}`, "no service"},
		{"/castellan/update", `{"service":"` + h.core + `","version":"../../etc"}`, "etc"},
		{"/castellan/update", `{"service":"` + h.core + `","version":"` + strings.Repeat("9", 100_000) + `"}`, ""},
		{"/castellan/rollback", `{"service":"` + h.core + `"}`, "no previous version"},
		{"/castellan/trust/force", `{"service":"` + h.core + `","why":"\u0000","reasons":["REVOKED"]}`, "nothing"},
	} {
		got := h.post(c.path, c.body)
		if !strings.Contains(got, c.says) || !strings.HasPrefix(got, "{") || len(got) > 4000 {
			t.Errorf("POST %s %.80s: %.500s, want %q", c.path, c.body, got, c.says)
		}
	}
	h.rawGarbage()
	for _, c := range []struct {
		args []string
		exit int
		says string
	}{
		{[]string{"upgrade"}, 2, "unknown command"},
		{[]string{"update", "--now"}, 2, "--now"},
		{[]string{"update", "a", "b"}, 2, "Next: "},
		{[]string{"update", "--to", "1"}, 2, "needs the name"},
		{[]string{"update", "nobody"}, 1, "no service"},
		{[]string{"update", h.core}, 3, "newest"},
		{[]string{"rollback"}, 2, "Next: "},
		{[]string{"rollback", h.core}, 1, "no previous version"},
		{[]string{"log", "explain", "x"}, 2, "record number"},
		{[]string{"log", "explain", "999999"}, 1, "999999"},
		{[]string{"log", "verify", "/nonexistent"}, 1, "/nonexistent"},
		{[]string{"log", "--last", "0x"}, 2, "--last"},
		{[]string{"status", "--socket", "/nonexistent"}, 5, "Next: "},
	} {
		h.castellan(c.args...).says(t, c.exit, c.says)
	}
	h.rest()
	h.runs(h.core, "1.0.0", "verified")
	h.soundness()
}

// TestOnlyRootMayForce calls as another user: first against the socket's permissions, then, with the socket opened by
// mistake, against the daemon's own check of who calls.
func TestOnlyRootMayForce(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	w := newWorld(t)
	w.core("1.0.0")
	w.core("1.1.0")
	w.release("1.0.0")
	h := newHouse(w, func(s *settings) { s.socket = fmt.Sprintf("/run/house-%d.sock", time.Now().UnixNano()) })
	program := strings.TrimSuffix(h.settings.socket, ".sock")
	b, err := os.ReadFile(bin(t, "castellan"))
	must(t, err)
	must(t, os.WriteFile(program, b, 0o755)) // where nobody can reach it
	defer os.Remove(program)
	h.begin()
	nobody := func(args ...string) answer {
		t.Helper()
		return runAs(t, 65534, []string{"CASTELLAN_SOCKET=" + h.settings.socket}, program, args...)
	}
	nobody("status").says(t, 5)
	nobody("trust", "force", h.core, "--why", "me").says(t, 5)
	must(t, os.Chmod(h.settings.socket, 0o666))
	nobody("status").says(t, 0, h.core)
	for _, args := range [][]string{
		{"trust", "force", h.core, "--why", "me"}, {"update", h.core, "--to", "1.1.0"}, {"rollback", h.core}, {"check"},
	} {
		nobody(args...).says(t, 1, "uid 65534 may not", "as root")
	}
	h.runs(h.core, "1.0.0", "verified")
	h.soundness()
}

func runAs(t testing.TB, uid uint32, env []string, program string, args ...string) answer {
	t.Helper()
	return runWith(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, NoSetGroups: false}}, env, program, args...)
}

// post sends a body and returns the answer's.
func (h *house) post(path, body string) string {
	h.t.Helper()
	c := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", h.settings.socket)
	}}}
	resp, err := c.Post("http://castellan"+path, "application/json", strings.NewReader(body))
	must(h.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(h.t, err)
	return string(b)
}

// rawGarbage sends bytes that are no HTTP.
func (h *house) rawGarbage() {
	h.t.Helper()
	for _, b := range [][]byte{{0}, bytes.Repeat([]byte{0xff}, 1<<20), []byte("GET / HTTP/9.9\r\n\r\n"), []byte("POST /castellan/update HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n{")} {
		c, err := net.Dial("unix", h.settings.socket)
		must(h.t, err)
		_, _ = c.Write(b) // the daemon may hang up first
		_ = c.Close()     // as above
	}
}
