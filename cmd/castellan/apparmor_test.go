package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAProfileIsRenamedToItsAddon(t *testing.T) {
	const good = "#include <tunables/global>\n\nprofile example flags=(attach_disconnected) {\n  /data/** rw,\n}\n"
	got, err := renameProfile("core_ssh", good)
	if err != nil || !strings.Contains(got, "\nprofile core_ssh flags=(") || strings.Contains(got, "example") {
		t.Errorf("%v\n%s", err, got)
	}
	if got, err := renameProfile("core_ssh", `profile "a" {`); err != nil || got != "profile core_ssh {" {
		t.Errorf("%q, %v", got, err)
	}
	for name, bad := range map[string]string{"none": "/data/** rw,\n", "two": good + good, "large": good + strings.Repeat("#", maxProfile)} {
		if _, err := renameProfile("core_ssh", bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestProfilesAreLoadedOnceForEachContent(t *testing.T) {
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	parser := "#!/bin/sh\ncase $(cat \"$3\") in *wrong*) echo no such rule >&2; exit 1;; esac\necho \"$@\" >>" + calls + `
if [ "$1" = --names ]; then echo a warning >&2; grep -o 'profile [a-z_-]*\|^/[a-z/]*' "$3" | sed 's/profile //'; fi
`
	if err := os.WriteFile(filepath.Join(dir, "apparmor_parser"), []byte(parser), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	p := profiles{dir: filepath.Join(dir, "profiles"), security: dir}
	for range 3 {
		if ok, err := p.load(t.Context(), "core_ssh", "profile x {\n}\n"); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if ok, err := p.load(t.Context(), "core_ssh", "profile x {\n  /a r,\n}\n"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	b, err := os.ReadFile(calls)
	if err != nil || strings.Count(string(b), "--replace") != 2 {
		t.Errorf("loaded: %s, %v", b, err)
	}
	if ok, err := p.load(t.Context(), "core_ssh", "profile x {\n  wrong\n}\n"); ok || err == nil || !strings.Contains(err.Error(), "no such rule") {
		t.Errorf("a wrong profile: %v, %v", ok, err)
	}
	for _, more := range []string{"} profile docker-default {\n}\n", "}\n/usr/bin/dockerd {\n}\n"} {
		if ok, err := p.load(t.Context(), "core_ssh", "profile x {\n"+more); ok || err == nil || !strings.Contains(err.Error(), "docker") {
			t.Errorf("a second profile: %v, %v", ok, err)
		}
	}
	if b, _ := os.ReadFile(calls); strings.Count(string(b), "--replace") != 2 {
		t.Errorf("a second profile was loaded: %s", b)
	}
	p.security = filepath.Join(dir, "absent")
	if ok, err := p.load(t.Context(), "core_ssh", "profile x {\n}\n"); ok || err != nil {
		t.Errorf("a kernel without AppArmor: %v, %v", ok, err)
	}
}

func TestMajorsOfTheKernel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "devices")
	if err := os.WriteFile(path, []byte("Character devices:\n  1 mem\n243 hidraw\nx y\n\nBlock devices:\n  8 sd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := majors(path)
	if len(got) != 3 || got["hidraw"] != 243 || got["mem"] != 1 || got["sd"] != 8 {
		t.Errorf("%v", got)
	}
	if got := majors(path + ".absent"); got != nil {
		t.Errorf("%v", got)
	}
}

func TestADeviceIsOneThatIsThere(t *testing.T) {
	h := addonHost{}
	for path, want := range map[string]bool{"/dev/null": true, "/dev": false, "/dev/absent": false, "/etc/hostname": false} {
		if h.Device(path, "") != want {
			t.Errorf("%s: want %v", path, want)
		}
	}
	if !h.Device("/dev/null", "mem") || h.Device("/dev/null", "tty") || h.Device("/dev/null", "../../dev") {
		t.Error("the subsystem is not looked at")
	}
}
