package testenv

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Daemon is an engine of one test's own, which the test may kill and restart. It has its own containerd, so that
// containers outlive the engine as they do on an appliance; ports are published through docker-proxy only, because
// two engines in one network namespace would undo each other's iptables rules.
type Daemon struct {
	Host string // "unix:///…"

	t          testing.TB
	dir, group string
	bridge     string
	args       []string
	containerd *exec.Cmd
	dockerd    *exec.Cmd
}

// PrivateEngine starts an engine that ends with the test. More flags of dockerd, as "--live-restore", may be given.
func PrivateEngine(t testing.TB, flags ...string) *Daemon {
	t.Helper()
	Engine(t) // with-engine.sh's namespaces are what makes this safe
	dir, err := os.MkdirTemp("", "d")
	must(t, err)
	bridge := addBridge(t)
	d := &Daemon{
		Host: "unix://" + dir + "/d.sock", t: t, dir: dir, bridge: bridge,
		group: os.Getenv("CASTELLAN_TEST_CGROUP") + "/" + filepath.Base(dir),
	}
	d.args = append([]string{
		"--config-file", dir + "/daemon.json", "--containerd", dir + "/c.sock", "--data-root", dir + "/data",
		"--exec-root", dir + "/exec", "--pidfile", dir + "/pid", "--host", d.Host, "--bridge", bridge,
		"--iptables=false", "--ip-masq=false", "--exec-opt", "native.cgroupdriver=cgroupfs",
		"--cgroup-parent", d.group, "--log-level", "warn",
	}, flags...)
	must(t, os.WriteFile(dir+"/daemon.json", []byte("{}"), 0o600))
	must(t, os.WriteFile(dir+"/c.toml", fmt.Appendf(nil, `version = 2
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "%[1]s/c.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "%[1]s/opt"
`, dir), 0o600))
	t.Cleanup(func() {
		d.PowerCut()
		unmountBelow(dir)
		_ = exec.Command("ip", "link", "delete", bridge).Run() // the namespace takes it along otherwise
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("cannot clean up: %v", err)
		}
	})
	d.Start()
	return d
}

