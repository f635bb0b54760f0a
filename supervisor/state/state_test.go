package state

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// crasher makes the test binary a process that writes the journal named by it until it is killed.
const crasher = "CASTELLAN_TEST_STATE_CRASHER"

func TestMain(m *testing.M) {
	if path := os.Getenv(crasher); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

// writeUntilKilled puts n under two keys in one transaction and tells on stdout, after the commit, that n is durable.
func writeUntilKilled(path string) {
	j, err := Open(path)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for n := uint64(1); ; n++ {
		v := bytes.Repeat(binary.BigEndian.AppendUint64(nil, n), 1+int(n%700))
		err := j.Update(func(tx *Tx) error {
			if err := tx.Put("a", "left", v); err != nil {
				return err
			}
			return tx.Put("b", "right", v)
		})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

func fresh(t testing.TB) (*Journal, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	if err := Init(path); err != nil {
		t.Fatal(err)
	}
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, path
}

func TestKillWhileWritingLosesNothingAcknowledgedAndMixesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := Init(path); err != nil {
		t.Fatal(err)
	}
	var last uint64
	for round := range 8 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), crasher+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		for s := bufio.NewScanner(out); s.Scan(); {
			n, err := strconv.ParseUint(s.Text(), 10, 64)
			if err != nil {
				t.Fatalf("writer says %q", s.Text())
			}
			last = n
			if n == uint64(3+7*round) {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // it was killed
		kill.Stop()

		j, err := Open(path)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		err = j.View(func(tx *Tx) error {
			left, _ := tx.Get("a", "left")
			right, _ := tx.Get("b", "right")
			if !bytes.Equal(left, right) || len(left) < 8 {
				return fmt.Errorf("half a transaction: %d and %d bytes", len(left), len(right))
			}
			// The commit may be on disk although the writer died before it could say so.
			if n := binary.BigEndian.Uint64(left); n < last {
				return fmt.Errorf("holds %d, but %d was acknowledged", n, last)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBytesComeBackAsTheyWerePut(t *testing.T) {
	j, path := fresh(t)
	err := j.Update(func(tx *Tx) error {
		for _, k := range []string{"c", "a", "b"} {
			if err := tx.Put("x", k, []byte("v"+k)); err != nil {
				return err
			}
		}
		return errors.Join(tx.Delete("x", "b"), tx.Delete("x", "none"), tx.Delete("none", "none"))
	})
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("stop")
	if err := j.Update(func(tx *Tx) error { _ = tx.Put("x", "a", []byte("lost")); return failed }); !errors.Is(err, failed) {
		t.Fatalf("got %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = Open(path); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var got string
	err = j.View(func(tx *Tx) error {
		if _, ok := tx.Get("x", "b"); ok {
			t.Error("b was deleted")
		}
		if _, ok := tx.Get("none", "b"); ok {
			t.Error("there is no such bucket")
		}
		if err := tx.ForEach("none", nil); err != nil {
			t.Error(err)
		}
		return tx.ForEach("x", func(k string, v []byte) error { got += k + "=" + string(v) + " "; return nil })
	})
	if err != nil || got != "a=va c=vc " {
		t.Errorf("got %q, %v", got, err)
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
}

func TestReservedBucketIsOutOfReach(t *testing.T) {
	j, _ := fresh(t)
	if err := j.Update(func(tx *Tx) error { return tx.Put(metaBucket, formatKey, []byte("9")) }); err == nil {
		t.Error("put into the reserved bucket")
	}
	if err := j.Update(func(tx *Tx) error { return tx.Delete(metaBucket, formatKey) }); err != nil {
		t.Error(err)
	}
	if err := j.View(func(tx *Tx) error {
		if v, ok := tx.Get(metaBucket, formatKey); !ok || string(v) != "1" {
			t.Errorf("format is %q", v)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestJournalIsNeverSilentlyNew(t *testing.T) {
	_, good := fresh(t)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte { b := bytes.Clone(whole); b[at] ^= 0xff; return b }
	both := flip(20) // the first meta page …
	both[4096+20] ^= 0xff
	for _, c := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"missing", nil, fs.ErrNotExist},
		{"empty", []byte{}, ErrDamaged},
		{"text", []byte("not a journal"), ErrDamaged},
		{"zeroes", make([]byte, 32<<10), ErrDamaged},
		{"cut to a page", whole[:4096], ErrDamaged},
		{"cut to two pages", whole[:8192], ErrDamaged},
		{"both heads bad", both, ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			if c.bytes != nil {
				if err := os.WriteFile(path, c.bytes, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Open(path)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(after, c.bytes) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestNewerAndForeignFilesAreRefused(t *testing.T) {
	set := func(path, bucket, value string) {
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(bucket))
			if err != nil {
				return err
			}
			return b.Put([]byte(formatKey), []byte(value))
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	newer, foreign, odd := filepath.Join(t.TempDir(), "j"), filepath.Join(t.TempDir(), "j"), filepath.Join(t.TempDir(), "j")
	set(newer, metaBucket, "2")
	set(foreign, "things", "1")
	set(odd, metaBucket, "one")
	if _, err := Open(newer); !errors.Is(err, ErrNewer) {
		t.Errorf("newer: %v", err)
	}
	for _, path := range []string{foreign, odd} {
		if _, err := Open(path); !errors.Is(err, ErrDamaged) {
			t.Errorf("foreign: %v", err)
		}
	}
}

func TestSecondOwnerAndSecondInitAreRefused(t *testing.T) {
	_, path := fresh(t)
	if _, err := Open(path); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v", err)
	}
	if err := Init(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Init: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	_, path := fresh(f)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, uint16(0), byte(0))
	f.Add(whole[:5000], uint16(4100), byte(7))
	f.Add([]byte("x"), uint16(0), byte(1))
	f.Fuzz(func(t *testing.T, b []byte, at uint16, x byte) {
		if int(at) < len(b) {
			b[at] ^= x
		}
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(path)
		if err != nil {
			return
		}
		if err := j.View(func(tx *Tx) error { return tx.ForEach("a", func(string, []byte) error { return nil }) }); err != nil {
			t.Log(err)
		}
		_ = j.Close()
	})
}

func BenchmarkUpdate(b *testing.B) {
	j, _ := fresh(b)
	row := make([]byte, 4<<10)
	for b.Loop() {
		if err := j.Update(func(tx *Tx) error { return tx.Put("change", "c1", row) }); err != nil {
			b.Fatal(err)
		}
	}
}
