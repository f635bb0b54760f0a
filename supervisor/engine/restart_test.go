package engine

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
)

// TestNeverTwoWritersAfterAnEngineRestart restarts real engines in every way one can go, in the middle of a change
// and outside of one. What an engine revives by itself must never be a second generation of a service.
func TestNeverTwoWritersAfterAnEngineRestart(t *testing.T) {
	ways := map[string]struct {
		flags []string
		end   func(*testenv.Daemon)
		keeps bool // containers run through it
	}{
		"stopped in good order":     {nil, (*testenv.Daemon).Stop, false},
		"killed":                    {nil, (*testenv.Daemon).Kill, false},
		"power cut":                 {nil, (*testenv.Daemon).PowerCut, false},
		"killed under live-restore": {[]string{"--live-restore"}, (*testenv.Daemon).Kill, true},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			d := testenv.PrivateEngine(t, way.flags...)
			h := newHouse(t, d.Host)
			if info, err := h.Info(t.Context()); err != nil || info.LiveRestore != way.keeps {
				t.Fatalf("info: %+v, %v", info, err)
			}
			img, permit := h.pulled(testenv.Build{}, "core")
			other, otherPermit := h.pulled(testenv.Build{Tag: "2.0"}, "mqtt")

			// core is in the middle of a change: the old generation stopped, the new one on probation.
			old := h.running(permit, img, "c1", spec.Container{})
			h.must(h.Settle(t.Context(), old.ID, "core", "unless-stopped"))
			h.must(h.Settle(t.Context(), old.ID, "core", "no"))
			h.must(h.Stop(t.Context(), old.ID, time.Second))
			next := h.running(permit, img, "c2", spec.Container{})
			// The next generation of mqtt is created only; its old one is committed and runs.
			committed := h.running(otherPermit, other, "c3", spec.Container{})
			h.must(h.Settle(t.Context(), committed.ID, "mqtt", "unless-stopped"))
			created := h.create(otherPermit, other, "c4", spec.Container{})
			// A committed one that its owner has stopped.
			stopped := h.running(otherPermit, other, "c5", spec.Container{})
			h.must(h.Settle(t.Context(), stopped.ID, "zigbee", "unless-stopped"))
			h.must(h.Stop(t.Context(), stopped.ID, time.Second))

			for range 2 {
				way.end(d)
				if _, err := h.List(t.Context(), ""); !errors.Is(err, supervisor.ErrEngineAway) {
					t.Errorf("list without an engine: %v", err)
				}
				d.Start()
				for what, id := range map[string]string{"stopped old generation": old.ID, "created generation": created.ID, "stopped by its owner": stopped.ID} {
					if c := h.look(id); c.Running {
						t.Errorf("%s runs again: %+v", what, c)
					}
				}
				if c := h.look(next.ID); c.Running != way.keeps {
					t.Errorf("generation on probation, running %v, want %v: %+v", c.Running, way.keeps, c)
				}
				// What the journal says must run, Castellan starts; for the committed one the engine may have been first.
				for _, id := range []string{next.ID, committed.ID} {
					h.must(h.Start(t.Context(), id))
					c := h.look(id)
					get(t, "http://"+c.IP+":8080/health")
				}
			}
			found, err := h.List(t.Context(), "")
			h.must(err)
			running := 0
			for _, c := range found {
				if c.Running {
					running++
				}
			}
			if len(found) != 5 || running != 2 {
				t.Errorf("%d containers, %d running: %+v", len(found), running, found)
			}
		})
	}
}

func TestPullToAFullDisk(t *testing.T) {
	testenv.Engine(t)
	small := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", small).CombinedOutput(); err != nil {
		t.Fatalf("cannot mount a small disk: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", small).Run() }) // the namespace takes it along otherwise
	h := newHouse(t, testenv.PrivateEngine(t, "--data-root", small).Host)
	_, permit := h.image(testenv.Build{Pad: 30 << 20}, "core")
	if _, err := h.Pull(t.Context(), permit, nil); !errors.Is(err, supervisor.ErrNoSpace) {
		t.Errorf("got %v", err)
	}
	if _, ok, err := h.Image(t.Context(), permit.Subject()); ok || err != nil {
		t.Errorf("half an image stayed: %v, %v", ok, err)
	}
	if _, err := os.Stat(small); err != nil {
		t.Error(err)
	}
}
