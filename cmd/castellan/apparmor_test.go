package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAProfileIsRenamedToItsAddon(t *testing.T) {
	const good = "#include <tunables/global>\n\nprofile example flags=(attach_disconnected) {\n  /data/** rw,\n}\n"
	name, got, err := renameProfile("core_ssh", good)
	if err != nil || !strings.HasPrefix(name, "core_ssh.") || !strings.Contains(got, "\nprofile "+name+" flags=(") || strings.Contains(got, "example") {
		t.Errorf("%q, %v\n%s", name, err, got)
	}
	if name, got, err := renameProfile("core_ssh", `profile "a" {`); err != nil || got != "profile "+name+" {" {
		t.Errorf("%q, %v", got, err)
	}
	for name, bad := range map[string]string{"none": "/data/** rw,\n", "attached": "profile x /usr/sbin/sshd {\n}\n",
		"attached by a variable": "profile x @{exec_path} flags=(complain) {\n}\n", "attached in the next line": "profile x\n  \"/usr/sbin/sshd\" {\n}\n", "two": good + good, "large": good + strings.Repeat("#", maxProfile)} {
		if _, _, err := renameProfile("core_ssh", bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// armored is a kernel with AppArmor and a parser for it, which writes down what it is called with.
func armored(t *testing.T) (p *profiles, calls func() string) {
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	parser := "#!/bin/sh\ncase $(cat \"$3\") in *wrong*) echo no such rule >&2; exit 1;; esac\necho \"$@\" >>" + log + `
if [ "$1" = --names ]; then echo a warning >&2; grep -o 'profile [a-z0-9_.-]*\|^/[a-z/]*' "$3" | sed 's/profile //'; fi
`
	if err := os.WriteFile(filepath.Join(dir, "apparmor_parser"), []byte(parser), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return &profiles{dir: filepath.Join(dir, "ours"), security: dir}, func() string {
		b, _ := os.ReadFile(log) // none before the first call
		return string(b)
	}
}

func TestProfilesAreLoadedOnceForEachContent(t *testing.T) {
	p, calls := armored(t)
	names := map[string]bool{}
	for _, text := range []string{"profile x {\n}\n", "profile x {\n}\n", "profile x {\n  /a r,\n}\n", "profile x {\n}\n"} {
		name, err := p.load(t.Context(), "core_ssh", text)
		if err != nil || name == "" {
			t.Fatal(name, err)
		}
		names[name] = true
	}
	if len(names) != 2 || strings.Count(calls(), "--replace") != 2 {
		t.Errorf("%v, loaded: %s", names, calls())
	}
	for name := range names { // the next version is no new text of the profile that runs
		b, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil || !strings.HasPrefix(string(b), "profile "+name+" {") || strings.Count(calls(), "--replace --skip-cache "+filepath.Join(p.dir, name)) != 1 {
			t.Errorf("%s holds %q, %v; loaded: %s", name, b, err, calls())
		}
	}
	if name, err := p.load(t.Context(), "core_ssh", "profile x {\n  wrong\n}\n"); name != "" || err == nil || !strings.Contains(err.Error(), "no such rule") {
		t.Errorf("a wrong profile: %q, %v", name, err)
	}
	for _, more := range []string{"} profile docker-default {\n}\n", "}\n/usr/bin/dockerd {\n}\n"} {
		if name, err := p.load(t.Context(), "core_ssh", "profile x {\n"+more); name != "" || err == nil || !strings.Contains(err.Error(), "docker") {
			t.Errorf("a second profile: %q, %v", name, err)
		}
	}
	if files, _ := os.ReadDir(p.dir); len(files) != 2 || strings.Count(calls(), "--replace") != 2 {
		t.Errorf("a second profile was loaded: %s, %v", calls(), files)
	}
	p.security = filepath.Join(p.dir, "absent")
	if name, err := p.load(t.Context(), "core_ssh", "profile x {\n}\n"); name != "" || err != nil {
		t.Errorf("a kernel without AppArmor: %q, %v", name, err)
	}
}

func TestProfilesOfNoVersionAreUnloadedAndDeleted(t *testing.T) {
	p, calls := armored(t)
	texts := []string{"profile x {\n  /a r,\n}\n", "profile x {\n  /b r,\n}\n", "profile x {\n  /c r,\n}\n"}
	var names []string
	for _, slug := range []string{"core_ssh", "core_ssh.b"} {
		for _, text := range texts {
			name, err := p.load(t.Context(), slug, text)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
	}
	write(t, filepath.Join(p.security, "profiles"), "docker-default (enforce)\n"+names[0]+" (enforce)\n"+names[1]+" (enforce)\n")
	left := func() (out []string) {
		files, err := os.ReadDir(p.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			out = append(out, f.Name())
		}
		return out
	}
	if err := p.drop(t.Context(), "core_ssh", names[1], texts[2:]); err != nil {
		t.Fatal(err)
	}
	if got := left(); len(got) != 5 || slices.Contains(got, names[0]) || strings.Count(calls(), "--remove") != 1 {
		t.Errorf("without the first: %v, %s", got, calls())
	}
	if err := p.drop(t.Context(), "core_ssh", "", nil); err != nil {
		t.Fatal(err)
	}
	if got := left(); len(got) != 3 || slices.ContainsFunc(names[:3], func(n string) bool { return slices.Contains(got, n) }) || strings.Count(calls(), "--remove") != 2 {
		t.Errorf("gone: %v of %v, %s", got, names, calls())
	}
	if name, err := p.load(t.Context(), "core_ssh", texts[0]); err != nil || name != names[0] || strings.Count(calls(), "--replace") != 7 {
		t.Errorf("installed again: %q, %v, %s", name, err, calls())
	}
	t.Setenv("PATH", t.TempDir())
	if err := p.drop(t.Context(), "core_ssh", "", nil); err != nil || len(left()) != 3 {
		t.Errorf("without a parser: %v, %v", err, left())
	}
}

func TestProfilesAreLoadedAgainAfterABoot(t *testing.T) {
	p, calls := armored(t)
	for _, text := range []string{"profile x {\n  /a r,\n}\n", "profile x {\n  /b r,\n}\n"} {
		if _, err := p.load(t.Context(), "core_ssh", text); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(p.dir, "core_evil."+strings.Repeat("0", 32)), "profile docker-default {\n}\n") // a cut left it unchecked
	known := kernelName("core_ssh", "profile x {\n  /a r,\n}\n")
	write(t, filepath.Join(p.security, "profiles"), known+" (enforce)\n")
	again := &profiles{dir: p.dir, security: p.security}
	again.restore(t.Context(), slog.New(slog.DiscardHandler))
	if got := strings.Count(calls(), "--replace"); got != 3 {
		t.Errorf("loaded %d times, want the two and then the one that the kernel lacks: %s", got, calls())
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
