package store

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRefreshTakesWhatIsNew(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	r := w.follow(s, "r", sample("1"))
	files := with(sample("2"), "new/config.yml", addon("new", "1"))
	delete(files, "b/two-x/config.json")
	commit := w.commit("r", files)
	if err := s.Refresh(t.Context(), r.Slug); err != nil {
		t.Fatal(err)
	}
	if got := slugs(s); got != "new@1 one@2" {
		t.Errorf("entries %q", got)
	}
	got, _ := s.RepositoryOf(r.Slug + "_one")
	if got.Commit != commit || len(got.Problems) > 0 {
		t.Errorf("got %+v", got)
	}
	if list, _ := os.ReadDir(s.path("copies")); len(list) != 1 {
		t.Errorf("copies %v, want the new one alone", list)
	}
	if _, err := os.Stat(s.path("tmp", r.Slug)); err == nil {
		t.Error("the temporary folder stayed")
	}
	if err := s.Refresh(t.Context(), "00000000"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown repository: %v", err)
	}
}

func TestRefreshOfAnUnchangedRemoteIsOneRequestAndNoWrite(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	w.follow(s, "r", sample("1"))
	before := onDisk(t, w.state)
	w.asked()
	w.set(w.now.Add(time.Hour))
	if err := s.Refresh(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if got := w.asked(); len(got) != 1 {
		t.Errorf("requests %v, want one", got)
	}
	if after := onDisk(t, w.state); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
	if got := s.Repositories()[0].LastSuccess; !got.Equal(w.now) {
		t.Errorf("last success %v, want %v", got, w.now)
	}
}

// Every way a server can fail leaves the last good copy, is told in words, and is over once the server is well.
func TestTheLastGoodCopyStays(t *testing.T) {
	refs := func(answer http.HandlerFunc) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/info/refs") {
				answer(rw, r)
				return
			}
			next.ServeHTTP(rw, r)
		}
	}
	pack := func(answer func(rw http.ResponseWriter, r *http.Request, whole []byte)) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method != http.MethodPost {
				next.ServeHTTP(rw, r)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			rw.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			answer(rw, r, rec.Body.Bytes())
		}
	}
	status := func(code int) func(http.ResponseWriter, *http.Request, http.Handler) {
		return refs(func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "\x1b[31mno\x00", code) })
	}
	redirect := func(to string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return refs(func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, to, http.StatusFound) })
	}
	hang := func(rw http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
	}
	endless := func(rw http.ResponseWriter, line string) {
		for {
			if _, err := io.WriteString(rw, line); err != nil {
				return
			}
		}
	}
	advert := "application/x-git-upload-pack-advertisement"
	ref := "003d" + strings.Repeat("a", 40) + " refs/heads/xxxxxxx\n"
	for name, c := range map[string]struct {
		fault func(http.ResponseWriter, *http.Request, http.Handler)
		want  error
		text  string
	}{
		"401":           {status(401), ErrFetch, "private or does not exist"},
		"404":           {status(404), ErrFetch, "check the address"},
		"500":           {status(500), ErrFetch, "500"},
		"garbage refs":  {refs(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "<html>welcome to the café") }), ErrFetch, ""},
		"empty refs":    {refs(func(rw http.ResponseWriter, _ *http.Request) {}), ErrFetch, ""},
		"dumb server":   {refs(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprintf(rw, "%040d\trefs/heads/main\n", 7) }), ErrFetch, ""},
		"hangs at refs": {refs(hang), ErrFetch, "stopped sending"},
		"never answers": {refs(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), ErrFetch, "timeout"},
		"endless refs": {refs(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", advert)
			_, _ = io.WriteString(rw, "001e# service=git-upload-pack\n00000053"+strings.Repeat("a", 40)+" HEAD\x00shallow ofs-delta side-band-64k \n")
			endless(rw, ref)
		}), ErrFetch, ""},
		"redirect to ftp":   {redirect("ftp://example.org/x/info/refs"), ErrFetch, "redirect"},
		"redirect to file":  {redirect("file:///etc/info/refs"), ErrFetch, "redirect"},
		"redirect to http":  {redirect("http://example.org/x/info/refs"), ErrFetch, "redirect"},
		"redirects forever": {refs(func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, r.URL.String(), http.StatusFound) }), ErrFetch, "redirect"},
		"pack redirected": {func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPost {
				http.Redirect(rw, r, "http://127.0.0.1:1/x", http.StatusTemporaryRedirect)
				return
			}
			next.ServeHTTP(rw, r)
		}, ErrFetch, "redirect"},
		"garbage pack": {pack(func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
			_, _ = rw.Write([]byte("0008NAK\nPACKxxxxxxxx"))
		}), ErrFetch, ""},
		"empty pack":     {pack(func(http.ResponseWriter, *http.Request, []byte) {}), ErrFetch, ""},
		"truncated pack": {pack(func(rw http.ResponseWriter, _ *http.Request, b []byte) { _, _ = rw.Write(b[:len(b)*2/3]) }), ErrFetch, ""},
		"altered pack": {pack(func(rw http.ResponseWriter, _ *http.Request, b []byte) {
			b[len(b)*2/3] ^= 0x55
			_, _ = rw.Write(b)
		}), ErrFetch, ""},
		"stalls mid-pack": {pack(func(rw http.ResponseWriter, r *http.Request, b []byte) {
			_, _ = rw.Write(b[:len(b)/2])
			hang(rw, r)
		}), ErrFetch, "stopped sending"},
		"endless pack": {pack(func(rw http.ResponseWriter, _ *http.Request, b []byte) {
			_, _ = rw.Write([]byte("0008NAK\n"))
			endless(rw, "0804\x01"+strings.Repeat("x", 0x7ff))
		}), ErrFetch, "more than it may"},
		"endless progress": {pack(func(rw http.ResponseWriter, _ *http.Request, b []byte) {
			_, _ = rw.Write([]byte("0008NAK\n"))
			endless(rw, "0804\x02"+strings.Repeat("x", 0x7ff))
		}), ErrFetch, "more than it may"},
		"drips": {pack(func(rw http.ResponseWriter, r *http.Request, b []byte) {
			for i := range b {
				if _, err := rw.Write(b[i : i+1]); err != nil || http.NewResponseController(rw).Flush() != nil {
					return
				}
				select {
				case <-r.Context().Done():
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		}), ErrFetch, "not done after"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.open()
			r := w.follow(s, "r", sample("1"))
			w.commit("r", sample("2"))
			limits := Limits{Pack: 2 << 20, Refs: 1 << 20}
			switch {
			case name == "drips":
				limits.Deadline = time.Second
			case strings.Contains(c.text, "stopped") || name == "never answers":
				limits.Stall = 2 * time.Second
			}
			s.cfg.Limits = limits.filled()
			s.git = newGit(s.cfg.Limits)
			w.fail(c.fault)
			err := s.Refresh(t.Context(), r.Slug)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), "last good copy stays") {
				t.Errorf("got %v, want %v with %q", err, c.want, c.text)
			}
			if got := slugs(s); got != "one@1 two@2" {
				t.Errorf("entries %q", got)
			}
			if _, _, err := s.Manifest(r.Slug + "_one"); err != nil {
				t.Error(err)
			}
			got, _ := s.RepositoryOf(r.Slug + "_one")
			if got.LastError == "" || strings.ContainsAny(got.LastError, "\x00\x1b\n") {
				t.Errorf("last error %q", got.LastError)
			}
			w.fail(nil)
			s.cfg.Limits = DefaultLimits()
			s.git = newGit(s.cfg.Limits)
			if err := s.Refresh(t.Context(), r.Slug); err != nil {
				t.Fatal(err)
			}
			if got := slugs(s); got != "one@2 two@2" {
				t.Errorf("entries %q once it is well", got)
			}
			if got := s.Repositories()[0]; got.LastError != "" {
				t.Errorf("last error %q once it is well", got.LastError)
			}
		})
	}
}

