package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAssets(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	r := w.follow(s, "r", with(sample("1"), "one/logo.png", "no image", "one/CHANGELOG.md", "## 1\n\n- ü\n", "one/README.md", "\xff\xfe", "one/apparmor.txt", "profile one {}\x00"))
	for _, c := range []struct {
		slug string
		kind Kind
		want string
		err  error
	}{
		{"_one", Icon, picture(128, 128), nil},
		{"_one", Docs, "# One 1", nil},
		{"_one", Changelog, "## 1\n\n- ü\n", nil},
		{"_one", Logo, "not a PNG", ErrAsset},
		{"_one", Readme, "UTF-8", ErrAsset},
		{"_one", AppArmor, "not a text", ErrAsset},
		{"_two", Icon, "it brings no icon.png", ErrNotFound},
		{"_three", Icon, "does not hold it", ErrNotFound},
		{"_one", "../config", "no such kind", ErrNotFound},
		{"", Icon, "does not hold it", ErrNotFound},
	} {
		data, err := s.Asset(r.Slug+c.slug, c.kind)
		if c.err == nil && (err != nil || string(data) != c.want) || c.err != nil && (!errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s of %s: %.40q, %v, want %.40q", c.kind, c.slug, data, err, c.want)
		}
	}
	if _, err := s.Asset("00000000_one", Icon); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such repository: %v", err)
	}
	dir, err := s.Folder(r.Slug + "_two")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		t.Error(err)
	}
	for _, slug := range []string{"", "_", "x", "x_", r.Slug, r.Slug + "_", "../x_y", strings.Repeat("x", 1000)} {
		if _, ok := s.Entry(slug); ok {
			t.Errorf("there is an entry %.20q", slug)
		}
		if _, err := s.Folder(slug); !errors.Is(err, ErrNotFound) {
			t.Errorf("folder of %.20q: %v", slug, err)
		}
	}
}

func TestTranslations(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	good := "configuration:\n  port:\n    name: Anschluss\nnetwork:\n  80/tcp: Netz\n"
	dir := "one/translations/"
	r := w.follow(s, "r", with(sample("1"), dir+"de.yaml", good, dir+"pt-BR.yml", good, dir+"zh-Hans.json", "{}", dir+"de.json", "{}",
		dir+"list.yaml", "- a\n", dir+"en.yaml", "configuration: [a, b]\n", dir+"fr.yaml", strings.Repeat("[", 2000), dir+"it.yaml", strings.Repeat("#", 1<<20),
		dir+"..x.yaml", good, dir+"es.yaml/x", good))
	all, bad, err := s.Translations(r.Slug + "_one")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 || all["de"].Configuration["port"].Name != "Anschluss" || all["pt-BR"].Network["80/tcp"] != "Netz" {
		t.Errorf("got %v", all)
	}
	for name, reason := range map[string]string{"de.json": "another file", "list.yaml": "language", "en.yaml": "left out", "fr.yaml": "left out", "it.yaml": "larger", "..x.yaml": "language", "es.yaml": "not a file"} {
		if !problem(bad, dir+name, reason) {
			t.Errorf("%s: problems %q, want %q", name, bad, reason)
		}
	}
	if all, bad, err := s.Translations(r.Slug + "_two"); len(all) != 0 || len(bad) != 0 || err != nil {
		t.Errorf("none: %v, %v, %v", all, bad, err)
	}
}

// The corpus is Home Assistant's own repository: all of it can be read.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("CASTELLAN_CORPUS")
	if dir == "" {
		return
	}
	w := newWorld(t)
	w.cfg.Builtins, w.cfg.Local = []string{"local"}, filepath.Join(dir, "addons")
	s := w.open()
	if got := s.Repositories()[0]; got.Addons != 24 || len(got.Problems) > 0 {
		t.Errorf("got %+v", got)
	}
	for _, e := range s.Entries() {
		if _, _, err := s.Manifest(e.Slug); err != nil {
			t.Error(err)
		}
		if _, bad, err := s.Translations(e.Slug); err != nil || len(bad) > 0 {
			t.Errorf("%s: %v, %v", e.Slug, bad, err)
		}
		for _, a := range assets {
			if !*a.flag(&e) {
				continue
			}
			if _, err := s.Asset(e.Slug, a.kind); err != nil {
				t.Error(err)
			}
		}
	}
}
