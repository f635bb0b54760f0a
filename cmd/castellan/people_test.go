package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/api"
)

const passphrase = "a phrase that is long enough"

// openDoor is a register of people and the API before it, on a socket and, when it runs, on the network.
func openDoor(t *testing.T, dir string, cfg func() config.API) (l *lanAPI, socket string) {
	t.Helper()
	people, err := access.Open(dir, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = people.Close() }) // what counts is on disk
	s := api.New(api.Config{Backend: &butler{}, Version: "1.2.3", Owner: uint32(os.Getuid()), People: people, Log: slog.New(slog.DiscardHandler)})
	socket = filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	l = &lanAPI{people: people, dir: dir, want: cfg, serve: s.ServePeople, pages: s.ServeIngress, log: slog.New(slog.DiscardHandler), kick: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- s.Serve(ctx, listener) }()
	go func() { l.run(ctx); ended <- nil }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return l, socket
}

// becomes waits until the network's status is as wanted.
func becomes(t *testing.T, l *lanAPI, what string, want func(api.NetworkStatus) bool) api.NetworkStatus {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for {
		l.wake()
		if st := l.status(); want(st) {
			return st
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it never becomes: %s; the status is %+v", what, l.status())
		}
	}
}

// typed is one command line with an input.
func typed(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	root := newRoot()
	root.SetIn(strings.NewReader(input))
	root.SetOut(&out)
	root.SetErr(&errOut)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		var next string
		code, next = classify(err)
		errOut.WriteString(err.Error() + "\nNext: " + next)
	}
	return code, out.String(), errOut.String()
}

func nowhere() config.API { return config.API{TLS: "off"} }

func TestPeopleOnTheCommandLine(t *testing.T) {
	_, socket := openDoor(t, t.TempDir(), nowhere)
	for _, c := range []struct {
		line, input string
		code        int
		stdout      string
		stderr      string
	}{
		{"user list", "", 0, "Next: castellan setup-code", ""},
		{"setup-code", "", 0, "Next: type it at the first login", ""},
		{"setup-code --json", "", 0, `"code": "`, ""},
		{"user add eve", passphrase, 1, "", "the first user must be admin"},
		{"user add anna --role admin", "", 2, "", "cannot go on without a password"},
		{"user add anna --role admin", "short\n", 1, "", "Next: castellan user list"},
		{"user add anna --role admin", strings.Repeat("x", 5000), 2, "", "longer than 1024 bytes"},
		{"user add anna " + passphrase, "", 2, "", "received 2"},
		{"user add Anna --role admin", passphrase + "\n", 0, "Anna may log in as admin", ""},
		{"setup-code", "", 1, "", "has an owner already"},
		{"user add anna", passphrase, 1, "", `there is a user "anna" already`},
		{"user add bert --role operator --json", passphrase, 0, `"changed": true`, ""},
		{"__complete user role b", "", 0, "bert\toperator\n:4\n", ""},
		{"user role bert king", "", 1, "", "is no role"},
		{"user role bert viewer", "", 0, "bert is viewer now", ""},
		{"user role nobody viewer", "", 1, "", "Next: castellan user list"},
		{"user password bert", passphrase + " too\n", 0, "the password of bert is set", ""},
		{"user let-in bert 192.168.1.7", "", 0, "bert may log in from 192.168.1.7 at once", ""},
		{"user let-in bert here", "", 1, "", "is no address"},
		{"user list", "", 0, "bert", ""},
		{"user list --json", "", 0, `"role": "viewer"`, ""},
		{"token add ci", "", 1, "", `field "user" is missing`},
		{"token add ci --user bert --role admin", "", 1, "", "a token of his can't be admin"},
		{"token add ci --user bert --days 30", "", 0, "cst_", "it is shown this once"},
		{"token list", "", 0, "ci", ""},
		{"token remove x", "", 1, "", "Next: castellan token list"},
		{"session list", "", 0, "nobody is logged in", ""},
		{"session end", "", 2, "", "want its ID, or --user"},
		{"session end x", "", 1, "", "Next: castellan session list"},
		{"session end --user bert", "", 3, "0 sessions of bert have ended", ""},
		{"user remove anna", "", 1, "", "no admin would be left"},
		{"user remove bert", "", 0, "bert is removed", ""},
		{"user reset", "", 2, "", "Next: castellan user reset --yes"},
		{"user reset --yes", "", 0, "setup code: ", ""},
		{"user list --json", "", 0, `"users": []`, ""},
	} {
		args := append([]string{"--socket", socket}, strings.Fields(c.line)...)
		if strings.Contains(c.line, passphrase) {
			args = []string{"--socket", socket, "user", "add", "anna", passphrase}
		}
		code, stdout, stderr := typed(t, c.input, args...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%s: code %d\n%s%s\nwant %d, %q, %q", c.line, code, stdout, stderr, c.code, c.stdout, c.stderr)
		}
		if strings.Contains(stdout+stderr, passphrase) {
			t.Errorf("%s shows the password:\n%s%s", c.line, stdout, stderr)
		}
		if code != 0 && code != 3 && !regexp.MustCompile(`(?m)^Next: \S`).MatchString(stderr) {
			t.Errorf("%s says not what to do:\n%s", c.line, stderr)
		}
	}
}

