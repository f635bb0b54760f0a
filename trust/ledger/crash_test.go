package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

// files reads a whole folder.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err == nil {
			out[rel], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// step is one thing a commit does to the folder, in the order of Replica.commit.
type step struct {
	what  string
	apply func(dir map[string][]byte)
}

// commitSteps is every durable step from old to fresh, with the halves a power cut can leave of what was not synced.
func commitSteps(old, fresh map[string][]byte) []step {
	var steps []step
	put := func(what, name string, b []byte) {
		steps = append(steps, step{what, func(dir map[string][]byte) { dir[name] = b }})
	}
	var segments []string
	for name := range fresh {
		if _, had := old[name]; strings.HasPrefix(name, "tx/") && !had {
			segments = append(segments, name)
		}
	}
	slices.Sort(segments)
	slices.Reverse(segments) // newest first
	for _, name := range segments {
		b, tmp := fresh[name], name+".unverified"
		put("download begun "+name, tmp, nil)
		put("download half "+name, tmp, b[:len(b)/2])
		put("download of zeros, as a file system may leave it "+name, tmp, make([]byte, len(b)))
		put("download whole "+name, tmp, b)
	}
	slices.Reverse(segments)
	for _, name := range segments {
		steps = append(steps, step{"kept " + name, func(dir map[string][]byte) {
			delete(dir, name+".unverified")
			dir[name] = fresh[name]
		}})
	}
	put("head half in its temporary file", ".head.tmp-1", fresh["head"][:len(fresh["head"])/2])
	put("head in its temporary file", ".head.tmp-1", fresh["head"])
	steps = append(steps, step{"head", func(dir map[string][]byte) {
		delete(dir, ".head.tmp-1")
		dir["head"] = fresh["head"]
	}})
	for name := range old {
		if _, has := fresh[name]; strings.HasPrefix(name, "tx/") && !has {
			steps = append(steps, step{"swept " + name, func(dir map[string][]byte) { delete(dir, name) }})
		}
	}
	put("index half in its temporary file", ".index.tmp-1", fresh["index"][:len(fresh["index"])/2])
	put("index", "index", fresh["index"])
	return steps
}

// TestPowerCutAtEachStepOfACommitLeavesTheOldOrTheNewHead starts again from every state a power cut may leave.
func TestPowerCutAtEachStepOfACommitLeavesTheOldOrTheNewHead(t *testing.T) {
	for _, c := range []struct{ before, after uint64 }{{0, 300}, {10, 20}, {250, 600}, {256, 257}} {
		w := newWorld(t, int(c.after)-1)
		m := w.mirror(max(c.before, 1))
		r := w.open()
		if c.before > 0 {
			w.sync(r)
		}
		closeOnce(r)
		old := files(t, w.cfg.Dir)
		m.Serve(w.l.Tree(c.after))
		r = w.open()
		w.sync(r)
		closeOnce(r)
		fresh := files(t, w.cfg.Dir)

		now := map[string][]byte{}
		for name, b := range old {
			now[name] = b
		}
		committed := false
		for _, s := range commitSteps(old, fresh) {
			s.apply(now)
			committed = committed || s.what == "head"
			name := fmt.Sprintf("%d to %d: cut after: %s", c.before, c.after, s.what)
			w.cfg.Dir = filepath.Join(t.TempDir(), "replica")
			for file, b := range now {
				trusttest.Write(t, filepath.Join(w.cfg.Dir, file), b)
			}
			r := w.open()
			want := w.l.At(c.before)
			if committed {
				want = w.l.At(c.after)
			}
			if h, err := r.Head(); err != nil || h.Count != want.Count || h.Alh != want.Alh.Digest() {
				t.Fatalf("%s: head %+v, %v; want %v", name, h, err, want)
			}
			w.wantAnswers(r, max(want.Count, 1))
			if _, err := r.Sync(w.ctx()); err != nil {
				t.Fatalf("%s: sync: %v", name, err)
			}
			w.wantHead(r, w.l.At(c.after))
			w.wantAnswers(r, c.after)
			w.wantNoEvidence(r)
			closeOnce(r)
		}
	}
}

const childEnv = "CASTELLAN_LEDGER_TEST_CHILD"

