package lifecycle

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestOneImportOfAnAddonAtATime(t *testing.T) {
	w := newWorld(t)
	done, err := w.m.Importing(radio)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.m.Importing(radio); !errors.Is(err, ErrImporting) {
		t.Errorf("a second one: %v", err)
	}
	other, err := w.m.Importing("core_tv")
	if err != nil {
		t.Errorf("one of another add-on: %v", err)
	}
	other()
	done()
	if done, err = w.m.Importing(radio); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	done()
}

// TestTheSweepAtTheStartSparesAnImport: the API answers already, and an import may have begun to unpack.
func TestTheSweepAtTheStartSparesAnImport(t *testing.T) {
	for _, begun := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.installed()
			w.write("data/.core_radio.import/data/state", "unpacked")
			w.boot()
			if begun {
				done, err := w.m.Importing(radio)
				if err != nil {
					t.Fatal(err)
				}
				defer done()
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- w.m.Run(ctx) }()
			synctest.Wait()
			if exists(w.m.ImportFolder(radio)) != begun {
				t.Errorf("an import has begun: %v; its folder is there: %v", begun, !begun)
			}
			cancel()
			<-ended
		})
	}
}

// TestWhatGoesOnAfterACutSparesTheNextImport: the former import took its place, and the next one has begun.
func TestWhatGoesOnAfterACutSparesTheNextImport(t *testing.T) {
	w := newWorld(t)
	w.installed()
	if err := w.m.Stop(ctx, radio); err != nil {
		t.Fatal(err)
	}
	w.write("data/.core_radio.import/data/state", "imported")
	w.calls, w.at, w.applied = nil, 0, true
	_ = w.m.SetData(ctx, radio, func(*Record) {}) // cut right after the wish is kept
	w.at = -1
	w.boot()
	done, err := w.m.Importing(radio)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	w.write("data/.core_radio.import/config/next", "unpacked")
	w.rest()
	if w.read("data/"+radio+"/state") != "imported" || w.read("data/.core_radio.import/config/next") == "" {
		t.Errorf("imported: %q, the next one: %q", w.read("data/"+radio+"/state"), w.read("data/.core_radio.import/config/next"))
	}
}