// Start starts what is not running and waits until the engine answers.
func (d *Daemon) Start() {
	d.t.Helper()
	if d.containerd == nil {
		d.containerd = d.run("containerd", "--config", d.dir+"/c.toml", "--log-level", "warn")
		Eventually(d.t, time.Minute, "containerd answers", func() bool {
			c, err := net.Dial("unix", d.dir+"/c.sock")
			if err == nil {
				_ = c.Close() // the connection was the answer
			}
			return err == nil
		})
	}
	if d.dockerd == nil {
		d.dockerd = d.run("dockerd", d.args...)
		end := time.Now().Add(time.Minute)
		for !engineAnswers(d.dir + "/d.sock") {
			if time.Now().After(end) {
				text, _ := os.ReadFile(d.dir + "/dockerd.log") // empty says as much
				d.t.Fatalf("the engine does not start:\n%s", text)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// Stop ends the engine in good order, as a service manager does. Without live restore its containers stop.
func (d *Daemon) Stop() { d.end(&d.dockerd, syscall.SIGTERM) }

// Kill ends the engine with SIGKILL. Its containers run on.
func (d *Daemon) Kill() { d.end(&d.dockerd, syscall.SIGKILL) }

// Alive lists the identifiers of the containers that have a process, whatever the engine says of them.
func (d *Daemon) Alive() []string {
	shims := map[string]string{} // container by process
	for _, pid := range processesOf(d.dir) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // gone meanwhile: no shim
		words := strings.Split(string(line), "\x00")
		if i := slices.Index(words, "-id"); i >= 0 && i+1 < len(words) {
			shims[strconv.Itoa(pid)] = words[i+1]
		}
	}
	ids := []string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, path := range stats {
		text, _ := os.ReadFile(path)
		_, after, _ := strings.Cut(string(text), ") ") // the name before it may hold anything
		if f := strings.Fields(after); len(f) > 1 && f[0] != "Z" && shims[f[1]] != "" {
			ids = append(ids, shims[f[1]])
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// KillBeforeNoting kills the engine as if in the moment between the first process of a container, which must run, and the
// engine's note of it: after its return it believes that the container never ran.
func (d *Daemon) KillBeforeNoting(id string) {
	d.t.Helper()
	d.Kill()
	path := d.dir + "/data/containers/" + id + "/config.v2.json"
	text, err := os.ReadFile(path)
	must(d.t, err)
	var all, state map[string]json.RawMessage
	must(d.t, json.Unmarshal(text, &all))
	must(d.t, json.Unmarshal(all["State"], &state))
	if string(state["Running"]) != "true" {
		d.t.Fatalf("the engine does not know that %s runs: %s", id, all["State"])
	}
	state["Running"], state["Pid"] = json.RawMessage("false"), json.RawMessage("0")
	all["State"], err = json.Marshal(state)
	must(d.t, err)
	text, err = json.Marshal(all)
	must(d.t, err)
	must(d.t, os.WriteFile(path, text, 0o600))
}

// PowerCut kills the engine, containerd and every container at once.
func (d *Daemon) PowerCut() {
	d.t.Helper()
	d.end(&d.dockerd, syscall.SIGKILL)
	d.end(&d.containerd, syscall.SIGKILL)
	Eventually(d.t, 20*time.Second, "every process of the engine is gone", func() bool {
		pids := append(processesOf(d.dir), membersOf(d.group)...)
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is as good
		}
		return len(pids) == 0
	})
}

func (d *Daemon) run(program string, args ...string) *exec.Cmd {
	d.t.Helper()
	log, err := os.OpenFile(d.dir+"/"+program+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(d.t, err)
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(d.t, cmd.Start())
	return cmd
}

func (d *Daemon) end(cmd **exec.Cmd, sig syscall.Signal) {
	if *cmd == nil {
		return
	}
	_ = (*cmd).Process.Signal(sig) // gone already is as good
	_ = (*cmd).Wait()              // its exit code is of no interest
	*cmd = nil
}

// addBridge makes a bridge with an address of its own; a bridge without an explicit MAC address changes it with its
// ports, and containers lose their gateway.
func addBridge(t testing.TB) string {
	t.Helper()
	for i := range 200 {
		dev := "cst" + strconv.Itoa(i)
		if exec.Command("ip", "link", "add", "name", dev, "address", fmt.Sprintf("02:ca:57:00:00:%02x", i), "type", "bridge").Run() != nil {
			continue // taken by another test
		}
		for _, args := range [][]string{
			{"addr", "add", fmt.Sprintf("172.30.%d.1/24", i), "dev", dev}, {"link", "set", dev, "up"},
		} {
			if text, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
				t.Fatalf("cannot make a bridge: %v: %s", err, text)
			}
		}
		return dev
	}
	t.Fatal("cannot make a bridge: 200 exist")
	return ""
}

// processesOf lists the processes whose command line names dir: shims and proxies.
func processesOf(dir string) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc") // always there
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline") // gone meanwhile: not a process of ours
		if strings.Contains(string(line), dir+"/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// membersOf lists the processes in a control group and below, of either version.
func membersOf(group string) []int {
	var pids []int
	roots, _ := filepath.Glob("/sys/fs/cgroup/*/" + group) // the pattern is good
	for _, root := range append(roots, "/sys/fs/cgroup"+group) {
		_ = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Base(path) != "cgroup.procs" {
				return nil // a group that went away has no members
			}
			text, _ := os.ReadFile(path)
			for line := range strings.FieldsSeq(string(text)) {
				if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

func unmountBelow(dir string) {
	text, _ := os.ReadFile("/proc/self/mountinfo") // always there
	var points []string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			points = append(points, f[4])
		}
	}
	for _, p := range slices.Backward(points) {
		_ = syscall.Unmount(p, syscall.MNT_DETACH) // RemoveAll reports what stays
	}
}