func TestPasswordsAreNotShownAtATerminal(t *testing.T) {
	for _, c := range []struct{ typed, says string }{
		{passphrase + "\n" + passphrase + "\n", ""},
		{passphrase + "\n" + passphrase + "x\n", "the two passwords differ"},
	} {
		_, socket := openDoor(t, t.TempDir(), nowhere)
		keys, screen := terminal(t)
		var shown strings.Builder
		root := newRoot()
		root.SetIn(screen)
		root.SetOut(&shown)
		root.SetErr(&shown)
		root.SetArgs([]string{"--socket", socket, "user", "add", "anna", "--role", "admin"})
		if _, err := keys.WriteString(c.typed); err != nil {
			t.Fatal(err)
		}
		err := root.ExecuteContext(t.Context())
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want %q", err, c.says)
		}
		if !strings.Contains(shown.String(), "New password: ") || strings.Contains(shown.String(), passphrase) {
			t.Errorf("shown: %q", shown.String())
		}
	}
}

func TestADaemonOnTheNetwork(t *testing.T) {
	for _, name := range []string{"CASTELLAN_HOST", "CASTELLAN_TOKEN_FILE", "CASTELLAN_FINGERPRINT"} {
		t.Setenv(name, "")
	}
	l, socket := openDoor(t, t.TempDir(), func() config.API { return config.API{Listen: "127.0.0.1:0", TLS: "self"} })
	st := becomes(t, l, "listening", func(s api.NetworkStatus) bool { return s.Listen != "" })
	if st.Owner || st.Fingerprint == "" || st.Error != "" || st.Ends.IsZero() {
		t.Errorf("the status is %+v", st)
	}
	if code, _, errs := typed(t, passphrase, "--socket", socket, "user", "add", "anna", "--role", "admin"); code != 0 {
		t.Fatal(errs)
	}
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	_, token, _ := typed(t, "", "--socket", socket, "token", "add", "ci", "--user", "anna", "--role", "operator")
	_, admin, _ := typed(t, "", "--socket", socket, "token", "add", "all", "--user", "anna", "--role", "admin")
	good, open, bad := file("good", token, 0o600), file("open", token, 0o644), file("bad", "cst_x", 0o600)
	boss, empty := file("boss", admin, 0o600), file("empty", "\n", 0o600)
	host, mark := "https://"+st.Listen, st.Fingerprint
	for _, c := range []struct {
		what, host, token, mark, line string
		input                         string
		code                          int
		says                          string
	}{
		{"all is well", host, good, mark, "status", "", 0, "castellan 1, running"},
		{"and without colons", host, good, strings.ToLower(strings.ReplaceAll(mark, ":", "")), "status", "", 0, "castellan 1, running"},
		{"a certificate nobody knows", host, good, "", "status", "", 1, mark},
		{"another certificate", host, good, strings.Repeat("AB:", 31) + "AB", "status", "", 1, "it shows another certificate, with fingerprint " + mark},
		{"no fingerprint", host, good, "AB:CD", "status", "", 2, "want 32 bytes"},
		{"a fingerprint in the clear", "http://" + st.Listen, good, mark, "status", "", 2, "want https://"},
		{"no URL", st.Listen, good, mark, "status", "", 2, "want one as https://"},
		{"a URL with a password", "https://anna:hunter2@" + st.Listen, good, mark, "status", "", 2, "want one as https://"},
		{"no token", host, "", mark, "status", "", 2, "--token-file is missing"},
		{"a token that others read", host, open, mark, "status", "", 2, "others may read it; run chmod 600"},
		{"an empty file", host, empty, mark, "status", "", 2, "it holds none"},
		{"a wrong token", host, bad, mark, "status", "", 1, "Next: castellan token add on the appliance"},
		{"a role too low", host, good, mark, "user list", "", 1, "may not call GET /castellan/users: that is for role admin"},
		{"what is for root", host, boss, mark, "setup-code", "", 1, "that is for root on the appliance"},
		{"an admin", host, boss, mark, "user list", "", 0, "anna"},
		{"the own password without the current one", host, boss, mark, "user password anna", "x\n" + passphrase + "\n", 1, "the name or the password is wrong"},
		{"the own password", host, boss, mark, "user password anna", passphrase + "\n" + passphrase + " 2\n", 0, "the password of anna is set"},
		{"nobody there", "https://127.0.0.1:1", good, mark, "status", "", 5, "castellan is not reachable at https://127.0.0.1:1"},
		{"no daemon is asked", host, "", mark, "openapi", "", 0, "openapi"},
		{"nor for completions", host, "", mark, "completion bash", "", 0, "castellan"},
	} {
		args := append([]string{"--host", c.host, "--token-file", c.token, "--fingerprint", c.mark}, strings.Fields(c.line)...)
		code, stdout, stderr := typed(t, c.input, args...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: code %d\n%s%s\nwant %d, %q", c.what, code, stdout, stderr, c.code, c.says)
		}
		for _, secret := range []string{strings.TrimSpace(token), strings.TrimSpace(admin), "hunter2"} {
			if strings.Contains(stdout+stderr, secret) {
				t.Errorf("%s: %q is shown:\n%s%s", c.what, secret, stdout, stderr)
			}
		}
	}
}

