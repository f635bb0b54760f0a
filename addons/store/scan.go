package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sort"
	"time"

	"github.com/castellan/castellan/addons"
)

// scanRules is the version of what scan makes of a folder; an index of another one is made anew.
const scanRules = 2

// Entry is a short summary of an add-on in the store.
type Entry struct {
	Slug        string   `json:"slug"` // full, as "core_mosquitto"
	Repository  string   `json:"repository"`
	Path        string   `json:"path"` // of its configuration file, in the repository
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Version     string   `json:"version"`
	Stage       string   `json:"stage,omitempty"`
	URL         string   `json:"url,omitempty"`
	Arch        []string `json:"arch,omitempty"`
	Machine     []string `json:"machine,omitempty"` // empty = all
	Core        string   `json:"core,omitempty"`    // oldest Home Assistant Core, "" = any
	Image       string   `json:"image,omitempty"`   // "" = built on the appliance
	Advanced    bool     `json:"advanced,omitzero"`
	Access      string   `json:"access,omitzero"`     // as [addons.Access]; "" = read by an older program
	Publisher   string   `json:"publisher,omitempty"` // that its author claims must vouch for it

	Icon      bool `json:"icon,omitzero"`
	Logo      bool `json:"logo,omitzero"`
	Readme    bool `json:"readme,omitzero"`
	Docs      bool `json:"docs,omitzero"`
	Changelog bool `json:"changelog,omitzero"`
	AppArmor  bool `json:"apparmor,omitzero"`

	// FirstSeen is when this appliance first saw this version in its repository. Zero means unknown: its clock was
	// not set then; count such a version as new.
	FirstSeen time.Time `json:"firstSeen,omitzero"`
}

// Build tells whether the add-on is built on the appliance.
func (e Entry) Build() bool { return e.Image == "" }

// scan makes entries of what a walk found. A bad add-on is a problem and no entry.
func (w *walker) scan(repo string) []Entry {
	if w.links > 0 {
		w.problems.add(w.link, "symbolic links are never followed; this one and %d more are left out", w.links-1)
	}
	var entries []Entry
	claimed := map[string]string{}
	for _, f := range w.found {
		if len(entries) >= w.limits.Addons {
			w.problems.add(f.config, "a repository may hold %d add-ons; the rest is left out", w.limits.Addons)
			break
		}
		m, _, err := readManifest(w.root, f.config)
		if err != nil {
			w.problems.add(f.config, "%v; the add-on is left out", err)
			continue
		}
		e := entryOf(repo, f.config, m)
		switch other := claimed[e.Slug]; {
		case other != "":
			w.problems.add(f.config, "its slug %s is that of %s; the add-on is left out", m.Slug, other)
			continue
		case !addonSlug.MatchString(m.Slug):
			w.problems.add(f.config, "slug %q cannot name a container; the add-on is left out", m.Slug)
			continue
		case len(e.Version) > maxVersion || max(len(e.URL), len(e.Image), len(e.Core)) > maxField || max(len(e.Arch), len(e.Machine)) > maxNames:
			w.problems.add(f.config, "its version, url, image or lists are longer than a summary may be; the add-on is left out")
			continue
		case len(e.Slug) > maxContainerName:
			w.problems.add(f.config, "its full slug has %d characters, the limit is %d; the add-on is left out", len(e.Slug), maxContainerName)
			continue
		}
		claimed[e.Slug] = f.config
		for _, a := range assets {
			fi := f.files[a.file]
			if fi == nil {
				continue
			}
			if err := w.asset(path.Join(f.dir, a.file), a, fi); err != nil {
				w.problems.add(path.Join(f.dir, a.file), "%v; it is not shown", err)
				continue
			}
			*a.flag(&e) = true
		}
		entries = append(entries, e)
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Slug < entries[j].Slug })
	return entries
}

func entryOf(repo, config string, m addons.Manifest) Entry {
	return Entry{
		Slug: repo + "_" + m.Slug, Repository: repo, Path: config,
		Name: clean(m.Name), Description: clean(m.Description), Version: m.Version, Stage: m.Stage, URL: m.URL,
		Arch: m.Arch, Machine: m.Machine, Core: m.Core, Image: m.Image, Advanced: m.Advanced, Access: string(m.Rights().Access()), Publisher: m.Publisher,
	}
}

// asset looks at the size of a text and at the head of an image; a text is read when it is asked for.
func (w *walker) asset(name string, a asset, fi fs.FileInfo) error {
	if fi.Size() > a.limit {
		return fmt.Errorf("%d bytes, the limit is %d", fi.Size(), a.limit)
	}
	if !a.image {
		return nil
	}
	f, _, err := openFile(w.root, name)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	return checkImage(f)
}

// readManifest reads and parses a configuration file.
func readManifest(root *os.Root, name string) (m addons.Manifest, raw []byte, err error) {
	raw, err = readFile(root, name, maxConfig)
	if err != nil {
		return m, nil, err
	}
	defer func() { // one stranger's file must not take the daemon down
		if r := recover(); r != nil {
			m, err = addons.Manifest{}, fmt.Errorf("it cannot be read (%s)", clean(fmt.Sprint(r)))
		}
	}()
	m, err = addons.ParseManifest(name, raw)
	if err == nil && (m.Slug == "" || m.Version == "") {
		err = errors.New("it has no slug or no version")
	}
	return m, raw, err
}