func TestARepositoryThatTurnsBadKeepsItsLastGoodCopy(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	r := w.follow(s, "r", sample("1"))
	other := w.follow(s, "other", map[string]string{"repository.json": `{"name": "O"}`, "config.yaml": addon("three", "1")})
	for name, files := range map[string]map[string]string{
		"no repository file": {"one/config.yaml": addon("one", "2")},
		"no add-on":          {"repository.yaml": repositoryYAML},
		"no good add-on":     {"repository.yaml": repositoryYAML, "one/config.yaml": "\x00"},
		"bad file":           with(sample("2"), "repository.yaml", "name: [\n"),
		"linked file":        with(sample("2"), "repository.yaml", "-> /etc/hostname"),
	} {
		w.commit("r", files)
		w.commit("other", map[string]string{"repository.json": `{"name": "O"}`, "config.yaml": addon("three", name)})
		if err := s.Refresh(t.Context(), ""); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if e, ok := s.Entry(r.Slug + "_one"); !ok || e.Version != "1" {
			t.Errorf("%s: entry %+v", name, e)
		}
		if e, _ := s.Entry(other.Slug + "_three"); e.Version != name {
			t.Errorf("%s: the other repository has %+v", name, e)
		}
	}
	w.git(w.dir+"/r", nil, "update-ref", "-d", "refs/heads/main")
	if err := s.Refresh(t.Context(), r.Slug); !errors.Is(err, ErrFetch) || !strings.Contains(err.Error(), "empty") {
		t.Errorf("no commit at all: %v", err)
	}
	if got := slugs(s); !strings.HasPrefix(got, "one@1 ") || !strings.HasSuffix(got, " two@2") {
		t.Errorf("entries %q", got)
	}
}

