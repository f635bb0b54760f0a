package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

func TestAddListsTheAddonsOfARepository(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	r := w.follow(s, "samples", sample("1.10"))
	if r.Slug != slugOf(w.url("samples")) || r.Name != "Samples" || r.URL != "https://example.org" || r.Maintainer != "Ann <ann@example.org>" || r.Builtin || r.Addons != 2 || r.Commit == "" {
		t.Errorf("got %+v", r)
	}
	check := func(s *Store) {
		t.Helper()
		if got := slugs(s); got != "one@1.10 two@2" {
			t.Errorf("entries %q", got)
		}
		e, ok := s.Entry(r.Slug + "_one")
		if !ok || !e.Icon || !e.Docs || e.Logo || e.Build() || e.Path != "one/config.yaml" || !e.FirstSeen.Equal(w.now) {
			t.Errorf("entry %+v, %v", e, ok)
		}
		if e, _ := s.Entry(r.Slug + "_two"); !e.Build() {
			t.Errorf("entry %+v, want one built here", e)
		}
		if got, ok := s.RepositoryOf(r.Slug + "_gone"); !ok || got.Slug != r.Slug || got.LastError != "" {
			t.Errorf("repository %+v, %v", got, ok)
		}
		m, raw, err := s.Manifest(r.Slug + "_one")
		if err != nil || m.Slug != "one" || string(raw) != addon("one", "1.10") {
			t.Errorf("manifest %v, %q, %v", m.Slug, raw, err)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.server.Close() // a start needs no network
	check(w.open())
}

func TestAddTakesBranchAndTag(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	w.commit("r", sample("1"))
	w.git(w.dir+"/r", nil, "branch", "old/one")
	w.git(w.dir+"/r", nil, "tag", "-a", "-m", "x", "v1")
	w.commit("r", sample("2"))
	for branch, want := range map[string]string{"#old/one": "1", "#v1": "1", "": "2"} {
		r, err := s.Add(t.Context(), w.url("r")+branch, "")
		if err != nil {
			t.Fatal(err)
		}
		if e, _ := s.Entry(r.Slug + "_one"); e.Version != want || r.Branch != strings.TrimPrefix(branch, "#") {
			t.Errorf("%q: version %s, want %s", branch, e.Version, want)
		}
	}
	if _, err := s.Add(t.Context(), w.url("r")+"#none", ""); !errors.Is(err, ErrFetch) {
		t.Errorf("no such branch: %v", err)
	}
}

func TestAFailedAddLeavesNothing(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	w.follow(s, "there", sample("1"))
	w.git(w.dir, nil, "init", "-q", "--bare", "empty")
	w.commit("nofile", map[string]string{"one/config.yaml": addon("one", "1")})
	w.commit("noname", with(sample("1"), "repository.yaml", "url: https://example.org\n"))
	w.commit("noaddon", map[string]string{"repository.yaml": repositoryYAML})
	w.commit("badaddon", map[string]string{"repository.yaml": repositoryYAML, "x/config.yaml": "name: [\n"})
	w.commit("badledger", with(sample("1"), "repository.yaml", repositoryYAML+"castellan: {ledger: {origin: x}}\n"))
	before := onDisk(t, w.state)
	for _, c := range []struct {
		source, accept string
		want           error
		text           string
	}{
		{w.url("there"), "", ErrAdded, "refresh"},
		{strings.ToUpper(w.url("there")[:7]) + w.url("there")[7:], "", ErrAdded, "already there"},
		{w.url("missing"), "", ErrFetch, "check the address"},
		{w.url("empty"), "", ErrFetch, "ask its maintainer"},
		{w.url("nofile"), "", ErrInvalid, "no repository.yaml"},
		{w.url("noname"), "", ErrInvalid, "no name"},
		{w.url("noaddon"), "", ErrInvalid, "no add-on"},
		{w.url("badaddon"), "", ErrInvalid, "x/config.yaml"},
		{w.url("badledger"), "", ErrInvalid, "castellan: ledger"},
		{w.url("there") + "/", "12ab", ErrInvalid, "no ledger"},
		{"ssh://git@example.org/x", "", ErrSource, "credentials"},
	} {
		_, err := s.Add(t.Context(), c.source, c.accept)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v with %q", c.source, err, c.want, c.text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Add(ctx, w.url("nofile"), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	// The folders tmp and the whole were touched, of course.
	strip := func(s string) (out []string) {
		for line := range strings.Lines(s) {
			if f := strings.Fields(line); !strings.HasPrefix(f[1], "d") {
				out = append(out, line)
			}
		}
		return out
	}
	if a, b := strip(before), strip(onDisk(t, w.state)); strings.Join(a, "") != strings.Join(b, "") {
		t.Errorf("before:\n%safter:\n%s", a, b)
	}
	if n := len(s.Repositories()); n != 1 {
		t.Errorf("%d repositories", n)
	}
}

func TestALedgerIsAcceptedByItsFingerprintAndStays(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	ledger := func(origin, rest string) string {
		return repositoryYAML + "castellan:\n  ledger:\n    origin: " + origin + "\n    keys: [" + noteKey + "]\n    urls: [https://l.example.org]\n" + rest
	}
	pub := "  publishers: {one: p-aaaaaaaaaaaaaaaaaaaa}\n"
	w.commit("r", with(sample("1"), "repository.yaml", ledger("l.example.org/main", pub)))
	_, err := s.Add(t.Context(), w.url("r"), "")
	var le *LedgerError
	if !errors.As(err, &le) || le.Origin != "l.example.org/main" || len(le.Fingerprint) != 79 {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Add(t.Context(), w.url("r"), strings.Repeat("ab", 32)); !errors.As(err, new(*LedgerError)) || !strings.Contains(err.Error(), "which one is right") {
		t.Errorf("another fingerprint: %v", err)
	}
	r, err := s.Add(t.Context(), w.url("r"), strings.ToUpper(strings.ReplaceAll(le.Fingerprint, " ", "")))
	if err != nil {
		t.Fatal(err)
	}
	accepted := func(s *Store) Repository {
		t.Helper()
		got, _ := s.RepositoryOf(r.Slug + "_one")
		if got.Ledger == nil || got.Ledger.Fingerprint() != le.Fingerprint || got.Publishers["one"] != "p-aaaaaaaaaaaaaaaaaaaa" {
			t.Errorf("accepted: %+v", got)
		}
		return got
	}
	accepted(s)
	for name, c := range map[string]struct{ file, text string }{
		"other ledger": {ledger("evil.example.org", pub), "the accepted one"},
		"no ledger":    {repositoryYAML, "no longer brings"},
		"mirrors":      {strings.ReplaceAll(ledger("l.example.org/main", pub), "https://l.", "https://m."), "mirrors"},
		"publisher":    {ledger("l.example.org/main", strings.ReplaceAll(pub, "aaa", "bbb")), "stays in force"},
		"no publisher": {ledger("l.example.org/main", ""), "stays in force"},
		"broken":       {repositoryYAML + "castellan: 3\n", "stays in force"},
	} {
		w.commit("r", with(sample("2 "+name), "repository.yaml", c.file))
		if err := s.Refresh(t.Context(), r.Slug); err != nil {
			t.Fatal(err)
		}
		got := accepted(s)
		if !problem(got.Problems, "", c.text) {
			t.Errorf("%s: problems %v", name, got.Problems)
		}
	}
	w.commit("r", with(sample("3"), "repository.yaml", ledger("l.example.org/main", "  publishers: {one: p-aaaaaaaaaaaaaaaaaaaa, two: p-cccccccccccccccccccc}\n")))
	if err := s.Refresh(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if got := accepted(w.open()); len(got.Problems) > 0 || got.Publishers["two"] != "p-cccccccccccccccccccc" {
		t.Errorf("got %+v, want a publisher more and no problem", got)
	}
}

func TestRemove(t *testing.T) {
	w := newWorld(t)
	w.cfg.Builtins, w.cfg.Local = []string{"local"}, t.TempDir()
	s := w.open()
	r := w.follow(s, "r", sample("1"))
	for _, c := range []struct {
		slug  string
		inUse []string
		want  error
	}{
		{"local", nil, ErrBuiltin},
		{"00000000", nil, ErrNotFound},
		{r.Slug, []string{"core_x", r.Slug + "_one"}, ErrInUse},
	} {
		if err := s.Remove(t.Context(), c.slug, c.inUse); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.slug, err, c.want)
		}
	}
	if err := s.Remove(t.Context(), r.Slug, []string{"core_x", r.Slug + "0_one"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Entry(r.Slug + "_one"); ok || len(s.Repositories()) != 1 {
		t.Error("it is still there")
	}
	if list, err := os.ReadDir(s.path("copies")); err != nil || len(list) != 0 {
		t.Errorf("copies %v, %v", list, err)
	}
	if _, _, err := s.Manifest(r.Slug + "_one"); !errors.Is(err, ErrNotFound) {
		t.Errorf("manifest: %v", err)
	}
	if _, err := s.Add(t.Context(), w.url("r"), ""); err != nil {
		t.Errorf("adding it again: %v", err)
	}
}

func TestOpenWantsItsList(t *testing.T) {
	w := newWorld(t)
	if err := Init(w.state); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Init: %v", err)
	}
	s := w.open()
	if _, err := Open(w.cfg); err == nil {
		t.Error("opened twice")
	}
	_ = s.Close()
	name := w.state + "/" + listFile
	for _, content := range []string{"", "{", `{"format": 2}`, `{"format": 1, "repositories": [{"source": "ssh://x", "slug": "x"}]}`, `{"format":1,"pins":1}`} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(w.cfg); err == nil {
			t.Errorf("%q: opened", content)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(w.cfg); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v, want an error and no fresh start", err)
	}
}

func TestBuiltins(t *testing.T) {
	w := newWorld(t)
	w.cfg.Builtins = []string{"core", "community", "esphome", "music_assistant"}
	s := w.open()
	for _, r := range s.Repositories() {
		if !r.Builtin || r.LastError == "" || r.Slug == coreSlug && r.Name != "Official apps" {
			t.Errorf("before the first refresh: %+v", r)
		}
		if _, err := s.Add(t.Context(), r.Source, ""); !errors.Is(err, ErrAdded) {
			t.Errorf("%s: %v", r.Source, err)
		}
	}
	_ = s.Close()
	w.cfg.Builtins = []string{"core", "none"}
	if _, err := Open(w.cfg); err == nil {
		t.Error("opened with an unknown name")
	}
	w.cfg.Builtins = []string{"local"}
	if _, err := Open(w.cfg); err == nil {
		t.Error("opened without a folder of local add-ons")
	}
	// The official repository alone needs no repository file, and no ledger is taken from a built-in one.
	w.cfg.Builtins = nil
	s = w.open()
	s.follow(&repository{source: source{text: w.url("core"), url: w.url("core"), slug: coreSlug}, builtin: "core"})
	for _, c := range [][2]string{{"", ""}, {repositoryYAML + "castellan: {publishers: {one: p-aaaaaaaaaaaaaaaaaaaa}, ledger: {origin: l.org, keys: [" + noteKey + "], urls: [https://l.org]}}\n", "root's"}} {
		file, text := c[0], c[1]
		files := with(sample("1"), "repository.yaml", file)
		if file == "" {
			delete(files, "repository.yaml")
		}
		w.commit("core", files)
		if err := s.Refresh(t.Context(), "core"); err != nil {
			t.Fatal(err)
		}
		got, _ := s.RepositoryOf("core_one")
		if got.Ledger != nil || got.Name != "Official apps" || got.Addons != 2 || (text != "") != problem(got.Problems, "", text) {
			t.Errorf("got %+v", got)
		}
	}
	if got, _ := s.RepositoryOf("core_one"); got.Publishers["one"] == "" {
		t.Errorf("publishers %v", got.Publishers)
	}
}
