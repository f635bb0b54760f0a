package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/system"
)

// inside runs the sample app's verb in a container and returns what it wrote; ok is false when it ended with an error.
func (h *house) inside(c supervisor.Container, verb, arg string) (out string, ok bool) {
	h.t.Helper()
	exit, text, err := h.Exec(h.t.Context(), c.ID, []string{"/app", verb, arg})
	h.must(err)
	return string(text), exit == 0
}

// TestRightsAreWhatTheContainerSees looks from inside: what the engine was told is one thing, what it did another.
func TestRightsAreWhatTheContainerSees(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	t.Cleanup(func() { _ = h.docker().NetworkRemove(h.t.Context(), "rights") })
	img, permit := h.pulled(testenv.Build{}, "core")
	plain := h.running(permit, img, "c1", spec.Container{Network: "rights"})
	c := h.running(permit, img, "c2", spec.Container{
		Network: "rights", Hostname: "zigbee", Domain: "local.hass.io", Aliases: []string{"zigbee", "stick"},
		ExtraHosts: map[string]string{"supervisor": "172.30.32.2", "hassio": "172.30.32.2", "six": "fd00::1"},
		Tmpfs:      []string{"/tmp"}, PIDMode: "host", IPCMode: "host",
		DeviceRules: []string{"c 189:* rwm", "c 204:* rwm"}, OOMScoreAdj: 200, OpenStdin: true, Seccomp: "unconfined", AppArmor: "no-such-profile",
		Ulimits: []spec.Ulimit{{Name: "nofile", Soft: 1000, Hard: 2000}, {Name: "memlock", Soft: 1 << 20, Hard: 1 << 20}},
	})
	uts := h.running(permit, img, "c3", spec.Container{UTSMode: "host"})

	for file, want := range map[string]string{
		"/proc/sys/kernel/hostname":   "zigbee\n",
		"/proc/sys/kernel/domainname": "local.hass.io\n",
		"/etc/hosts":                  "172.30.32.2\thassio\nfd00::1\tsix\n172.30.32.2\tsupervisor\n",
		"/proc/self/mountinfo":        " /tmp rw,nosuid,nodev,noexec,relatime - tmpfs",
		"/proc/self/limits":           "Max locked memory         1048576              1048576",
		"/proc/self/status":           "Seccomp:\t0\n",
	} {
		if out, ok := h.inside(c, "read", file); !ok || !strings.Contains(out, want) {
			t.Errorf("%s: want %q in %q", file, want, out)
		}
	}
	if out, _ := h.inside(plain, "read", "/proc/self/status"); !strings.Contains(out, "Seccomp:\t2\n") {
		t.Error("the engine's seccomp profile is off without being asked")
	}
	if out, _ := h.inside(plain, "read", "/proc/self/limits"); strings.Contains(out, "1048576              1048576") {
		t.Error("limits of another container")
	}
	if out, ok := h.inside(plain, "lookup", "stick"); !ok || strings.TrimSpace(out) != c.IP {
		t.Errorf("alias leads to %q, want %s", out, c.IP)
	}
	for _, ns := range []struct {
		name string
		c    supervisor.Container
	}{{"pid", c}, {"ipc", c}, {"uts", uts}} {
		want, err := os.Readlink("/proc/self/ns/" + ns.name)
		h.must(err)
		out, _ := h.inside(ns.c, "read", "/proc/self/ns/"+ns.name)
		own, _ := h.inside(plain, "read", "/proc/self/ns/"+ns.name)
		if out != want || own == want {
			t.Errorf("%s namespace %q, the host's is %q, that of another container %q", ns.name, out, want, own)
		}
	}

	r, err := h.docker().ContainerInspect(t.Context(), c.ID)
	h.must(err)
	if oom, _ := os.ReadFile("/proc/" + strconv.Itoa(r.State.Pid) + "/oom_score_adj"); string(oom) != "200\n" {
		t.Errorf("oom_score_adj %q", oom)
	}
	if !slices.Equal(r.HostConfig.DeviceCgroupRules, []string{"c 189:* rwm", "c 204:* rwm"}) || !r.Config.OpenStdin {
		t.Errorf("rules %q, stdin %v", r.HostConfig.DeviceCgroupRules, r.Config.OpenStdin)
	}
	if list := cgroupFile(r.State.Pid, "devices", "devices.list"); list != "" && !strings.Contains(list, "c 189:* rwm") {
		t.Errorf("device rules of the kernel: %q", list)
	}
}

// TestAppArmorIsLeftOutWithoutAppArmor: an engine refuses a container with a profile that its kernel does not know.
func TestAppArmorIsLeftOutWithoutAppArmor(t *testing.T) {
	with := system.Info{SecurityOptions: []string{"name=seccomp,profile=default", "name=apparmor"}}
	without := system.Info{SecurityOptions: []string{"name=seccomp,profile=default"}}
	for profile, want := range map[string][]string{"": nil, "unconfined": {"apparmor=unconfined"}, "core_ssh": {"apparmor=core_ssh"}} {
		if got := appArmor(with, profile); !slices.Equal(got, want) {
			t.Errorf("%q: %q", profile, got)
		}
		if got := appArmor(without, profile); got != nil {
			t.Errorf("%q without AppArmor: %q", profile, got)
		}
	}
}

