package services

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAMissingOrDamagedFileIsAnErrorWithTheNextStep(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "services.json")
	if _, err := Open(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "initialise it anew") {
		t.Errorf("missing: %v", err)
	}
	if err := Init(path); err != nil {
		t.Fatal(err)
	}
	if err := Init(path); err == nil || !strings.Contains(err.Error(), "it exists") {
		t.Errorf("twice: %v", err)
	}
	good := `{"format":1,"services":{},"discovery":[]}`
	msg := `{"uuid":"00000000000000000000000000000001","addon":"a","service":"s","config":{}}`
	for _, c := range []struct{ content, says string }{
		{good, ""},
		{``, "empty"},
		{good[:20], "Invalid json"},
		{good + "x", "Invalid json"},
		{strings.Repeat(" ", maxBytes+1), "larger than"},
		{`{"format":2,"unheard":1}`, "format 2"},
		{`{"format":1}`, "missing"},
		{`{"format":1,"services":{},"discovery":[],"more":1}`, "extra keys"},
		{`{"format":1,"services":{"ftp":{"addon":"a","host":"h","port":1}},"discovery":[]}`, "no service"},
		{`{"format":1,"services":{"mysql":{"addon":"a","host":"h","port":0}},"discovery":[]}`, "/port"},
		{`{"format":1,"services":{"mysql":{"addon":"","host":"h","port":1}},"discovery":[]}`, "/addon"},
		{`{"format":1,"services":{"mqtt":{"addon":"a","host":"h","port":1}},"discovery":[]}`, "ssl"},
		{`{"format":1,"services":{},"discovery":[` + msg + `]}`, ""},
		{`{"format":1,"services":{},"discovery":[` + msg + `,` + strings.Replace(msg, "01", "02", 1) + `]}`, "twice"},
		{`{"format":1,"services":{},"discovery":[` + msg + `,` + strings.Replace(msg, `"a"`, `"b"`, 1) + `]}`, "twice"},
		{`{"format":1,"services":{},"discovery":[` + strings.Replace(msg, "00", "x0", 1) + `]}`, "no uuid"},
		{`{"format":1,"services":{},"discovery":[` + strings.Replace(msg, "{}", "[]", 1) + `]}`, "want an object"},
		{`{"format":1,"services":{},"discovery":[` + strings.Replace(msg, `,"config":{}`, "", 1) + `]}`, "want an object"},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%.80s: got %v, want %q", c.content, err, c.says)
		}
		if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
			t.Errorf("open leaves the file readable: %v", fi.Mode())
		}
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("folder: %v", err)
	}
}

// steps is a life of the registry; every one of them writes once.
var steps = []func(*Registry) error{
	func(r *Registry) error { return r.Provide("a", provider, MQTT, []byte(broker)) },
	func(r *Registry) error { return r.Provide("a", provider, MQTT, []byte(`{"host":"other","port":1}`)) },
	func(r *Registry) error {
		_, _, err := r.Announce("a", provider, "mqtt", []byte(`{"x":1}`))
		return err
	},
	func(r *Registry) error {
		_, _, err := r.Announce("a", provider, "mqtt", []byte(`{"x":2}`))
		return err
	},
	announcedB,
	func(r *Registry) error { return r.Retract("b", r.Messages("b")[0].UUID) },
	func(r *Registry) error { return r.Withdraw("a", provider, MQTT) },
	func(r *Registry) error { return r.Provide("b", provider, MySQL, []byte(`{"host":"h","port":1}`)) },
	func(r *Registry) error { return r.Drop("a") },
	func(r *Registry) error { return r.Keep(nil) },
}

func announcedB(r *Registry) error { return announced(r, "b") }

// TestPowerCutAtEachWrite builds what the disk may hold when the power goes in each write: the old file beside a part of
// the temporary one, or the new file. The registry opens with all of the old or all of the new, and the step can be made
// again.
func TestPowerCutAtEachWrite(t *testing.T) {
	_, path := fresh(t)
	for i, step := range steps {
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := step(open(t, path)); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		now, err := os.ReadFile(path)
		if err != nil || bytes.Equal(old, now) {
			t.Fatalf("step %d wrote nothing (%v)", i, err)
		}
		for _, cut := range []int{0, 1, len(now) / 2, len(now)} {
			dir := t.TempDir()
			lost := filepath.Join(dir, "services.json")
			put(t, lost, old)
			put(t, filepath.Join(dir, ".services.json.tmp-123"), now[:cut])
			same(t, lost, old)
			if err := step(open(t, lost)); err != nil {
				t.Errorf("step %d again after a cut at byte %d: %v", i, cut, err)
			}
			open(t, lost)
		}
		dir := t.TempDir()
		done := filepath.Join(dir, "services.json") // renamed, unanswered
		put(t, done, now)
		same(t, done, now)
	}
}

// same tells that the file opens and holds all of want and nothing else.
func same(t *testing.T, path string, want []byte) {
	t.Helper()
	r := open(t, path)
	if err := write(path, r.state); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestAFailedWriteChangesNothing takes the folder away, so that no temporary file can be made.
func TestAFailedWriteChangesNothing(t *testing.T) {
	for i := range steps {
		r, path := fresh(t)
		for _, s := range steps[:i] {
			if err := s(r); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := json.Marshal(r.state)
		gone := filepath.Dir(path) + ".gone"
		if err := os.Rename(filepath.Dir(path), gone); err != nil {
			t.Fatal(err)
		}
		if err := steps[i](r); err == nil {
			t.Errorf("step %d: no error without a disk", i)
		}
		if after, _ := json.Marshal(r.state); !bytes.Equal(before, after) {
			t.Errorf("step %d: changed in memory, not on disk", i)
		}
		if err := os.Rename(gone, filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		if err := steps[i](r); err != nil {
			t.Errorf("step %d again: %v", i, err)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"format":1,"services":{"mqtt":{"addon":"a","host":"h","port":1,"ssl":true,"protocol":"3.1"}},"discovery":[{"uuid":"00000000000000000000000000000001","addon":"a","service":"s","config":{"a":[1.0,"\u00e9"]}}]}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`[[[[`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parse(b)
		if err != nil {
			return
		}
		path := filepath.Join(dir, "services.json")
		if err := write(path, s); err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		first, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, path, first)
	})
}

func FuzzBodies(f *testing.F) {
	f.Add([]byte(broker))
	f.Add([]byte(`{"host":"h","port":"1","ssl":0}`))
	f.Add([]byte(`{"a":[{"b":null}],"c":1e400,"é":"\ud83d\ude00"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range Names {
			if s, err := ParseService(name, b); err == nil && s.check(name) != nil {
				t.Errorf("%s took what can't be read again", name)
			}
		}
		c, err := ParseConfig(b)
		if err != nil {
			return
		}
		if again, err := ParseConfig(c); err != nil || !bytes.Equal(again, c) || len(c) > len(b) {
			t.Errorf("not stable: %x, then %x, %v", []byte(c), []byte(again), err)
		}
	})
}