// childMain is a process that syncs until it is killed: the replica's folder, note key and mirror are its arguments.
func childMain() int {
	args := strings.Split(os.Getenv(childEnv), "\n")
	r, err := ledger.Open(ledger.Config{Dir: args[0], Origin: origin, NoteKeys: args[1:2], Mirrors: args[2:3]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		if _, err := r.Sync(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println("synced")
	}
}

// TestKilledAtRandomMomentsTheReplicaOpensAtARealHead kills a real process, 30 times, while a ledger grows.
func TestKilledAtRandomMomentsTheReplicaOpensAtARealHead(t *testing.T) {
	w := newWorld(t, 199)
	m := w.mirror(200)
	w.cfg.Patience = 30 * time.Second
	rnd := rand.New(rand.NewPCG(1, 2))
	before := uint64(0)
	for round := range 30 {
		w.grow(w.l, 40)
		m.Serve(w.l.Tree(w.l.Count()))
		var stderr strings.Builder
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childEnv+"="+strings.Join([]string{w.cfg.Dir, w.l.NoteKey, m.URL}, "\n"))
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if round%3 == 2 { // let every third one finish once, so that the ledger is followed at all
			_, _ = out.Read(make([]byte, 1)) // an error means that the child died, and Wait below says of what
		} else {
			time.Sleep(time.Duration(rnd.IntN(80)) * time.Millisecond) // the moment is what is random here
		}
		_ = cmd.Process.Kill() // it may have died, see below
		_ = cmd.Wait()
		if stderr.Len() > 0 {
			t.Fatalf("round %d: %s", round, &stderr)
		}
		r := w.open()
		h, err := r.Head()
		if err != nil {
			t.Fatal(err)
		}
		if h.Count < before || h.Count > w.l.Count() {
			t.Fatalf("round %d: head at %d, it was at %d", round, h.Count, before)
		}
		w.wantHead(r, w.l.At(h.Count))
		w.wantAnswers(r, max(h.Count, 1))
		if before = h.Count; before > 0 {
			if err := r.Verify(w.ctx()); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		closeOnce(r)
	}
	if before < 1000 {
		t.Fatalf("the ledger was hardly followed: %d", before)
	}
}

func TestDecayedFilesAreFoundByVerifyAndFetchedAgain(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"a bit of a full segment": func(t *testing.T, dir string) { edit(t, trusttest.SegmentFile(dir, 0, 256), flip) },
		"a bit of the newest":     func(t *testing.T, dir string) { edit(t, trusttest.SegmentFile(dir, 2, 88), flip) },
		"zeros": func(t *testing.T, dir string) {
			edit(t, trusttest.SegmentFile(dir, 1, 256), func(b []byte) []byte { return make([]byte, len(b)) })
		},
		"truncated": func(t *testing.T, dir string) {
			edit(t, trusttest.SegmentFile(dir, 2, 88), func(b []byte) []byte { return b[:len(b)-9] })
		},
		"longer": func(t *testing.T, dir string) {
			edit(t, trusttest.SegmentFile(dir, 0, 256), func(b []byte) []byte { return append(b, 0) })
		},
		"gone":     func(t *testing.T, dir string) { removeAll(t, trusttest.SegmentFile(dir, 1, 256)) },
		"all gone": func(t *testing.T, dir string) { removeAll(t, filepath.Join(dir, "tx")) },
		"swapped": func(t *testing.T, dir string) {
			b, err := os.ReadFile(trusttest.SegmentFile(dir, 1, 256))
			if err != nil {
				t.Fatal(err)
			}
			trusttest.Write(t, trusttest.SegmentFile(dir, 0, 256), b)
		},
	} {
		for _, running := range []bool{true, false} {
			for _, indexed := range []bool{true, false} {
				if running && indexed {
					continue // a running replica has the index in memory
				}
				t.Run(fmt.Sprintf("%s/running=%v/indexed=%v", name, running, indexed), func(t *testing.T) {
					w := newWorld(t, 599)
					m := w.mirror(600)
					r := w.open()
					w.sync(r)
					if !running {
						closeOnce(r)
					}
					spoil(t, w.cfg.Dir)
					if !indexed {
						_ = os.Remove(filepath.Join(w.cfg.Dir, "index")) // it may not have been written yet
					}
					if !running {
						r = w.open()
					}
					w.wantHead(r, w.l.At(600)) // remembered, whatever the files say
					m.Break("/", trusttest.Status(500))
					err := r.Verify(w.ctx())
					w.wantReason(err, trust.EvidenceUnavailable)
					_, err = r.ByDigest(image(5).Manifest)
					w.wantReason(err, trust.EvidenceUnreadable)
					m.Heal()
					m.Requests()
					if err := r.Verify(w.ctx()); err != nil {
						t.Fatal(err)
					}
					w.wantHead(r, w.l.At(600))
					w.wantAnswers(r, 600)
					w.wantNoEvidence(r)
					var fetched int
					for _, q := range m.Requests() {
						if strings.HasPrefix(q.Path, "/tx/") {
							fetched++
						}
					}
					if fetched == 0 || fetched > 2 && name != "all gone" {
						t.Errorf("%d segments were fetched to replace what decayed", fetched)
					}
					if err := r.Verify(w.ctx()); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	}
}

func TestLookupThatMeetsDecayIsRepairedByTheNextSync(t *testing.T) {
	w := newWorld(t, 299)
	w.mirror(300)
	r := w.open()
	w.sync(r)
	edit(t, trusttest.SegmentFile(w.cfg.Dir, 0, 256), func(b []byte) []byte { return make([]byte, len(b)) })
	_, err := r.ByDigest(image(5).Manifest)
	w.wantReason(err, trust.EvidenceUnreadable)
	if got, err := r.ByDigest(image(290).Manifest); err != nil || len(got) != 1 {
		t.Fatalf("what is whole is not answered: %v, %v", got, err)
	}
	w.sync(r)
	w.wantAnswers(r, 300)
	w.wantNoEvidence(r)
}

// TestIndexThatDoesNotFitIsRebuilt gives a replica another history's index, an old one, and damaged ones.
func TestIndexThatDoesNotFitIsRebuilt(t *testing.T) {
	w := newWorld(t, 299)
	m := w.mirror(100)
	r := w.open()
	w.sync(r)
	closeOnce(r)
	older := files(t, w.cfg.Dir)["index"]
	m.Serve(w.l.Tree(300))
	r = w.open()
	w.sync(r)
	closeOnce(r)
	fitting := files(t, w.cfg.Dir)["index"]

	v := newWorld(t, 299)
	v.mirror(300)
	q := v.open()
	v.sync(q)
	closeOnce(q)
	foreign := files(t, v.cfg.Dir)["index"]

	flipped := slices.Clone(fitting)
	flipped[len(flipped)/2] ^= 1
	for name, b := range map[string][]byte{
		"older, of our history": older, "of another history": foreign, "one bit": flipped, "half": fitting[:len(fitting)/2], "empty": nil,
	} {
		trusttest.Write(t, filepath.Join(w.cfg.Dir, "index"), b)
		r := w.open()
		w.wantAnswers(r, 300)
		if err := r.Verify(w.ctx()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		closeOnce(r)
	}
}

func edit(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	trusttest.Write(t, name, change(b))
}

func removeAll(t testing.TB, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}