func TestMountsReachWhereTheyShould(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	dir := t.TempDir()
	sh := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	sh("mount", "-t", "tmpfs", "tmpfs", dir)
	sh("mount", "--make-shared", dir)
	t.Cleanup(func() { _ = exec.Command("umount", "-Rl", dir).Run() }) // the namespace takes it along otherwise
	late, below := filepath.Join(dir, "late"), filepath.Join(dir, "below")
	h.must(os.Mkdir(late, 0o755))
	h.must(os.Mkdir(below, 0o755))
	sh("mount", "-t", "tmpfs", "tmpfs", below)

	img, permit := h.pulled(testenv.Build{}, "core")
	c := h.running(permit, img, "c1", spec.Container{Mounts: []spec.Mount{
		{Source: dir, Target: "/media", Propagation: "rslave"}, {Source: dir, Target: "/own"},
		{Source: dir, Target: "/shallow", ReadOnly: true, NonRecursive: true},
	}})
	sh("mount", "-t", "tmpfs", "tmpfs", late)
	h.must(os.WriteFile(filepath.Join(late, "film"), []byte("x"), 0o644))
	if _, ok := h.inside(c, "read", "/media/late/film"); !ok {
		t.Error("what was mounted later is not seen")
	}
	if _, ok := h.inside(c, "read", "/own/late/film"); ok {
		t.Error("what was mounted later is seen without being asked for")
	}
	if _, ok := h.inside(c, "write", "/shallow/file"); ok {
		t.Error("a read-only folder was written")
	}
	if out, ok := h.inside(c, "write", "/shallow/below/file"); !ok {
		t.Errorf("read-only reached below: %s", out)
	}
	r, err := h.docker().ContainerInspect(t.Context(), c.ID)
	h.must(err)
	if o := r.HostConfig.Mounts[0].BindOptions; o == nil || o.Propagation != mount.PropagationRSlave {
		t.Errorf("options of the first mount: %+v", o)
	}
	// On a host whose mounts are private, the owner hears what to do.
	private := h.create(permit, img, "c2", spec.Container{Mounts: []spec.Mount{{Source: t.TempDir(), Target: "/media", Propagation: "rslave"}}})
	if err := h.Start(t.Context(), private.ID); err == nil || !strings.Contains(err.Error(), "mount --make-shared") {
		t.Errorf("private mount: %v", err)
	}
	h.must(h.Stop(t.Context(), c.ID, time.Second))
}

func TestRightsThatAreRefused(t *testing.T) {
	for want, c := range map[string]spec.Container{
		"aliases":                 {Aliases: []string{"a"}, Network: "host"},
		`alias "a b"`:             {Aliases: []string{"a b"}, Network: "hassio"},
		`"host-gateway"`:          {ExtraHosts: map[string]string{"a": "host-gateway"}},
		`extra host "a:1.2.3.4"`:  {ExtraHosts: map[string]string{"a:1.2.3.4": "5.6.7.8"}},
		"below /":                 {Tmpfs: []string{"/"}},
		"want an absolute path":   {Tmpfs: []string{"tmp"}},
		"both \"/a\" and a tmpfs": {Tmpfs: []string{"/tmp/"}, Mounts: []spec.Mount{{Source: "/a", Target: "/tmp"}}},
		"both \"/a\" and \"/b\"":  {Mounts: []spec.Mount{{Source: "/a", Target: "/x"}, {Source: "/b", Target: "/x"}}},
		"are for folders":         {Mounts: []spec.Mount{{Source: "vol", Target: "/x", Propagation: "rslave"}}},
		`propagation "shared"`:    {Mounts: []spec.Mount{{Source: "/a", Target: "/x", Propagation: "shared"}}},
		"pid_mode":                {PIDMode: "container:abc"},
		"ipc_mode":                {IPCMode: "shareable"},
		"uts_mode":                {UTSMode: "private"},
		"the host's own name":     {UTSMode: "host", Hostname: "a"},
		`device rule "c 189:*"`:   {DeviceRules: []string{"c 189:*"}},
		`device rule "c 1:1 x"`:   {DeviceRules: []string{"c 1:1 x"}},
		`ulimit "files"`:          {Ulimits: []spec.Ulimit{{Name: "files"}}},
		"soft 3 and hard 2":       {Ulimits: []spec.Ulimit{{Name: "nofile", Soft: 3, Hard: 2}}},
		"soft -1 and hard 2":      {Ulimits: []spec.Ulimit{{Name: "nofile", Soft: -1, Hard: 2}}},
		"oom_score_adj 1001":      {OOMScoreAdj: 1001},
		`seccomp "{}"`:            {Seccomp: "{}"},
		`apparmor "a b"`:          {AppArmor: "a b"},
	} {
		if _, _, err := translate(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// cgroupFile reads a file of a process's control group of version 1; "" on version 2.
func cgroupFile(pid int, controller, file string) string {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup") // "" says as much
	for line := range strings.Lines(string(text)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 && f[1] == controller {
			list, _ := os.ReadFile("/sys/fs/cgroup/" + controller + f[2] + "/" + file)
			return string(list)
		}
	}
	return ""
}
