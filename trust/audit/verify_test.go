package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/castellan/castellan/trust"
)

// sample is a closed log of six actions and a head, as a folder, with the head its Close left.
func sample(t testing.TB) (dir string, head string) {
	t.Helper()
	l, dir := newLog(t, Options{})
	appendN(t, l, 6)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	msg, err := os.ReadFile(filepath.Join(dir, "head"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, string(msg)
}

// edit changes the lines of a log's first segment.
func edit(t testing.TB, dir string, change func([][]byte) [][]byte) {
	t.Helper()
	name := segmentPath(dir, 1)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := change(splitLines(data))
	if err := os.WriteFile(name, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rechain writes lines anew so that every one follows the one before, as somebody with the disk would.
func rechain(t testing.TB, lines [][]byte) [][]byte {
	t.Helper()
	prev := genesis
	for i, line := range lines {
		rec, err := parseRecord(line)
		if err != nil {
			t.Fatal(err)
		}
		rec.Seq, rec.Prev = uint64(i+1), prev
		if lines[i], err = json.Marshal(rec); err != nil {
			t.Fatal(err)
		}
		prev = trust.DigestOf(lines[i])
	}
	return lines
}

func TestEveryChangeIsNamedWithFileAndLine(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func([][]byte) [][]byte
		line   int // of the first break
		what   string
	}{
		{"edited", func(l [][]byte) [][]byte {
			l[3] = bytes.Replace(l[3], []byte("event 2"), []byte("event 7"), 1)
			return l
		}, 5, "hash of the line before"},
		{"edited last line", func(l [][]byte) [][]byte {
			l[6] = bytes.Replace(l[6], []byte("event 5"), []byte("event 7"), 1)
			return l
		}, 0, "signed head beside the log"},
		{"edited space", func(l [][]byte) [][]byte {
			l[2] = bytes.Replace(l[2], []byte(`"payload":`), []byte(`"payload": `), 1)
			return l
		}, 4, "hash of the line before"},
		{"deleted", func(l [][]byte) [][]byte { return slices.Delete(l, 3, 4) }, 4, "hash of the line before"},
		{"deleted first", func(l [][]byte) [][]byte { return slices.Delete(l, 0, 1) }, 1, "the beginning is missing"},
		{"deleted first two", func(l [][]byte) [][]byte { return slices.Delete(l, 0, 2) }, 1, "the beginning is missing"},
		{"deleted last", func(l [][]byte) [][]byte { return l[:6] }, 0, "signed head beside the log"},
		{"swapped", func(l [][]byte) [][]byte { l[3], l[4] = l[4], l[3]; return l }, 4, "hash of the line before"},
		{"repeated", func(l [][]byte) [][]byte { return slices.Insert(l, 4, l[3]) }, 5, "hash of the line before"},
		{"not JSON", func(l [][]byte) [][]byte { l[2] = []byte("oops"); return l }, 3, "not a record"},
		{"empty line", func(l [][]byte) [][]byte { return slices.Insert(l, 2, []byte{}) }, 3, "not a record"},
		{"second key", func(l [][]byte) [][]byte {
			l[6] = bytes.Replace(l[6], []byte(`"kind":`), []byte(`"kind":"boot","kind":`), 1)
			return l
		}, 7, "not a record"},
		{"key in capitals", func(l [][]byte) [][]byte { l[6] = bytes.Replace(l[6], []byte(`"seq"`), []byte(`"Seq"`), 1); return l }, 7, "not a record"},
		{"written anew without a line", func(l [][]byte) [][]byte { return rechain(t, slices.Delete(l, 2, 3)) }, 0, "signed head beside the log"},
		{"written anew without a head", func(l [][]byte) [][]byte { return rechain(t, slices.Delete(l, 1, 2)) }, 0, "signed head beside the log"},
		{"written anew from the start", func(l [][]byte) [][]byte { return rechain(t, slices.Delete(l, 0, 1)) }, 1, "signed head"},
		{"number skipped", func(l [][]byte) [][]byte {
			rec, _ := parseRecord(l[6])
			rec.Seq = 9
			l[6], _ = json.Marshal(rec)
			return l
		}, 7, "sequence number"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, _ := sample(t)
			verified(t, dir)
			edit(t, dir, tc.change)
			r, err := Verify(dir)
			var broken *BrokenError
			if !errors.As(err, &broken) {
				t.Fatalf("got %v, %+v, want a *BrokenError", err, r)
			}
			b := r.Breaks[0]
			file := segmentPath(dir, 1)
			if tc.line == 0 {
				file = filepath.Join(dir, "head")
			}
			if b.File != file || b.Line != tc.line || b.What != tc.what && !strings.HasPrefix(b.What, tc.what) {
				t.Errorf("got %+v, want line %d, %q", b, tc.line, tc.what)
			}
			if !strings.Contains(err.Error(), b.String()) || !strings.Contains(err.Error(), file) {
				t.Errorf("the error %q does not say it", err)
			}
			if b.What == "hash of the line before" && (b.Want == b.Got || !strings.Contains(err.Error(), b.Want) || !strings.Contains(err.Error(), b.Got)) {
				t.Errorf("want %q, got %q: both must be named", b.Want, b.Got)
			}
		})
	}
}

func TestWholeRewriteShowsToWhoeverHoldsAnEarlierHead(t *testing.T) {
	dir, held := sample(t)
	edit(t, dir, func(l [][]byte) [][]byte { // line 4 changed, all after it made to follow, signed heads left out
		l = slices.Delete(l, 1, 2)
		l[3] = bytes.Replace(l[3], []byte("event 3"), []byte("event X"), 1)
		return rechain(t, l)
	})
	if err := os.Remove(filepath.Join(dir, "head")); err != nil {
		t.Fatal(err)
	}
	verified(t, dir) // nothing inside tells
	r, err := Verify(dir, held)
	if err == nil || !strings.Contains(err.Error(), "head 1 held elsewhere") {
		t.Errorf("got %v, %+v", err, r)
	}
}

func TestRunningLogNoticesThatItsEndWasChanged(t *testing.T) {
	l, dir := newLog(t, Options{})
	appendN(t, l, 3)
	if _, err := l.Verify(); err != nil {
		t.Fatal(err)
	}
	edit(t, dir, func(l [][]byte) [][]byte {
		l[3] = bytes.Replace(l[3], []byte("event 2"), []byte("event 9"), 1)
		return l
	})
	if r, err := l.Verify(); err == nil || r.Breaks[0].What != "newest line as the running log remembers it" {
		t.Errorf("got %v, %+v", err, r)
	}
}

func TestHeadOfAnotherApplianceIsNoProof(t *testing.T) {
	dir, _ := sample(t)
	_, other := sample(t)
	if r, err := Verify(dir, other); err == nil || r.Held != 0 || !strings.Contains(err.Error(), "another appliance's") {
		t.Errorf("got %v, %+v", err, r)
	}
}

func TestDeviceKeyInTheLogMustBeTheOneBesideIt(t *testing.T) {
	dir, _ := sample(t)
	other, _ := sample(t)
	data, err := os.ReadFile(segmentPath(other, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(segmentPath(dir, 1), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(dir); err == nil || r.Breaks[0].What != "device key" {
		t.Errorf("got %v, %+v", err, r)
	}
}

func TestTruncatedExportIsBroken(t *testing.T) {
	l, dir := newLog(t, Options{})
	appendN(t, l, 3)
	var out bytes.Buffer
	if err := l.Export(&out, true); err != nil {
		t.Fatal(err)
	}
	held, err := l.SignHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "..", "export.jsonl")
	for n := 1; n < out.Len(); n++ {
		if err := os.WriteFile(file, out.Bytes()[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		whole := out.Bytes()[n-1] == '\n'
		if _, err := Verify(file); (err == nil) != whole {
			t.Fatalf("cut at byte %d: %v", n, err)
		}
		if _, err := Verify(file, held); err == nil {
			t.Fatalf("cut at byte %d, a later head is held: not noticed", n)
		}
	}
}

func FuzzVerify(f *testing.F) {
	l, _ := newLog(f, Options{})
	appendN(f, l, 3)
	ref, err := l.Private("ann")
	if err != nil {
		f.Fatal(err)
	}
	if _, err := l.Append(f.Context(), KindOverride, event{ref}); err != nil {
		f.Fatal(err)
	}
	var out bytes.Buffer
	if err := l.Export(&out, false); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte(`{"seq":1,"time":"2026-11-20T00:00:00Z","kind":"prune","prev":"` + string(genesis) + `","payload":{"first":1}}` + "\n"))
	f.Add([]byte("{}\n{\"private\":1}\n\n"))
	file := filepath.Join(f.TempDir(), "log.jsonl")
	good := out.Bytes()
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Verify(file, "not a note")
		if err == nil {
			t.Errorf("a head that is no note was accepted: %+v", r)
		}
		r, err = Verify(file)
		if (err == nil) != (len(r.Breaks) == 0) {
			t.Errorf("error %v with breaks %v", err, r.Breaks)
		}
		// Nothing of the same length verifies under the same newest hash but the log itself.
		if err == nil && r.Hash == trust.DigestOf(lastRecord(good)) && !bytes.HasPrefix(good, data[:bytes.Index(data, lastRecord(good))]) {
			t.Error("another history has the same head")
		}
	})
}

// lastRecord is the last line that is a record.
func lastRecord(data []byte) []byte {
	lines := splitLines(data)
	for i := len(lines) - 1; i >= 0; i-- {
		if _, err := parseRecord(lines[i]); err == nil {
			return lines[i]
		}
	}
	return nil
}
