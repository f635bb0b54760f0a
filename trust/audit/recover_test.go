package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// Children of this test binary play the programs that are killed and the disks that are full.
func TestMain(m *testing.M) {
	switch dir := os.Getenv("AUDIT_TEST_DIR"); os.Getenv("AUDIT_TEST_CHILD") {
	case "append":
		childAppends(dir)
	case "full":
		childFillsDisk(dir)
	default:
		os.Exit(m.Run())
	}
}

func child(t *testing.T, what, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "AUDIT_TEST_CHILD="+what, "AUDIT_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// recovered are the payloads of the `recovered` records.
func recovered(t *testing.T, l *Log) (out []RecoveredPayload) {
	t.Helper()
	for rec, err := range l.Records(Filter{Kinds: []Kind{KindRecovered}}) {
		var p RecoveredPayload
		if err := errors.Join(err, json.Unmarshal(rec.Payload, &p)); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// crashed is a log as a power cut leaves it: without the work of Close.
func crashed(t *testing.T, n int) (dir string, data []byte) {
	t.Helper()
	l, dir := newLog(t, Options{})
	appendN(t, l, n)
	data, err := os.ReadFile(segmentPath(dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "head")); err != nil {
		t.Fatal(err)
	}
	return dir, data
}

func TestTornTailIsCutOffAndRecordedAtEveryByte(t *testing.T) {
	dir, data := crashed(t, 3)
	last := len(data) - 1 - len(lastLine(data))
	tails := []string{"", "\x00\x00\x00", "garbage\nmore\n"}
	for cut := last; cut < len(data); cut++ {
		tail := tails[cut%len(tails)]
		if err := os.WriteFile(segmentPath(dir, 1), append(data[:cut:cut], tail...), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(dir, Options{})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		got := recovered(t, l)
		torn := cut - last + len(tail)
		if torn == 0 && len(got) != 0 || torn > 0 && (len(got) != 1 || got[0].Bytes != torn) {
			t.Errorf("cut at %d with tail %q: recovered %+v, want %d bytes", cut, tail, got, torn)
		}
		appendN(t, l, 1)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if r := verified(t, dir); r.Torn {
			t.Errorf("cut at %d: still torn", cut)
		}
		_ = os.Remove(filepath.Join(dir, "head")) // the next round is another crash
	}
}

func TestCutBetweenNewSegmentAndItsFirstLine(t *testing.T) {
	dir, _ := crashed(t, 3)
	if err := os.WriteFile(segmentPath(dir, 5), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, dir, Options{})
	appendN(t, l, 2)
	if r, err := l.Verify(); err != nil || r.Last < 6 || r.Files != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestBrokenMiddleNeverStopsTheAppliance(t *testing.T) {
	dir, _ := sample(t)
	edit(t, dir, func(l [][]byte) [][]byte {
		l[2] = bytes.Replace(l[2], []byte("event"), []byte("EVENT"), 1)
		return l
	})
	l := openLog(t, dir, Options{})
	appendN(t, l, 3)
	r, err := l.Verify()
	if err == nil || len(r.Breaks) != 1 || r.Breaks[0].Line != 4 || r.Last < 10 {
		t.Errorf("got %v, %+v, want the one break and the new records", err, r)
	}
}

func TestCutOffEndShowsAndItsNumbersAreNotUsedAgain(t *testing.T) {
	dir, head := sample(t)
	edit(t, dir, func(l [][]byte) [][]byte { return l[:4] })
	l := openLog(t, dir, Options{})
	if got := recovered(t, l); len(got) != 1 || got[0].Missing != head {
		t.Errorf("recovered %+v, want the missing head", got)
	}
	appendN(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(dir) // although the head file is a new one by now
	if err == nil || r.Last < 8 {
		t.Errorf("got %v, %+v", err, r)
	}
}

func TestKilledWhileAppendingKeepsEveryAcknowledgedRecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := Init(dir); err != nil {
		t.Fatal(err)
	}
	acked := map[uint64]string{}
	for round := range 8 {
		cmd := child(t, "append", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			seq, what, _ := strings.Cut(lines.Text(), " ")
			id, err := strconv.ParseUint(seq, 10, 64)
			if err != nil {
				t.Fatalf("child says %q", lines.Text())
			}
			acked[id] = what
			if n == 20+round*7 { // at work in several goroutines
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // killed
	}
	l := openLog(t, dir, Options{})
	if _, err := l.Verify(); err != nil {
		t.Fatal(err)
	}
	for rec, err := range l.Records(Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if what, ok := acked[rec.Seq]; ok && strings.Contains(string(rec.Payload), strconv.Quote(what)) {
			delete(acked, rec.Seq)
		}
	}
	if len(acked) > 0 {
		t.Errorf("%d acknowledged records are gone: %v", len(acked), acked)
	}
}

func childAppends(dir string) {
	// The one before is dead; its lock may take the kernel a moment.
	l, err := Open(dir, Options{SegmentBytes: 8 << 10})
	for range 100 {
		if !errors.Is(err, durable.ErrLocked) {
			break
		}
		time.Sleep(10 * time.Millisecond)
		l, err = Open(dir, Options{SegmentBytes: 8 << 10})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var mu sync.Mutex
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				what := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				seq, err := l.Append(context.Background(), KindAction, event{what})
				if err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(seq, what)
				mu.Unlock()
			}
		}()
	}
	select {}
}

func TestFullDiskRefusesWholeRecordsAndHealsWhenThereIsRoom(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := Init(dir); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, "full", dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	acked, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || acked < 3 {
		t.Fatalf("child says %q", out)
	}
	r := verified(t, dir)
	if r.Torn {
		t.Error("half a line was left")
	}
	l := openLog(t, dir, Options{})
	if got := recovered(t, l); len(got) != 0 {
		t.Errorf("recovered %+v, want nothing to recover", got)
	}
	n := 0
	for rec := range l.Records(Filter{Kinds: []Kind{KindAction}}) {
		_ = rec
		n++
	}
	if n != acked {
		t.Errorf("%d records, %d were acknowledged", n, acked)
	}
}

// childFillsDisk appends until files may not grow, goes on when they may again, and prints how many it was told are
// there.
func childFillsDisk(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	l, err := Open(dir, Options{})
	check(err)
	acked, refused := 0, 0
	try := func(size int) {
		if _, err := l.Append(context.Background(), KindAction, event{strings.Repeat("x", size)}); err == nil {
			acked++
		} else if errors.Is(err, syscall.EFBIG) {
			refused++
		} else {
			check(err)
		}
	}
	limit := func(n uint64) {
		var old syscall.Rlimit
		check(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
		check(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: min(n, old.Max), Max: old.Max}))
	}
	limit(6000)
	var wg sync.WaitGroup
	for range 3 {
		try(1000)
	}
	for range 4 { // batches that fail must take those queued behind them along
		wg.Go(func() { _, _ = l.Append(context.Background(), KindClock, event{strings.Repeat("y", 5000)}) })
	}
	wg.Wait()
	try(5000)
	try(100) // small ones still fit
	limit(1 << 40)
	try(5000)
	if refused == 0 {
		check(errors.New("nothing was refused"))
	}
	check(l.Close())
	fmt.Println(acked)
	os.Exit(0)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestLogThatCannotRepairItsTailTakesNothingMore(t *testing.T) {
	l, dir := newLog(t, Options{})
	appendN(t, l, 2)
	_ = l.file.Close() // stands for a disk that has gone: neither writing nor cutting back works
	for range 2 {
		if _, err := l.Append(t.Context(), KindAction, event{}); !errors.Is(err, ErrFailed) {
			t.Fatalf("got %v, want ErrFailed", err)
		}
	}
	if _, err := l.RecordVerdict(t.Context(), trust.Verdict{}, trust.Input{}); !errors.Is(err, ErrFailed) {
		t.Errorf("a verdict: %v, want ErrFailed", err)
	}
	_ = l.Close()
	l = openLog(t, dir, Options{})
	appendN(t, l, 1)
	if r, err := l.Verify(); err != nil || r.Last != 4 {
		t.Errorf("after opening again: %+v, %v", r, err)
	}
}
