package store

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const noteKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

func TestSlugs(t *testing.T) {
	type vector struct{ URL, Slug string }
	all := []vector{
		{"https://github.com/hassio-addons/repository", "a0d7b954"},
		{"https://github.com/Hassio-Addons/REPOSITORY", "a0d7b954"},
		{"https://github.com/hassio-addons/repository#beta", "ffd438fc"},
		{"https://github.com/home-assistant/addons-example", "94cfad5a"},
		{"https://github.com/esphome/home-assistant-addon", "5c53de3b"},
		{"https://github.com/music-assistant/home-assistant-addon", "d5369777"},
	}
	if dir := os.Getenv("CASTELLAN_CORPUS"); dir != "" {
		data, err := os.ReadFile(filepath.Join(dir, "version-vectors.json"))
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Slugs []vector `json:"repo_slugs"`
		}
		if err := json.Unmarshal(data, &file); err != nil || len(file.Slugs) == 0 {
			t.Fatal(err, file)
		}
		all = append(all, file.Slugs...)
	}
	for _, v := range all {
		if src, err := parseSource(v.URL); err != nil || src.slug != v.Slug {
			t.Errorf("%s: %s, %v, want %s", v.URL, src.slug, err, v.Slug)
		}
	}
	if slash, _ := parseSource(all[0].URL + "/"); slash.slug == all[0].Slug {
		t.Error("a trailing slash is part of the slug")
	}
	for name, want := range map[string]string{"core": "core", "local": "local", "community": "a0d7b954", "esphome": "5c53de3b", "music_assistant": "d5369777"} {
		if builtins[name].slug != want {
			t.Errorf("%s: %s, want %s", name, builtins[name].slug, want)
		}
	}
}

func TestSourcesThatAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "x", "/srv/addons", "file:///srv/addons", "ssh://git@example.org/x", "git@example.org:x/y.git", "git://example.org/x",
		"ext::sh -c id", "http://example.org/x", "http://localhost.example.org/x", "https://user:secret@example.org/x", "https://token@example.org/x",
		"https://example.org", "https://example.org/", "https://example.org/x?y=1", "https://example.org/x#", "https://example.org/x#../y", "https://example.org/x#-f",
		"https://example.org/a b", "https://example.org/\x00", "https://example.org/x\n", "https://example.org/ü", "https://example.org/a/../b", "ftp://example.org/x",
		"https://example.org/" + strings.Repeat("x", 500), "https://:443/x", `https://example.org\x`, "--upload-pack=x",
	} {
		if strings.HasSuffix(s, "\n") {
			s += "x"
		}
		_, err := parseSource(s)
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), "write https://") {
			t.Errorf("%q: %v", s, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error holds the password: %v", s, err)
		}
	}
	for _, c := range [][3]string{
		{"https://h.org/a/b", "../c.git", "https://h.org/a/c.git"}, {"https://h.org/a/b", "./c", "https://h.org/a/b/c"},
		{"https://h.org/a/b", "https://i.org/x", "https://i.org/x"}, {"https://h.org/a", "../../../../etc", "https://h.org/etc"},
		{"https://h.org/a", "file:///etc", ""}, {"https://h.org/a", "/etc", ""}, {"https://h.org/a", "git@h:x", ""}, {"https://h.org/a", "..//i.org/x", "https://h.org/i.org/x"},
	} {
		got, err := submoduleAddress(c[0], c[1])
		if (err == nil) != (c[2] != "") || err == nil && got != c[2] && strings.ReplaceAll(got, ".org//", ".org/") != c[2] {
			t.Errorf("%s in %s: %q, %v, want %q", c[1], c[0], got, err, c[2])
		}
	}
}