// TestTheNetworkFollowsTheConfiguration is also about what is wrong and becomes right.
func TestTheNetworkFollowsTheConfiguration(t *testing.T) {
	want := make(chan config.API, 1)
	want <- config.API{TLS: "off"}
	set := func(c config.API) { <-want; want <- c }
	l, _ := openDoor(t, t.TempDir(), func() config.API { c := <-want; want <- c; return c })
	reach := func(addr string) error {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	becomes(t, l, "nowhere", func(s api.NetworkStatus) bool { return s.Listen == "" && s.Error == "" })
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := taken.Addr().String()
	set(config.API{Listen: at, TLS: "off"})
	becomes(t, l, "a port that is taken", func(s api.NetworkStatus) bool {
		return s.Listen == "" && strings.Contains(s.Error, "end the other program, or change api.listen")
	})
	_ = taken.Close()
	becomes(t, l, "a port that is free again", func(s api.NetworkStatus) bool { return s.Listen == at && s.Error == "" && s.TLS == "off" })
	if err := reach(at); err != nil {
		t.Error(err)
	}
	set(config.API{Listen: "127.0.0.1:0", TLS: "files", Cert: "/nowhere/cert.pem", Key: "/nowhere/key.pem"})
	st := becomes(t, l, "a certificate that is not there", func(s api.NetworkStatus) bool {
		// pages come a moment after people
		return s.TLS == "files" && s.Error != "" && s.Fingerprint != "" && (s.Ingress != "" || s.IngressError != "")
	})
	if err := reach(at); err == nil {
		t.Error("the old address answers still")
	}
	if err := reach(st.Listen); err != nil { // the self-made one is served
		t.Error(err)
	}
	pages := st.Ingress
	if err := reach(pages); err != nil || st.IngressPort == 0 || !strings.HasSuffix(pages, fmt.Sprintf(":%d", st.IngressPort)) {
		t.Errorf("pages at %q, port %d: %v", pages, st.IngressPort, err)
	}
	if taken, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	other := taken.Addr().String()
	set(config.API{Listen: "127.0.0.1:0", IngressListen: other, TLS: "off"})
	st = becomes(t, l, "people without pages", func(s api.NetworkStatus) bool {
		return s.Listen != "" && s.TLS == "off" && s.Error == "" && s.Ingress == "" && strings.Contains(s.IngressError, "change api.ingress_listen")
	})
	if err := reach(pages); err == nil {
		t.Error("the pages' old address answers still")
	}
	_ = taken.Close()
	if now := becomes(t, l, "with pages", func(s api.NetworkStatus) bool { return s.Ingress == other && s.IngressError == "" }); now.Listen != st.Listen {
		t.Errorf("people were cut for that: they are answered at %s, and were at %s", now.Listen, st.Listen)
	}
	if err := reach(other); err != nil {
		t.Error(err)
	}
	set(config.API{Listen: st.Listen, IngressListen: "off", TLS: "off"})
	becomes(t, l, "pages off", func(s api.NetworkStatus) bool {
		return s.Listen == st.Listen && s.Ingress == "" && s.IngressError == ""
	})
	if err := reach(other); err == nil {
		t.Error("pages that are off answer")
	}
	set(config.API{TLS: "off"})
	becomes(t, l, "nowhere again", func(s api.NetworkStatus) bool { return s.Listen == "" && s.Ingress == "" && s.Error == "" })
	if err := reach(st.Listen); err == nil {
		t.Error("nowhere answers")
	}
}

func TestADamagedRegisterKeepsPeopleOutAndSaysWhy(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, access.FileName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, socket := openDoor(t, dir, func() config.API { return config.API{Listen: "127.0.0.1:0", TLS: "off"} })
	becomes(t, l, "closed", func(s api.NetworkStatus) bool { return s.Listen == "" && strings.Contains(s.Error, access.FileName) })
	if code, out, _ := typed(t, "", "--socket", socket, "status"); code != 0 || !strings.Contains(out, "running") {
		t.Errorf("the socket answers %d %s", code, out)
	}
	if code, _, errs := typed(t, "", "--socket", socket, "user", "list"); code != 1 || !strings.Contains(errs, access.FileName) {
		t.Errorf("user list: %d %s", code, errs)
	}
	_, out, _ := typed(t, "", "--socket", socket, "user", "reset", "--yes", "--json")
	var reset api.ResetAnswer
	if err := json.Unmarshal([]byte(out), &reset); err != nil || reset.Code == "" {
		t.Fatalf("reset: %s %v", out, err)
	}
	becomes(t, l, "open", func(s api.NetworkStatus) bool { return s.Listen != "" && s.Error == "" && !s.Owner })
}

func TestWithoutARegisterTheDaemonGoesOn(t *testing.T) {
	l := &lanAPI{broken: os.ErrPermission, want: func() config.API { return config.API{Listen: "127.0.0.1:0", TLS: "off"} }}
	if got, err := l.turn(t.Context(), lanDoors{}); got != (lanDoors{}) || err != nil {
		t.Errorf("got %v %v", got, err)
	}
	if st := l.status(); st.Error != os.ErrPermission.Error() || st.Owner || st.Listen != "" {
		t.Errorf("the status is %+v", st)
	}
}
