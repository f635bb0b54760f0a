package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"sort"
	"strings"
	"syscall"
)

// configFiles are looked for in this order; the first in a folder counts.
var configFiles = []string{"config.yaml", "config.yml", "config.json"}

// found is a folder with a configuration file.
type found struct {
	dir    string
	config string                 // path
	files  map[string]fs.FileInfo // of the folder, the ones the store knows
}

// walker looks for add-ons in a folder tree, at any depth.
type walker struct {
	root     *os.Root
	limits   Limits
	problems problems
	found    []found
	entries  int
	links    int
	link     string
	state    hash.Hash // over everything that decides what the summaries say
}

func walk(root *os.Root, l Limits) (*walker, error) {
	w := &walker{root: root, limits: l, state: sha256.New()}
	if err := w.dir(".", 0); err != nil {
		return nil, err
	}
	// Where two add-ons claim one slug the first path counts: an order that no file system changes.
	sort.Slice(w.found, func(i, j int) bool { return w.found[i].config < w.found[j].config })
	return w, nil
}

func (w *walker) sum() string { return hex.EncodeToString(w.state.Sum(nil)) }

func (w *walker) dir(dir string, depth int) error {
	f, err := openDir(w.root, dir)
	if err != nil {
		return err
	}
	var names []fs.DirEntry
	for {
		list, err := f.ReadDir(1000)
		names = append(names, list...)
		if w.entries += len(list); w.entries > w.limits.Files {
			_ = f.Close() // only read
			return fmt.Errorf("%w: more than %d files and folders", ErrHostile, w.limits.Files)
		}
		if errors.Is(err, io.EOF) || err == nil && len(list) == 0 {
			break
		}
		if err != nil {
			_ = f.Close() // only read
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	sort.Slice(names, func(i, j int) bool { return names[i].Name() < names[j].Name() })
	return w.names(dir, names, depth)
}

func (w *walker) names(dir string, names []fs.DirEntry, depth int) error {
	here := found{dir: dir, files: map[string]fs.FileInfo{}}
	for _, d := range names {
		name := path.Join(dir, d.Name())
		if strings.HasPrefix(d.Name(), ".") || d.Name() == "rootfs" {
			continue
		}
		if why := badName(d.Name()); why != "" {
			w.problems.add(name, "its name %s; it is left out", why)
			continue
		}
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			if w.links++; w.links == 1 {
				w.link = name
			}
		case d.IsDir():
			if depth >= w.limits.Depth || len(name) > maxPath {
				w.problems.add(name, "folders more than %d deep are left out", w.limits.Depth)
				continue
			}
			if err := w.dir(name, depth+1); err != nil && !errors.Is(err, fs.ErrNotExist) {
				if errors.Is(err, ErrHostile) {
					return err
				}
				w.problems.add(name, "it cannot be read: %v", err)
			}
		case known(d.Name()):
			w.file(&here, name, d)
		}
	}
	for _, c := range configFiles {
		if here.files[c] != nil {
			here.config = path.Join(dir, c)
			w.found = append(w.found, here)
			break
		}
	}
	return nil
}

func (w *walker) file(here *found, name string, d fs.DirEntry) {
	fi, err := d.Info()
	if err != nil {
		return // it has just gone
	}
	if !fi.Mode().IsRegular() {
		w.problems.add(name, "it is not a file; it is left out")
		return
	}
	here.files[d.Name()] = fi
	fmt.Fprintf(w.state, "%q %d %d", name, fi.Size(), fi.ModTime().UnixNano())
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		fmt.Fprintf(w.state, " %d %d.%d", st.Ino, st.Ctim.Sec, st.Ctim.Nsec)
	}
	fmt.Fprintln(w.state)
}

// known tells whether the store reads files of that name.
func known(name string) bool {
	if slices.Contains(configFiles, name) {
		return true
	}
	for _, a := range assets {
		if a.file == name {
			return true
		}
	}
	return false
}