func TestARewrittenHistoryIsTakenAndSaid(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	first := w.commit("r", sample("1"))
	w.set(w.now.Add(time.Hour))
	r := w.follow(s, "r", sample("2"))
	problems := func(what, version string) []Problem {
		t.Helper()
		if err := s.Refresh(t.Context(), r.Slug); err != nil {
			t.Fatal(err)
		}
		if e, _ := s.Entry(r.Slug + "_one"); e.Version != version {
			t.Errorf("%s: version %s, want %s", what, e.Version, version)
		}
		return s.Repositories()[0].Problems
	}
	w.git(w.dir+"/r", nil, "update-ref", "refs/heads/main", first)
	if got := problems("rewound", "1"); !problem(got, "", "went back") {
		t.Errorf("rewound: %v", got)
	}
	w.commit("r", sample("3"))
	if got := problems("forward", "3"); len(got) > 0 {
		t.Errorf("forward: %v", got)
	}
	w.git(w.dir+"/r", nil, "update-ref", "refs/heads/main", first)
	w.commit("r", sample("4"))
	if got := problems("amended", "4"); !problem(got, "", "in place of") {
		t.Errorf("amended: %v", got)
	}
	w.commit("r", sample("5"))
	w.commit("r", sample("6"))
	if got := problems("two steps forward", "6"); len(got) > 0 {
		t.Errorf("two steps forward: %v", got)
	}
}

func TestFirstSeenIsOurs(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	day := w.now
	w.set(time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC)) // a Pi without a clock
	r := w.follow(s, "r", sample("1"))
	want := func(what string, slug string, at time.Time) {
		t.Helper()
		if e, ok := s.Entry(r.Slug + "_" + slug); !ok || !e.FirstSeen.Equal(at) {
			t.Errorf("%s: first seen %v, want %v", what, e.FirstSeen, at)
		}
	}
	refresh := func() {
		t.Helper()
		if err := s.Refresh(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	want("without a clock", "one", time.Time{})
	refresh()
	want("still without", "one", time.Time{})
	w.set(day)
	refresh()
	want("once the clock is set", "one", day)
	w.set(day.AddDate(9, 0, 0))
	w.commit("r", sample("2"))
	refresh()
	want("a new version, in 2035", "one", day.AddDate(9, 0, 0))
	want("the same version", "two", day)
	w.set(day.Add(time.Hour))
	refresh()
	want("the clock is right again", "one", day.Add(time.Hour))
	w.commit("r", sample("1"))
	refresh()
	want("an old version again", "one", day)
	_ = s.Close()
	w.set(day.Add(2 * time.Hour))
	s = w.open()
	want("after a restart", "one", day)
	w.commit("r", map[string]string{"repository.yaml": repositoryYAML, "x/config.yaml": addon("x", "1")})
	refresh()
	w.commit("r", sample("2"))
	refresh()
	want("gone and back", "one", day.Add(time.Hour))
}

func TestALostCopyIsFetchedAnew(t *testing.T) {
	for name, damage := range map[string]func(s *Store, slug string) error{
		"index gone":  func(s *Store, slug string) error { return os.Remove(s.indexFile(slug)) },
		"index cut":   func(s *Store, slug string) error { return os.Truncate(s.indexFile(slug), 100) },
		"index empty": func(s *Store, slug string) error { return os.Truncate(s.indexFile(slug), 0) },
		"copy gone":   func(s *Store, slug string) error { return os.RemoveAll(s.path("copies")) },
		"copy is a file": func(s *Store, slug string) error {
			dir := s.path("copies", slug+".1")
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600))
		},
		"another's index": func(s *Store, slug string) error {
			data, err := os.ReadFile(s.indexFile(slug))
			return errors.Join(err, os.WriteFile(s.indexFile(slug), []byte(strings.ReplaceAll(string(data), "/r\"", "/q\"")), 0o600))
		},
	} {
		w := newWorld(t)
		s := w.open()
		r := w.follow(s, "r", sample("1"))
		_ = s.Close()
		if err := damage(s, r.Slug); err != nil {
			t.Fatal(err)
		}
		s = w.open()
		if got := s.Repositories(); len(got) != 1 || got[0].LastError == "" || len(s.Entries()) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
		if err := s.Refresh(t.Context(), ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := slugs(s); got != "one@1 two@2" {
			t.Errorf("%s: entries %q", name, got)
		}
		_ = s.Close()
	}
}

func TestAFullDiskKeepsTheOldCopy(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	r := w.follow(s, "r", sample("1"))
	// A file where the folder for downloads must be fails as a full disk does.
	if err := errors.Join(os.RemoveAll(s.path("tmp")), os.WriteFile(filepath.Join(w.state, "tmp"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	w.commit("r", sample("2"))
	if err := s.Refresh(t.Context(), ""); err == nil || errors.Is(err, ErrFetch) {
		t.Errorf("got %v, want an error of the disk", err)
	}
	if e, _ := s.Entry(r.Slug + "_one"); e.Version != "1" {
		t.Errorf("entry %+v", e)
	}
}
