package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long the folder must be still: editors and copying programs write in several steps.
	quiet = 300 * time.Millisecond
	// atLatest bounds that wait in a folder that is never still.
	atLatest = 3 * time.Second
	// again is how often the file is looked at although nothing was reported: file systems without inotify, an
	// overflown queue, a folder that was replaced.
	again = 15 * time.Second
)

// Watch follows the file until ctx ends, and then returns nil. It calls f, from this goroutine, first with the file
// as it is now and then each time its content, or what is wrong with it, has changed: with a checked configuration, or
// with nil and the error while the caller keeps what it has. The folder is watched and not the file, and links are
// followed, so a file that is written in place, renamed over, deleted and made again, or swapped through a link to a
// folder, is seen. The error says that the system cannot watch at all.
func Watch(ctx context.Context, path string, f func(*Config, error)) error {
	w := watch{path: path, f: f}
	defer w.close()
	if err := w.follow(); err != nil {
		return fmt.Errorf("cannot watch %s: %w", path, err)
	}
	w.look()
	fallback := time.NewTicker(again)
	defer fallback.Stop()
	var due <-chan time.Time
	var latest time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.events():
			if !ok {
				return fmt.Errorf("cannot watch %s: the watcher has stopped", path)
			}
			now := time.Now()
			if due == nil {
				latest = now.Add(atLatest)
			}
			due = time.After(min(quiet, latest.Sub(now)))
			continue
		case <-w.errors(): // an overflow, as a rule: something changed
		case <-due:
		case <-fallback.C:
		}
		due = nil
		// A folder that is gone for now is looked for at the next tick.
		_ = w.follow()
		w.look()
	}
}

// watch is the state of one [Watch].
type watch struct {
	path    string
	fsw     *fsnotify.Watcher // nil until a folder could be watched
	f       func(*Config, error)
	folders map[string]bool
	begun   bool
	last    [sha256.Size]byte // of the content last told, or of the error
}

func (w *watch) events() <-chan fsnotify.Event {
	if w.fsw == nil {
		return nil
	}
	return w.fsw.Events
}

func (w *watch) errors() <-chan error {
	if w.fsw == nil {
		return nil
	}
	return w.fsw.Errors
}

func (w *watch) close() {
	if w.fsw != nil {
		_ = w.fsw.Close() // it holds nothing but inotify's file descriptor
		w.fsw = nil
	}
}

// follow watches the folder of the file and, if links lead elsewhere, every folder on the way. Adding a folder that is
// watched already is nothing, and renews the watch when it was replaced. When a folder was left, the watcher is made
// anew: fsnotify 1.10.1's Remove panics on a folder whose deletion it has just noticed itself.
func (w *watch) follow() error {
	folders := map[string]bool{}
	path, err := filepath.Abs(w.path)
	if err != nil {
		return err
	}
	for range 16 { // more links than that are a circle
		folders[filepath.Dir(path)] = true
		if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			folders[real] = true
			// The link that is swapped stands in the folder above: file -> ..data/file, ..data -> ..2026_11_20.
			folders[filepath.Dir(filepath.Dir(path))] = true
		}
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	for folder := range w.folders {
		if !folders[folder] {
			w.close()
		}
	}
	if w.fsw == nil {
		if w.fsw, err = fsnotify.NewWatcher(); err != nil {
			w.fsw = nil
			return err
		}
	}
	w.folders = folders
	var errs []error
	for folder := range folders {
		if err := w.fsw.Add(folder); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == len(folders) {
		return errors.Join(errs...)
	}
	return nil
}

// look reads the file and tells what is new.
func (w *watch) look() {
	data, err := read(w.path)
	var c *Config
	if err == nil {
		c, err = load(w.path, data)
	}
	sum := sha256.Sum256(data)
	if err != nil {
		sum = sha256.Sum256([]byte("error " + err.Error()))
	}
	if w.begun && sum == w.last {
		return
	}
	w.begun, w.last = true, sum
	w.f(c, err)
}
