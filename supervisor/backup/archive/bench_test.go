package archive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// rows makes bytes that compress about as well as a database does.
func rows(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]byte, 0, n+64)
	for i := 0; len(out) < n; i++ {
		out = fmt.Appendf(out, "sensor.room_%d,%d,%x,on,unknown\n", r.IntN(50), 1_700_000_000+i*7, r.Uint32())
	}
	return out[:n]
}

// heap samples the memory of the process until stop, which gives the most that was in use, above what was before.
func heap() (stop func() uint64) {
	runtime.GC()
	read := func() uint64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64() + s[1].Value.Uint64() + s[2].Value.Uint64()
	}
	before, peak := read(), uint64(0)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-quit:
				return
			case <-tick.C:
				peak = max(peak, read())
			}
		}
	}()
	return func() uint64 { close(quit); <-done; return max(peak, before) - before }
}

// maxPeak is the memory that making or restoring a backup may take, whatever its size, with a recovery key or none.
const maxPeak = 48 << 20

func fill(t testing.TB, dir string, files, size int) {
	t.Helper()
	data := rows(size)
	for i := range files {
		write(t, filepath.Join(dir, fmt.Sprint(i%10), fmt.Sprint(i)), string(data))
	}
}

func bench(b *testing.B, seal Seal, key Key, files, size int) {
	dir, s := b.TempDir(), newStore(b, b.TempDir())
	fill(b, filepath.Join(dir, "core"), files, size)
	b.SetBytes(int64(files) * int64(size))
	r := request(addon(dir, "core"))
	r.Seal = seal
	var slug string
	b.Run("make", func(b *testing.B) {
		b.SetBytes(int64(files) * int64(size))
		peak := heap()
		for b.Loop() {
			slug = create(b, s, r).Slug
		}
		b.ReportMetric(float64(peak())/1e6, "peakMB")
	})
	bk, err := s.Read(slug)
	must(b, err)
	defer bk.Close()
	b.Run("extract", func(b *testing.B) {
		b.SetBytes(int64(files) * int64(size))
		peak := heap()
		for n := 0; b.Loop(); n++ {
			to := filepath.Join(dir, fmt.Sprint("to", n))
			_, err := bk.Extract(context.Background(), "core", to, key, nil)
			must(b, err)
			must(b, os.RemoveAll(to))
		}
		b.ReportMetric(float64(peak())/1e6, "peakMB")
	})
}

func BenchmarkLarge(b *testing.B) { bench(b, Seal{}, Key{}, 4, 128<<20) }

func BenchmarkSmallFiles(b *testing.B) { bench(b, Seal{}, Key{}, 5000, 8<<10) }

func BenchmarkSealed(b *testing.B) {
	identity, recipient, err := NewRecoveryKey()
	must(b, err)
	seal, err := SealFor(recipient)
	must(b, err)
	key, err := RecoveryKey(identity)
	must(b, err)
	bench(b, seal, key, 4, 128<<20)
}

func BenchmarkPassphrase(b *testing.B) {
	seal, err := SealWith("correct horse")
	must(b, err)
	key, err := Passphrase("correct horse")
	must(b, err)
	bench(b, seal, key, 4, 16<<20)
}
