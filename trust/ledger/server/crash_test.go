package server

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/trust/ledger"
)

// The child of TestKillDuringAppends: a real server in its own process.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LEDGER_TEST_DIR"); dir != "" {
		if err := serveForCrashTest(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serveForCrashTest(dir string) error {
	sk, err := os.ReadFile(filepath.Join(dir, "note.key"))
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(string(sk))
	if err != nil {
		return err
	}
	s, err := Open(Config{Dir: filepath.Join(dir, "ledger"), Signer: signer, Open: true, DailyBytes: 1 << 40, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() { // one record a line; each answer is an acknowledgement
		go func(record []byte) {
			list, err := s.submit([][]byte{record})
			if err != nil {
				fmt.Fprintln(os.Stderr, "submit:", err)
				return
			}
			os.Stdout.WriteString(fmt.Sprintf("ack %d %s\n", list[0].Tx, s.gateKey(record)))
		}([]byte(in.Text()))
	}
	return nil
}

func (s *Server) gateKey(record []byte) string {
	c, err := parse(record)
	if err != nil {
		return err.Error()
	}
	return c.key
}

// Kill -9 at random moments while records come in: no acknowledged record is lost, the history goes on, and every
// head that was signed is extended.
func TestKillDuringAppends(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	sk, vk, err := note.GenerateKey(nil, testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "note.key"), []byte(sk), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPublisher(t)
	acked := map[string]string{} // key -> "tx key"
	pending := [][]byte{p.document(nil)}
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "LEDGER_TEST_DIR="+dir)
		cmd.Stderr = os.Stderr
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "ready" {
			t.Fatalf("round %d: the ledger did not open again: %q", round, lines.Text())
		}
		if round == 0 { // the publisher first
			fmt.Fprintln(in, string(pending[0]))
			lines.Scan()
		}
		go func() {
			for {
				if _, err := fmt.Fprintln(in, string(p.notarization(nil))); err != nil {
					return
				}
			}
		}()
		var kill *time.Timer // at a random moment once records are coming in
		for lines.Scan() {
			if ack, ok := strings.CutPrefix(lines.Text(), "ack "); ok && strings.Count(ack, "/") == 2 {
				tx, key, _ := strings.Cut(ack, " ")
				acked[key] = tx
				if kill == nil {
					kill = time.AfterFunc(rand.N(150*time.Millisecond), func() { cmd.Process.Kill() })
				}
			}
		}
		if kill == nil {
			t.Fatalf("round %d: no record was acknowledged", round)
		}
		in.Close()
		_ = cmd.Wait() // killed
	}
	signer, err := note.NewSigner(sk)
	if err != nil {
		t.Fatal(err)
	}
	vs, err := ledger.Verifiers([]string{vk})
	if err != nil {
		t.Fatal(err)
	}
	l := &testLedger{verifier: vs, cfg: Config{Dir: filepath.Join(dir, "ledger"), Signer: signer, Open: true, Log: slog.New(slog.DiscardHandler)}}
	l.start(t)
	have := map[string]bool{}
	for _, k := range l.replay(t) {
		have[k] = true
	}
	for key := range acked {
		if !have[key] {
			t.Errorf("acknowledged record %s is lost", key)
		}
	}
	t.Logf("%d kills, %d acknowledged records, %d in the ledger", rounds, len(acked), len(have))
}

// BenchmarkPostRecords is the whole way of a record over HTTP: gate, durable transaction, signed checkpoint.
func BenchmarkPostRecords(b *testing.B) {
	l := startLedger(b, func(c *Config) { c.DailyBytes = 1 << 40 })
	p := newPublisher(b)
	l.mustPost(b, p.document(nil))
	for _, writers := range []int{1, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}}
			records := make(chan []byte)
			done := make(chan error, writers)
			for range writers {
				go func() {
					for rec := range records {
						resp, err := client.Post(l.url+"/v1/records", "application/json", strings.NewReader(string(rec)))
						if err == nil {
							_, err = io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
							if resp.StatusCode != http.StatusOK {
								err = fmt.Errorf("%s", resp.Status)
							}
						}
						if err != nil {
							b.Error(err)
						}
					}
					done <- nil
				}()
			}
			for b.Loop() {
				records <- p.notarization(nil)
			}
			close(records)
			for range writers {
				<-done
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
