package main

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/castellan/castellan/trust"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"cas": main}) }

// TestScripts runs the real program against a real `cas serve`. Commands of their own:
//
//	status N CMD…     CMD must exit with code N
//	start             runs `cas serve` on a free port, sets CAS_LEDGER
//	field NAME FILE   sets NAME to the trimmed content of FILE
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("CAS_HOME", e.WorkDir+"/home")
			e.Setenv("DOCKER_HOST", "unix://"+e.WorkDir+"/no-engine.sock")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": cmdStatus, "field": cmdField, "start": cmdStart, "jsonlines": cmdJSONLines, "registry": cmdRegistry, "push": cmdPush, "engine": cmdEngine},
	})
}

func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func cmdField(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// cmdStart runs the server until the script ends or says `stop`; further arguments go to it.
func cmdStart(ts *testscript.TestScript, _ bool, args []string) {
	address := ts.MkAbs("address")
	_ = os.Remove(address) // of a server before this one
	cas, err := exec.LookPath("cas")
	ts.Check(err)
	cmd := exec.Command(cas, append([]string{"serve", "--data", ts.MkAbs("ledger"), "--key", ts.MkAbs("note.key"),
		"--listen", "127.0.0.1:0", "--address-file", address}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	log, err := os.Create(ts.MkAbs("serve.log"))
	ts.Check(err)
	cmd.Stderr = log
	ts.Check(cmd.Start())
	ts.Setenv("SERVE_PID", strconv.Itoa(cmd.Process.Pid))
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }() // it is killed or told to end; the script sees the effect
	ts.Defer(func() { _ = cmd.Process.Kill(); <-done; _ = log.Close() })
	deadline := time.After(20 * time.Second)
	for {
		if b, err := os.ReadFile(address); err == nil {
			ts.Setenv("CAS_LEDGER", strings.TrimSpace(string(b)))
			return
		}
		select {
		case <-done:
			ts.Fatalf("cas serve ended: %s", ts.ReadFile("serve.log"))
		case <-deadline:
			ts.Fatalf("cas serve does not listen: %s", ts.ReadFile("serve.log"))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// cmdJSONLines checks that each line of stdout is an object with exactly the given fields set.
func cmdJSONLines(ts *testscript.TestScript, _ bool, fields []string) {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	for _, line := range lines {
		got, err := jsonFields(line)
		ts.Check(err)
		for _, f := range fields {
			if !slices.Contains(got, f) {
				ts.Fatalf("no field %q in %s", f, line)
			}
		}
	}
}

func TestExitCodeOfAStatus(t *testing.T) {
	for status, want := range map[trust.Status]int{
		trust.Trusted: 0, trust.Untrusted: 3, trust.Unknown: 4, trust.Unsupported: 5, trust.ApikeyRevoked: 6,
		trust.Unavailable: 7, trust.Stale: 7, "ANYTHING ELSE": 1,
	} {
		if got := exitOf(status); got != want {
			t.Errorf("%s exits %d, want %d", status, got, want)
		}
	}
}

func TestTheWorstInputDecides(t *testing.T) {
	for _, tt := range []struct {
		codes []int
		want  int
	}{
		{nil, 1},
		{[]int{0}, 0},
		{[]int{0, 0, 0}, 0},
		{[]int{0, 5}, 5},
		{[]int{5, 1}, 1},
		{[]int{1, 7}, 7},
		{[]int{7, 4}, 4},
		{[]int{4, 6}, 6},
		{[]int{6, 3}, 3},
		{[]int{0, 5, 1, 7, 4, 6, 3}, 3},
		{[]int{0, 99}, 1}, // a code nobody knows is an error, never a success
	} {
		if got := worst(tt.codes); got != tt.want {
			t.Errorf("worst(%v) = %d, want %d", tt.codes, got, tt.want)
		}
	}
}

func TestStaleEvidenceLimitsWhatIsAllowedOnly(t *testing.T) {
	now := time.Unix(1_780_000_000, 0)
	fresh := trust.Head{Time: now.Add(-time.Hour)}
	for _, tt := range []struct {
		what  string
		ev    evidence
		head  trust.Head
		in    trust.Status
		wants trust.Status
	}{
		{"fresh", evidence{}, fresh, trust.Trusted, trust.Trusted},
		{"never synced", evidence{syncErr: errors.New("x")}, trust.Head{}, trust.Unknown, trust.Unavailable},
		{"never synced, somehow trusted", evidence{}, trust.Head{}, trust.Trusted, trust.Unavailable},
		{"14 days", evidence{}, trust.Head{Time: now.Add(-defaultMax)}, trust.Trusted, trust.Trusted},
		{"14 days and a second", evidence{}, trust.Head{Time: now.Add(-defaultMax - time.Second)}, trust.Trusted, trust.Stale},
		{"stale, untrusted", evidence{}, trust.Head{Time: now.Add(-2 * defaultMax)}, trust.Untrusted, trust.Untrusted},
		{"stale, key revoked", evidence{}, trust.Head{Time: now.Add(-2 * defaultMax)}, trust.ApikeyRevoked, trust.ApikeyRevoked},
		{"stale, unsupported", evidence{}, trust.Head{Time: now.Add(-2 * defaultMax)}, trust.Unsupported, trust.Stale},
		{"clock in 1970", evidence{}, trust.Head{Time: now.Add(48 * time.Hour)}, trust.Trusted, trust.Unavailable},
		{"quarantined", evidence{}, trust.Head{Time: fresh.Time, Quarantined: "two stories"}, trust.Trusted, trust.Unavailable},
		{"quarantined, untrusted", evidence{}, trust.Head{Time: fresh.Time, Quarantined: "two stories"}, trust.Untrusted, trust.Untrusted},
		{"root expired", evidence{rootState: trust.RootExpired}, fresh, trust.Trusted, trust.Unavailable},
		{"ledger down, trusted here", evidence{syncErr: errors.New("x")}, fresh, trust.Trusted, trust.Trusted},
		{"ledger down, not here", evidence{syncErr: errors.New("x")}, fresh, trust.Unknown, trust.Unavailable},
		{"shorter limit of the root", evidence{authority: authority{root: trust.Root{Max: time.Minute}}}, fresh, trust.Trusted, trust.Stale},
	} {
		if got, why := tt.ev.limit(tt.in, tt.head, now); got != tt.wants || got != tt.in && why == "" {
			t.Errorf("%s: %s becomes %s (%q), want %s", tt.what, tt.in, got, why, tt.wants)
		}
	}
}

func TestCIMetadataIsAnAllowList(t *testing.T) {
	for k, v := range map[string]string{
		"GITLAB_CI": "true", "CI_JOB_TOKEN": "hunter2", "CI_REPOSITORY_URL": "https://gitlab-ci-token:hunter2@gitlab.example/a/b.git",
		"CI_PROJECT_URL": "https://user:hunter2@gitlab.example/a/b?private_token=hunter2", "CI_COMMIT_SHA": "abc", "CI_PIPELINE_ID": "7",
		"GITHUB_SHA": "", "GITHUB_TOKEN": "hunter2", "GITHUB_ACTIONS": "", "JENKINS_URL": "",
	} {
		t.Setenv(k, v)
	}
	m := ciMetadata()
	for k, v := range m {
		if strings.Contains(v, "hunter2") {
			t.Errorf("%s gives a secret away: %s", k, v)
		}
		if !slices.Contains(trust.MetadataKeys(), k) {
			t.Errorf("%s is not an allowed key", k)
		}
	}
	if m["ci.system"] != "gitlab" || m["vcs.revision"] != "abc" || m["vcs.repository"] != "https://gitlab.example/a/b" {
		t.Errorf("got %v", m)
	}
}
