package store

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

const many = 1000

// BenchmarkRefreshUnchanged must stay under 50 ms for a repository of 1,000 add-ons. The server's part is answered from
// memory.
func BenchmarkRefreshUnchanged(b *testing.B) {
	w := newWorld(b)
	s := w.open()
	files := map[string]string{"repository.yaml": repositoryYAML}
	for i := range many {
		slug := fmt.Sprintf("addon%d", i)
		files[slug+"/config.yaml"] = addon(slug, "2026.8.1")
	}
	if r := w.follow(s, "r", files); r.Addons != many {
		b.Fatalf("it has %d add-ons", r.Addons)
	}
	w.fail(remembered())
	for b.Loop() {
		if err := s.Refresh(b.Context(), ""); err != nil {
			b.Fatal(err)
		}
	}
	if per := b.Elapsed() / time.Duration(b.N); per > 50*time.Millisecond {
		b.Errorf("%v for an unchanged remote, the limit is 50 ms", per)
	}
}

// BenchmarkRefreshLocal looks at a folder of 1,000 local add-ons that has not changed.
func BenchmarkRefreshLocal(b *testing.B) {
	s, err := Open(thousand(b))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		if err := s.Refresh(b.Context(), ""); err != nil {
			b.Fatal(err)
		}
	}
}

// thousand is a local folder of 1,000 add-ons.
func thousand(tb testing.TB) Config {
	dir := tb.TempDir()
	cfg := Config{Dir: filepath.Join(dir, "store"), Local: filepath.Join(dir, "local"), Builtins: []string{"local"}}
	for i := range many {
		at := filepath.Join(cfg.Local, fmt.Sprint(i))
		if err := os.MkdirAll(at, 0o755); err != nil {
			tb.Fatal(err)
		}
		slug := fmt.Sprintf("addon%d", i)
		if err := os.WriteFile(filepath.Join(at, "config.yaml"), []byte(addon(slug, "2026.8.1")+"url: https://example.org/"+slug+"\n"), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	if err := Init(cfg.Dir); err != nil {
		tb.Fatal(err)
	}
	return cfg
}

// BenchmarkOpenThousand is what the store adds to a start of the daemon: it reads its index of 1,000 add-ons.
func BenchmarkOpenThousand(b *testing.B) {
	cfg := thousand(b)
	s, err := Open(cfg) // the first start parses
	if err != nil {
		b.Fatal(err)
	}
	_ = s.Close()
	for b.Loop() {
		s, err := Open(cfg)
		if err != nil {
			b.Fatal(err)
		}
		if n := len(s.Entries()); n != many {
			b.Fatal(n)
		}
		_ = s.Close()
	}
}

func TestAThousandEntriesCostLittle(t *testing.T) {
	cfg := thousand(t)
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	if s, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	used := int64(heap()) - int64(before)
	t.Logf("%d bytes for %d entries", used, len(s.Entries()))
	if used > 2<<20 {
		t.Errorf("%d bytes for 1000 entries, the limit is 2 MiB", used)
	}
	runtime.KeepAlive(s)
}

// The index spares the parsing: a start whose folder has not changed reads no configuration.
func TestAStartParsesNothing(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	r := w.follow(s, "r", sample("1"))
	_ = s.Close()
	name := filepath.Join(w.state, "copies", r.Slug+".1", "one", "config.yaml")
	if err := os.WriteFile(name, []byte("\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.fail(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) { t.Error("asked the network") })
	if got := slugs(w.open()); got != "one@1 two@2" {
		t.Errorf("entries %q", got)
	}
}
