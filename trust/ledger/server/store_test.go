package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

func openStore(t testing.TB, dir string) *Embedded {
	t.Helper()
	s, err := OpenEmbedded(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func appendOne(t testing.TB, s Store, key, value string) uint64 {
	t.Helper()
	tx, err := s.Append(context.Background(), []Entry{{Key: []byte(key), Value: []byte(value)}})
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func TestStoreKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	head, err := s.Head()
	if err != nil || head != (trust.Anchor{Alh: trust.DigestOf(nil)}) {
		t.Fatalf("empty store has head %v, %v", head, err)
	}
	big := string(bytes.Repeat([]byte("x"), maxTxBytes+1))
	appendOne(t, s, "a", big)
	appendOne(t, s, "b", "2")
	want, err := s.Export(1)
	if err != nil {
		t.Fatal(err)
	}
	head, err = s.Head()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openStore(t, dir)
	defer s.Close()
	got, err := s.Export(1)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("after a restart transaction 1 differs (%v)", err)
	}
	if again, err := s.Head(); err != nil || again != head {
		t.Errorf("after a restart the head is %v, %v; want %v", again, err, head)
	}
	if alh, err := s.Alh(2); err != nil || alh != head.Alh {
		t.Errorf("alh of the last transaction is %v, %v; want %v", alh, err, head.Alh)
	}
}

func TestStoreIsHeldByOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	defer s.Close()
	if _, err := OpenEmbedded(dir, slog.New(slog.DiscardHandler)); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("second open: %v, want ErrLocked", err)
	}
}

func TestStoreTakesManyWritersAtOnce(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	const n = 4 * appendLimit
	var wg sync.WaitGroup
	ids := make([]uint64, n)
	for i := range n {
		wg.Go(func() { ids[i] = appendOne(t, s, fmt.Sprint("k", i), "v") })
	}
	wg.Wait()
	seen := map[uint64]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if len(seen) != n {
		t.Errorf("%d appends got %d different transactions", n, len(seen))
	}
}

func TestStoreRebuildsDamagedDerivedParts(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	for i := range 20 {
		appendOne(t, s, fmt.Sprint("k", i), "v")
	}
	head, _ := s.Head()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "immudb", "aht", "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no hash tree files: %v", err)
	}
	for _, f := range files {
		if err := os.Truncate(f, 10); err != nil {
			t.Fatal(err)
		}
	}
	s = openStore(t, dir)
	defer s.Close()
	if again, err := s.Head(); err != nil || again != head {
		t.Errorf("after the rebuild the head is %v, %v; want %v", again, err, head)
	}
	appendOne(t, s, "more", "v")
}

func TestStoreSaysWhatToDoWhenItsTransactionsAreDamaged(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	appendOne(t, s, "k", "v")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "immudb", "tx", "*"))
	for _, f := range files {
		if err := os.Truncate(f, 5); err != nil {
			t.Fatal(err)
		}
	}
	_, err := OpenEmbedded(dir, slog.New(slog.DiscardHandler))
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("restore the folder from a backup")) {
		t.Errorf("damaged transactions: %v", err)
	}
}

// BenchmarkAppend is the cost of a durable transaction, alone and with as many writers as the store takes at once.
func BenchmarkAppend(b *testing.B) {
	value := bytes.Repeat([]byte("v"), 1500)
	for _, writers := range []int{1, appendLimit} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openStore(b, b.TempDir())
			defer s.Close()
			next := make(chan int)
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for i := range next {
						if _, err := s.Append(context.Background(), []Entry{{[]byte(fmt.Sprint("k", i)), value}}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := 0; b.Loop(); i++ {
				next <- i
			}
			close(next)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
		})
	}
}