func TestRepositoryFiles(t *testing.T) {
	ledger := "castellan: {ledger: {origin: l.org/x, keys: [" + noteKey + "], urls: [https://l.org]}}"
	for _, c := range []struct{ in, bad string }{
		{"name: A", ""},
		{`{"name": "A", "url": "http://x.org", "maintainer": "B", "other": [1, {"a": 2}]}`, ""},
		{"name: A\n" + ledger, ""},
		{"name: |\n  A\n", ""},
		{"", "empty"},
		{"# nothing\n", "empty"},
		{"- a\n", "keys and values"},
		{"a", "keys and values"},
		{"name: A\nname: B\n", "already defined"},
		{"name: 3\n", "not a text"},
		{"name: [a]\n", "not a text"},
		{"name:\n", "no name"},
		{"name: ' '\n", "no name"},
		{"name: A\nurl: nowhere\n", "web address"},
		{"name: A\nurl: javascript:alert(1)\n", "web address"},
		{"name: A\nmaintainer: \"a\\u202eb\"\n", "control"},
		{"name: A\x00", "control"},
		{"name: \xff", "UTF-8"},
		{"a: &a [x]\nname: A\nb: [*a, *a]\n", "anchors"},
		{strings.Repeat("[", 5000), "nested"},
		{"name: A\nx: " + strings.Repeat("{a: ", 100), "nested"},
		{"name: A\n" + strings.Repeat("#", maxRepositoryFile), "larger"},
		{"name: {{{", ""}, // any error
	} {
		f, err := parseRepositoryFile([]byte(c.in))
		ok := err == nil && f.Name == "A"
		if c.in == "name: {{{" {
			ok = err != nil
		}
		if c.bad == "" && !ok || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%.60q: %+v, %v, want %q", c.in, f, err, c.bad)
		}
		if strings.Contains(c.in, "ledger") && (f.Ledger == nil || f.Extension != "") {
			t.Errorf("%q: %+v", c.in, f)
		}
	}
	for _, c := range []struct{ in, bad string }{
		{"3", "castellan"},
		{"{other: 1}", "unknown"},
		{"{ledger: {origin: l.org, keys: [x], urls: [https://l.org]}}", "verifier key"},
		{"{ledger: {origin: l.org, keys: [], urls: [https://l.org]}}", "keys"},
		{"{ledger: {origin: 'a b', keys: [" + noteKey + "], urls: [https://l.org]}}", "origin"},
		{"{ledger: {origin: l.org, keys: [" + noteKey + "], urls: []}}", "urls"},
		{"{ledger: {origin: l.org, keys: [" + noteKey + "], urls: [http://l.org]}}", "mirror"},
		{"{ledger: {origin: l.org, keys: [" + noteKey + "], urls: ['https://a:b@l.org']}}", "mirror"},
		{"{publishers: {one: me}}", "publisher"},
		{"{publishers: {'../x': p-aaaaaaaaaaaaaaaaaaaa}}", "add-on"},
	} {
		f, err := parseRepositoryFile([]byte("name: A\ncastellan: " + c.in + "\n"))
		if err != nil || f.Name != "A" || f.Ledger != nil || f.Publishers != nil || !strings.Contains(f.Extension, c.bad) {
			t.Errorf("%q: %+v, %v, want %q", c.in, f, err, c.bad)
		}
	}
}

func TestFingerprint(t *testing.T) {
	a := Ledger{Origin: "l.org", Keys: []string{"k1", "k2"}, URLs: []string{"https://a"}}
	b := Ledger{Origin: "l.org", Keys: []string{"k2", "k1"}}
	if a.Fingerprint() != b.Fingerprint() || !a.accepts(strings.ReplaceAll(b.Fingerprint(), " ", ":")) {
		t.Error("the order of keys and the mirrors are no part of it")
	}
	for _, o := range []Ledger{{Origin: "m.org", Keys: a.Keys}, {Origin: "l.org", Keys: []string{"k1"}}} {
		if o.same(a) || o.accepts(a.Fingerprint()) || o.accepts("") {
			t.Errorf("%v passes for %v", o, a)
		}
	}
}

func FuzzRepositoryFile(f *testing.F) {
	for _, s := range []string{repositoryYAML, `{"name":"a","castellan":{"publishers":{"a":"p-aaaaaaaaaaaaaaaaaaaa"}}}`,
		"name: a\ncastellan: {ledger: {origin: l.org, keys: [" + noteKey + "], urls: [https://l.org]}}", "a: &a\n  - *a", "? [a]\n: b", "name: !!binary aGVq"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parseRepositoryFile(data)
		if err != nil {
			return
		}
		if file.Name == "" || len(file.Name) > 500 || file.Ledger != nil && (file.Ledger.Origin == "" || len(file.Ledger.Keys) == 0 || file.Extension != "") {
			t.Errorf("%q gives %+v", data, file)
		}
	})
}
