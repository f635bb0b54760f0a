package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/castellan/castellan/addons"
)

// Kind is one of the files beside an add-on's configuration.
type Kind string

// The files an add-on may bring.
const (
	Icon      Kind = "icon"
	Logo      Kind = "logo"
	Readme    Kind = "readme"
	Docs      Kind = "docs"
	Changelog Kind = "changelog"
	AppArmor  Kind = "apparmor"
)

type asset struct {
	kind  Kind
	file  string
	limit int64
	image bool
	flag  func(*Entry) *bool
}

var assets = []asset{
	{Icon, "icon.png", maxImage, true, func(e *Entry) *bool { return &e.Icon }},
	{Logo, "logo.png", maxImage, true, func(e *Entry) *bool { return &e.Logo }},
	{Readme, "README.md", maxText, false, func(e *Entry) *bool { return &e.Readme }},
	{Docs, "DOCS.md", maxText, false, func(e *Entry) *bool { return &e.Docs }},
	{Changelog, "CHANGELOG.md", maxText, false, func(e *Entry) *bool { return &e.Changelog }},
	{AppArmor, "apparmor.txt", maxText, false, func(e *Entry) *bool { return &e.AppArmor }},
}

// Asset reads one file of an add-on, anew each time: a PNG whose head is in order, or UTF-8. Errors wrap [ErrNotFound]
// when the add-on or the file is not there, [ErrAsset] when it can't be shown.
func (s *Store) Asset(slug string, kind Kind) ([]byte, error) {
	i := slices.IndexFunc(assets, func(a asset) bool { return a.kind == kind })
	if i < 0 {
		return nil, fmt.Errorf("cannot read %s of add-on %s: %w: there is no such kind of file", clean(string(kind)), clean(slug), ErrNotFound)
	}
	a := assets[i]
	var data []byte
	err := s.read(slug, func(root *os.Root, e Entry) (err error) {
		data, err = readFile(root, path.Join(path.Dir(e.Path), a.file), a.limit)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w: it brings no %s", ErrNotFound, a.file)
		case err != nil:
		case a.image:
			err = checkImage(bytes.NewReader(data))
		default:
			err = checkText(data)
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrAsset, a.file, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read %s of add-on %s: %w", kind, clean(slug), err)
	}
	return data, nil
}

// Manifest reads and parses an add-on's configuration; raw is the file as it is.
func (s *Store) Manifest(slug string) (m addons.Manifest, raw []byte, err error) {
	err = s.read(slug, func(root *os.Root, e Entry) (err error) {
		m, raw, err = readManifest(root, e.Path)
		if err == nil && e.Slug != e.Repository+"_"+m.Slug {
			err = fmt.Errorf("its slug is now %s; refresh the repository", clean(m.Slug))
		}
		return err
	})
	if err != nil {
		return addons.Manifest{}, nil, fmt.Errorf("cannot read add-on %s: %w", clean(slug), err)
	}
	return m, raw, nil
}

var languageFile = regexp.MustCompile(`^([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,2})\.(?:yaml|yml|json)$`)

// Translations reads an add-on's translations, by language. A bad one is left out by its reason.
func (s *Store) Translations(slug string) (map[string]addons.Translation, []Problem, error) {
	all := map[string]addons.Translation{}
	var bad problems
	err := s.read(slug, func(root *os.Root, e Entry) error {
		dir := path.Join(path.Dir(e.Path), "translations")
		fi, err := root.Lstat(dir)
		if err != nil || !fi.IsDir() {
			return nil // it brings none
		}
		f, err := openDir(root, dir)
		if err != nil {
			return err
		}
		defer f.Close() // only read
		list, err := f.ReadDir(maxTranslations + 1)
		if err != nil && len(list) > 0 {
			return err
		}
		if len(list) > maxTranslations {
			bad.add(dir, "more than %d files; the rest is left out", maxTranslations)
			list = list[:maxTranslations]
		}
		slices.SortFunc(list, func(a, b fs.DirEntry) int { // .yaml and .yml before .json
			return cmp.Or(strings.Compare(stem(a), stem(b)), -strings.Compare(a.Name(), b.Name()))
		})
		for _, d := range list {
			name := path.Join(dir, d.Name())
			parts := languageFile.FindStringSubmatch(d.Name())
			if parts == nil {
				bad.add(name, "its name is not that of a language, as en.yaml; it is left out")
				continue
			}
			if _, ok := all[parts[1]]; ok {
				bad.add(name, "there is another file for %s; it is left out", parts[1])
				continue
			}
			t, err := readTranslation(root, name)
			if err != nil {
				bad.add(name, "%v; it is left out", err)
				continue
			}
			all[parts[1]] = t
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the translations of add-on %s: %w", clean(slug), err)
	}
	return all, bad.all(), nil
}

func stem(d fs.DirEntry) string { return strings.TrimSuffix(d.Name(), path.Ext(d.Name())) }

func readTranslation(root *os.Root, name string) (t addons.Translation, err error) {
	data, err := readFile(root, name, maxTranslation)
	if err != nil {
		return t, err
	}
	defer func() { // one stranger's file must not take the daemon down
		if r := recover(); r != nil {
			err = fmt.Errorf("it cannot be read (%s)", clean(fmt.Sprint(r)))
		}
	}()
	return addons.ParseTranslation(name, data)
}

// Folder is the folder of an add-on that is built on the appliance. It stays as it is until its repository changes; a
// build copies it first. It may hold links only where it is a local one.
func (s *Store) Folder(slug string) (string, error) {
	var dir string
	err := s.read(slug, func(root *os.Root, e Entry) error {
		dir = filepath.Join(root.Name(), filepath.FromSlash(path.Dir(e.Path)))
		_, err := root.Stat(path.Dir(e.Path))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("cannot find the folder of add-on %s: %w", clean(slug), err)
	}
	return dir, nil
}

// read calls do with the copy an entry lies in; the copy stays until do returns.
func (s *Store) read(slug string, do func(*os.Root, Entry) error) error {
	repo, _, _ := strings.Cut(slug, "_")
	s.mu.RLock()
	r := s.repos[repo]
	s.mu.RUnlock()
	if r == nil {
		return fmt.Errorf("%w: no repository has slug %s", ErrNotFound, clean(repo))
	}
	r.files.RLock()
	defer r.files.RUnlock()
	s.mu.RLock()
	idx := r.index
	s.mu.RUnlock()
	e, ok := idx.entry(slug)
	if !ok {
		return fmt.Errorf("%w: its repository does not hold it", ErrNotFound)
	}
	root, err := os.OpenRoot(s.copyDir(idx))
	if err != nil {
		return err
	}
	defer root.Close() // only read
	return do(root, e)
}
