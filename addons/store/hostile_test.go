package store

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each case puts something hostile beside two good add-ons; it is left out by its reason, and they stay as they are.
func TestWhatIsHostileIsLeftOutByItsReason(t *testing.T) {
	w := newWorld(t)
	w.cfg.Limits.File = 3 << 20
	s := w.open()
	r := w.follow(s, "r", sample("0"))
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(addon("stolen", "1")), 0o600); err != nil {
		t.Fatal(err)
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	long := strings.Repeat("n", 256)
	deep := strings.Repeat("d/", 17)
	for i, c := range []struct {
		name         string
		files        []string
		path, reason string
		silent       bool
	}{
		{"link to a file outside", []string{"evil/config.yaml", "-> " + secret}, "evil/config.yaml", "never followed", false},
		{"link to a folder outside", []string{"evil", "-> " + filepath.Dir(secret)}, "evil", "never followed", false},
		{"link upwards", []string{"one/loop", "-> .."}, "one/loop", "never followed", false},
		{"linked icon", []string{"one/logo.png", "-> icon.png"}, "one/logo.png", "never followed", false},
		{"huge file", []string{"one/blob", strings.Repeat("x", 4<<20)}, "one/blob", "the limit is", false},
		{"huge configuration", []string{"evil/config.yaml", addon("evil", "1") + strings.Repeat("#", 1<<20)}, "evil/config.yaml", "larger than", false},
		{"control character in a name", []string{"e\x1b[31m/config.yaml", addon("evil", "1")}, "./e\ufffd[31m", "control", false},
		{"newline in a name", []string{"e\nvil/config.yaml", addon("evil", "1")}, "./e vil", "control", false},
		{"name is not UTF-8", []string{"e\xff/config.yaml", addon("evil", "1")}, "./e\ufffd", "UTF-8", false},
		{"backslash in a name", []string{`..\evil/config.yaml`, addon("evil", "1")}, `./..\evil`, "plain", false},
		{"long name", []string{long + "/config.yaml", addon("evil", "1")}, "./" + long, "longer", false},
		{"deep folders", []string{deep + "config.yaml", addon("evil", "1")}, strings.TrimSuffix(deep, "/"), "deep", false},
		{"YAML bomb", []string{"evil/config.yaml", bomb + addon("evil", "1")}, "evil/config.yaml", "left out", false},
		{"a thousand levels", []string{"evil/config.yaml", addon("evil", "1") + "options: " + strings.Repeat("[", 1000)}, "evil/config.yaml", "left out", false},
		{"NUL in the configuration", []string{"evil/config.yaml", addon("evil", "1") + "\x00"}, "evil/config.yaml", "left out", false},
		{"no YAML", []string{"evil/config.json", "{]"}, "evil/config.json", "left out", false},
		{"empty", []string{"evil/config.yaml", ""}, "evil/config.yaml", "left out", false},
		{"slug with a traversal", []string{"evil/config.yaml", addon("../evil", "1")}, "evil/config.yaml", "left out", false},
		{"slug too long", []string{"evil/config.yaml", addon(strings.Repeat("e", 72), "1")}, "evil/config.yaml", "the limit is 80", false},
		{"version without end", []string{"evil/config.yaml", addon("evil", strings.Repeat("1", 200))}, "evil/config.yaml", "left out", false},
		{"slug taken", []string{"zzz/config.yaml", addon("one", "666")}, "zzz/config.yaml", "one/config.yaml", false},
		{"icon is a text", []string{"one/logo.png", "<svg onload=alert(1)>"}, "one/logo.png", "not a PNG", false},
		{"icon is cut off", []string{"one/logo.png", picture(8, 8)[:20]}, "one/logo.png", "not a PNG", false},
		{"icon is a wall", []string{"one/logo.png", picture(9000, 1)}, "one/logo.png", "9000×1", false},
		{"icon is large", []string{"one/logo.png", picture(8, 8) + strings.Repeat("x", maxImage)}, "one/logo.png", "the limit is", false},
		{"text is large", []string{"one/CHANGELOG.md", strings.Repeat("x", maxText+1)}, "one/CHANGELOG.md", "the limit is", false},
		{"folder in place of a text", []string{"one/README.md/x", "x"}, "", "", true},
		{"rootfs", []string{"one/rootfs/config.yaml", addon("evil", "1")}, "", "", true},
		{"dot folder", []string{".github/ISSUE_TEMPLATE/config.yml", "blank_issues_enabled: false"}, "", "", true},
		{"second file of one folder", []string{"one/config.json", `{"slug": "evil"}`}, "", "", true},
	} {
		version := fmt.Sprint(i + 1)
		w.commit("r", with(sample(version), c.files...))
		if err := s.Refresh(t.Context(), r.Slug); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := slugs(s); got != "one@"+version+" two@2" {
			t.Errorf("%s: entries %q", c.name, got)
		}
		list := s.Repositories()[0].Problems
		if c.silent && len(list) > 0 || !c.silent && !problem(list, clean(c.path), c.reason) {
			t.Errorf("%s: problems %q, want one of %q with %q", c.name, list, c.path, c.reason)
		}
		if data, err := s.Asset(r.Slug+"_one", Icon); err != nil || string(data) != picture(128, 128) {
			t.Errorf("%s: the good icon: %v", c.name, err)
		}
		err := filepath.WalkDir(s.path("copies"), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !d.Type().IsRegular() {
				t.Errorf("%s: %s is a %v", c.name, path, d.Type())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestTreesThatGitItselfWouldRefuse(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	r := w.follow(s, "r", sample("0"))
	dir := filepath.Join(w.dir, "r")
	for i, c := range []struct {
		entries func(blob, folder string) [][2]string
		reason  string
	}{
		{func(b, f string) [][2]string { return [][2]string{{"40000 ..", f}} }, "plain"},
		{func(b, f string) [][2]string { return [][2]string{{"40000 .", f}} }, "plain"},
		{func(b, f string) [][2]string { return [][2]string{{"100644 ../../evil", b}} }, "plain"},
		{func(b, f string) [][2]string { return [][2]string{{"100644 /etc/evil", b}} }, "plain"},
		{func(b, f string) [][2]string { return [][2]string{{"40000 .git", f}} }, "git's own"},
		{func(b, f string) [][2]string { return [][2]string{{"40000 .GIT", f}} }, "git's own"},
		{func(b, f string) [][2]string { return [][2]string{{"100644 twice", b}, {"100644 twice", b}} }, "twice"},
		{func(b, f string) [][2]string { return [][2]string{{"100644 twice", b}, {"40000 twice", f}} }, "twice"},
		{func(b, f string) [][2]string { return [][2]string{{"10644 device", b}} }, ""},
		{func(b, f string) [][2]string { return [][2]string{{"40000 x", b}} }, ""},
		{func(b, f string) [][2]string { return [][2]string{{"100644 x", f}} }, "not a file"},
	} {
		version := fmt.Sprint(i + 1)
		c0 := w.commit("r", sample(version))
		var entries [][2]string
		for line := range strings.Lines(w.git(dir, nil, "ls-tree", c0)) {
			f := strings.Fields(line)
			entries = append(entries, [2]string{strings.TrimPrefix(f[0], "0") + " " + f[3], f[2]})
		}
		blob := strings.TrimSpace(w.git(dir, []byte(addon("evil", "1")), "hash-object", "-w", "--stdin"))
		folder := w.raw("r", [2]string{"100644 config.yaml", blob})
		w.point(dir, w.raw("r", append(entries, c.entries(blob, folder)...)...))
		err := s.Refresh(t.Context(), r.Slug)
		if list := s.Repositories()[0].Problems; err == nil && !(len(list) > 0 && strings.Contains(list[0].Reason, c.reason)) {
			t.Errorf("case %d: problems %q, want %q", i, list, c.reason)
		}
		if got := slugs(s); err == nil && got != "one@"+version+" two@2" || err != nil && strings.Contains(got, "evil") {
			t.Errorf("case %d: entries %q, %v", i, got, err)
		}
		if _, err := os.Stat(filepath.Join(w.state, "evil")); err == nil {
			t.Errorf("case %d: a file outside the copy", i)
		}
	}
}

func TestRepositoriesOverALimitAreRefused(t *testing.T) {
	zeros := strings.Repeat("\x00", 3<<20) // a few kilobytes in a pack
	many := sample("1")
	for i := range 60 {
		many[fmt.Sprintf("one/%d", i)] = "x"
	}
	for name, c := range map[string]struct {
		limits Limits
		make   func(w *world)
		reason string
	}{
		"one object":  {Limits{Object: 1 << 20}, func(w *world) { w.commit("r", with(sample("1"), "z", zeros)) }, "a file of 3145728 bytes"},
		"all objects": {Limits{Total: 5 << 20}, func(w *world) { w.commit("r", with(sample("1"), "z", zeros, "y", zeros+"y")) }, "when unpacked"},
		"differences": {Limits{Object: 3<<20 + 1}, func(w *world) {
			w.commit("r", with(sample("1"), "z", zeros, "y", zeros+"yyy"))
			w.git(w.dir+"/r", nil, "repack", "-adfq")
		}, "a file of 3145731 bytes"},
		"files":              {Limits{Files: 50}, func(w *world) { w.commit("r", many) }, "more than 50 files"},
		"objects":            {Limits{Objects: 10}, func(w *world) { w.commit("r", many); w.commit("r", with(many, "one/0", "y", "one/1", "z")) }, "objects, the limit is 10"},
		"copies of one file": {Limits{Total: 5 << 20, File: 4 << 20}, func(w *world) { w.commit("r", with(sample("1"), "z", zeros, "y", zeros, "x", zeros)) }, "in all its files"},
		"copies of one folder": {Limits{}, func(w *world) {
			c := w.commit("r", sample("1"))
			dir := w.dir + "/r"
			tree := strings.TrimSpace(w.git(dir, nil, "rev-parse", c+"^{tree}"))
			for range 10 { // ten billion files in eleven small objects
				var list strings.Builder
				for i := range 10 {
					fmt.Fprintf(&list, "040000 tree %s\td%d\n", tree, i)
				}
				tree = strings.TrimSpace(w.git(dir, []byte(list.String()), "mktree"))
			}
			w.point(dir, tree)
		}, "files and folders"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.limits.Stall = 20 * time.Second
			w.cfg.Limits = c.limits
			s := w.open()
			c.make(w)
			_, err := s.Add(t.Context(), w.url("r"), "")
			if !errors.Is(err, ErrHostile) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got %v, want %q", err, c.reason)
			}
			if n := len(s.Repositories()); n != 0 {
				t.Errorf("%d repositories", n)
			}
		})
	}
}

func TestSubmodules(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	inner := w.commit("inner", map[string]string{"config.yaml": addon("inner", "1")})
	mod := func(path, url string) string {
		return fmt.Sprintf("[submodule %q]\n\tpath = %s\n\turl = %s\n", path, path, url)
	}
	sub := w.commit("sub", map[string]string{"config.yaml": addon("sub", "1"), ".gitmodules": mod("deeper", "../inner"), "deeper": "module " + inner})
	r := w.follow(s, "r", with(sample("1"), ".gitmodules", mod("m/sub", w.url("sub")), "m/sub", "module "+sub))
	if got := slugs(s); got != "inner@1 one@1 sub@1 two@2" {
		t.Errorf("entries %q", got)
	}
	for i, c := range []struct{ modules, at, reason string }{
		{mod("x", "file://"+w.dir+"/sub"), sub, "not git over https"},
		{mod("x", w.dir+"/sub"), sub, "not git over https"},
		{mod("x", "ext::sh -c id"), sub, "not an address"},
		{mod("x", "-u./evil"), sub, "not git over https"},
		{mod("x", "ssh://git@example.org/x"), sub, "credentials"},
		{mod("../x", w.url("sub")), sub, "does not say where"},
		{mod("y", w.url("sub")), sub, "does not say where"},
		{"[submodule", sub, "does not say where"},
		{mod("x", w.url("nowhere")), sub, "does not exist"},
		{mod("x", w.url("sub")), strings.Repeat("1", 40), "not our ref"},
	} {
		version := fmt.Sprint(i + 2)
		w.commit("r", with(sample(version), ".gitmodules", c.modules, "x", "module "+c.at))
		if err := s.Refresh(t.Context(), ""); err != nil {
			t.Errorf("%q: %v", c.modules, err)
		}
		if got := slugs(s); got != "one@"+version+" two@2" {
			t.Errorf("%q: entries %q", c.modules, got)
		}
		if list := s.Repositories()[0].Problems; !problem(list, "x", c.reason) && c.reason != "does not exist" || len(list) == 0 {
			t.Errorf("%q: problems %q, want %q", c.modules, list, c.reason)
		}
	}
	// A submodule's server that can't be reached keeps the whole as it was, or its add-ons would vanish meanwhile.
	before := slugs(s)
	w.commit("r", with(sample("99"), ".gitmodules", mod("x", w.url("sub")), "x", "module "+sub))
	w.fail(func(rw http.ResponseWriter, req *http.Request, next http.Handler) {
		if strings.HasPrefix(req.URL.Path, "/sub/") {
			http.Error(rw, "later", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(rw, req)
	})
	if err := s.Refresh(t.Context(), r.Slug); !errors.Is(err, ErrFetch) || !strings.Contains(err.Error(), "submodule x") || slugs(s) != before {
		t.Errorf("got %v, entries %q, want %q", err, slugs(s), before)
	}
}

func TestLocalFolder(t *testing.T) {
	w := newWorld(t)
	w.cfg.Builtins, w.cfg.Local = []string{"local"}, t.TempDir()
	write := func(name, content string) {
		t.Helper()
		name = filepath.Join(w.cfg.Local, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	s := w.open()
	if got := s.Repositories(); len(got) != 1 || got[0].Name != "Local apps" || got[0].LastError != "" || !got[0].Builtin {
		t.Errorf("an empty folder: %+v", got)
	}
	write("good/config.yaml", addon("good", "1"))
	write("outside/config.yaml", addon("outside", "1"))
	for _, err := range []error{
		os.Symlink("/dev/zero", filepath.Join(w.cfg.Local, "zero.yaml")),
		os.Rename(filepath.Join(w.cfg.Local, "outside"), filepath.Join(t.TempDir(), "outside")),
		os.MkdirAll(filepath.Join(w.cfg.Local, "pipe"), 0o755),
		os.MkdirAll(filepath.Join(w.cfg.Local, "zero"), 0o755),
		syscall.Mkfifo(filepath.Join(w.cfg.Local, "pipe", "config.yaml"), 0o644),
		syscall.Mkfifo(filepath.Join(w.cfg.Local, "good", "icon.png"), 0o644),
		os.Symlink("/dev/zero", filepath.Join(w.cfg.Local, "zero", "config.yaml")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Refresh(t.Context(), "local"); err != nil {
		t.Fatal(err)
	}
	if got := slugs(s); got != "good@1" {
		t.Errorf("entries %q", got)
	}
	list := s.Repositories()[0].Problems
	if !problem(list, "pipe/config.yaml", "not a file") || !problem(list, "good/icon.png", "not a file") || !problem(list, "zero/config.yaml", "never followed") {
		t.Errorf("problems %q", list)
	}
	// What changes between a look and a read can neither hang nor lead outside.
	for _, swap := range []func(string) error{
		func(name string) error { return syscall.Mkfifo(name, 0o644) },
		func(name string) error { return os.Symlink("/etc/hostname", name) },
	} {
		name := filepath.Join(w.cfg.Local, "good", "config.yaml")
		if err := errors.Join(os.Remove(name), swap(name)); err != nil {
			t.Fatal(err)
		}
		if _, raw, err := s.Manifest("local_good"); err == nil {
			t.Errorf("read %q", raw)
		}
	}
	_ = s.Close()
	if err := os.Remove(filepath.Join(w.cfg.Local, "good", "config.yaml")); err != nil {
		t.Fatal(err)
	}
	write("good/config.yaml", addon("good", "2"))
	s = w.open()
	if got := slugs(s); got != "good@2" {
		t.Errorf("entries %q after a start", got)
	}
	if dir, err := s.Folder("local_good"); err != nil || dir != filepath.Join(w.cfg.Local, "good") {
		t.Errorf("folder %q, %v", dir, err)
	}
	before := onDisk(t, w.state)
	if err := s.Refresh(t.Context(), ""); err != nil || onDisk(t, w.state) != before {
		t.Errorf("an unchanged folder: %v, or it was written", err)
	}
	if err := os.Rename(w.cfg.Local, w.cfg.Local+"x"); err != nil {
		t.Fatal(err)
	}
	if err := s.Refresh(t.Context(), "local"); err == nil || slugs(s) != "good@2" || s.Repositories()[0].LastError == "" {
		t.Errorf("no folder: %v, entries %q", err, slugs(s))
	}
	_ = s.Close()
	if got := w.open().Repositories(); got[0].LastError == "" {
		t.Errorf("no folder at the start: %+v", got)
	}
}

func TestDeltaHeads(t *testing.T) {
	for in, want := range map[string]int64{
		"": -1, "\x05": -1, "\x05\x07": 7, "\x80\x01\xff\x01": 255, "\x05\x80": -1, "\x05" + strings.Repeat("\xff", 18): -1,
		"\x05\xff\xff\xff\xff\xff\xff\xff\x7f": 1<<56 - 1,
	} {
		p := &prefix{}
		for i := range len(in) {
			_, _ = p.Write([]byte(in[i : i+1]))
		}
		if got := p.target(); got != want {
			t.Errorf("%x: %d, want %d", in, got, want)
		}
	}
}
