package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// exporter writes a commit's files to a folder. It makes plain files and folders only: no link, no device, no name that
// is not plain.
type exporter struct {
	git      *git
	disk     disk
	root     *os.Root
	tmp      string // for packs
	problems problems
	links    int
	link     string // the first one
	entries  int
	bytes    int64
	modules  int
}

// commit writes the tree of one commit below dir.
func (e *exporter) commit(ctx context.Context, p *pack, address string, want plumbing.Hash, dir string, depth int) error {
	c, err := p.commit(want)
	if err != nil {
		return err
	}
	t := &tree{exporter: e, ctx: ctx, pack: p, address: address, base: dir, nested: depth, modules: map[string]string{}}
	if err := t.count(c.TreeHash, 0); err != nil {
		return err
	}
	return t.folder(c.TreeHash, dir, 0)
}

// tree is the export of one commit: the repository's, or a submodule's.
type tree struct {
	*exporter
	ctx     context.Context
	pack    *pack
	address string
	base    string // where in the copy it begins
	nested  int    // submodules it lies in
	modules map[string]string
}

// count refuses what has too many entries before the first of them is written: eleven small objects can stand for ten
// billion files, and an SD card feels each one.
func (t *tree) count(h plumbing.Hash, depth int) error {
	list, err := t.pack.tree(h)
	if err != nil {
		return nil // folder says where it is
	}
	if t.entries += len(list.Entries); t.entries > t.git.limits.Files {
		return fmt.Errorf("%w: more than %d files and folders", ErrHostile, t.git.limits.Files)
	}
	for _, d := range list.Entries {
		if d.Mode == filemode.Dir && depth < t.git.limits.Depth {
			if err := t.count(d.Hash, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tree) folder(h plumbing.Hash, dir string, depth int) error {
	if err := t.ctx.Err(); err != nil {
		return reason(t.ctx, err)
	}
	list, err := t.pack.tree(h)
	if err != nil {
		return fmt.Errorf("%w: %s: %s", ErrHostile, clean(path.Join("/", dir)), clean(err.Error()))
	}
	if dir == t.base {
		for _, d := range list.Entries {
			if d.Name == ".gitmodules" && d.Mode == filemode.Regular {
				t.readModules(d.Hash)
			}
		}
	}
	for _, d := range list.Entries {
		name := path.Join(dir, d.Name)
		if why := badName(d.Name); why != "" {
			t.problems.add(dir+"/"+d.Name, "its name %s; it is left out", why)
			continue
		}
		if err := t.entry(d.Mode, d.Hash, name, depth); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) entry(mode filemode.FileMode, h plumbing.Hash, name string, depth int) error {
	switch mode {
	case filemode.Regular, filemode.Executable, filemode.Deprecated:
		return t.file(h, name)
	case filemode.Dir:
		if depth >= t.git.limits.Depth || len(name) > maxPath {
			t.problems.add(name, "folders more than %d deep are left out", t.git.limits.Depth)
			return nil
		}
		if err := t.disk.Mkdir(t.root, name); err != nil {
			return t.twice(name, err)
		}
		return t.folder(h, name, depth+1)
	case filemode.Symlink:
		if t.links++; t.links == 1 {
			t.link = name
		}
	case filemode.Submodule:
		return t.submodule(h, name)
	default:
		t.problems.add(name, "it is neither a file nor a folder; it is left out")
	}
	return nil
}

func (t *tree) file(h plumbing.Hash, name string) error {
	data, size, err := t.pack.blob(h, t.git.limits.File)
	switch {
	case errors.Is(err, errNoFile):
		t.problems.add(name, "%v; it is left out", err)
		return nil
	case err != nil:
		return err
	case data == nil && size > 0:
		t.problems.add(name, "%d bytes, the limit is %d; it is left out", size, t.git.limits.File)
		return nil
	}
	if t.bytes += size; t.bytes > t.git.limits.Total {
		return fmt.Errorf("%w: more than %d bytes in all its files", ErrHostile, t.git.limits.Total)
	}
	if err := t.disk.Create(t.root, name, data); err != nil {
		return t.twice(name, err)
	}
	return nil
}

// twice tells a tree that names one file two times from a disk that fails.
func (t *tree) twice(name string, err error) error {
	if errors.Is(err, os.ErrExist) {
		t.problems.add(name, "it stands there twice; the first counts")
		return nil
	}
	return err
}

// badName says why a name is left out, "" when it is not.
func badName(name string) string {
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\"):
		return "is no plain name"
	case strings.EqualFold(strings.TrimRight(name, ". "), ".git"):
		return "is git's own"
	case len(name) > maxName:
		return fmt.Sprintf("is longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return "is not UTF-8"
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f {
			return "has control characters"
		}
	}
	return ""
}

// readModules notes where the submodules come from. What can't be read means a submodule without an address.
func (t *tree) readModules(h plumbing.Hash) {
	data, _, err := t.pack.blob(h, maxModulesFile)
	if err == nil {
		err = t.parseModules(data)
	}
	if err != nil {
		t.problems.add(path.Join(t.base, ".gitmodules"), "it cannot be read: %v", err)
	}
}

func (t *tree) parseModules(data []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	m := config.NewModules()
	if err := m.Unmarshal(data); err != nil {
		return err
	}
	for _, s := range m.Submodules {
		t.modules[path.Join(t.base, s.Path)] = s.URL
	}
	return nil
}

// submodule fetches one at its commit. What is wrong with it for good is a problem of that folder; a server that can't
// be reached fails the whole, or the add-ons in it would vanish for a day of bad weather.
func (t *tree) submodule(want plumbing.Hash, name string) error {
	skip := func(format string, args ...any) error {
		t.problems.add(name, "submodule: "+format+"; it is left out", args...)
		return nil
	}
	if t.exporter.modules++; t.exporter.modules > t.git.limits.Modules {
		return skip("more than %d of them", t.git.limits.Modules)
	}
	if t.nested >= maxSubmoduleDepth {
		return skip("more than %d deep", maxSubmoduleDepth)
	}
	address, ok := t.modules[name]
	if !ok {
		return skip(".gitmodules does not say where it comes from")
	}
	address, err := submoduleAddress(t.address, address)
	if err != nil {
		return skip("%v", err)
	}
	fail := func(err error) error {
		if definite(err) {
			return skip("%v", err)
		}
		return fmt.Errorf("submodule %s: %w", clean(name), err)
	}
	r, err := t.git.look(t.ctx, address)
	if err != nil {
		return fail(err)
	}
	sub, err := os.MkdirTemp(t.tmp, "module")
	if err != nil {
		return err
	}
	p, err := r.fetch(t.ctx, t.git.limits, want, sub)
	if err != nil {
		return fail(err)
	}
	defer p.close()
	if err := t.disk.Mkdir(t.root, name); err != nil {
		return t.twice(name, err)
	}
	return t.exporter.commit(t.ctx, p, address, want, name, t.nested+1)
}
