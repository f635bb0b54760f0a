package archive

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/config/durable"
)

// Target says where the trees of a unit go. Trees of the unit that are not named stay in the backup; places whose tree the
// backup does not have stay as they are.
type Target struct {
	Unit  string            // slug in the backup
	Trees map[string]string // tree -> absolute path of the folder whose place it takes

	Around Around // is called to unpack the unit, and told of the bytes read from its part; nil = nobody looks
}

// Prepared is a restore that needs only to be put in place.
type Prepared struct {
	Units []About // in the order of the targets: what to install from, and what was not in the backup as it was

	journal string
	plan    plan
	disk    disk
}

// beside ends the names of folders in which a restore is prepared, next to the first place of a unit.
const beside = ".castellan-restore"

// Prepare unpacks units beside the places they are to take and checks all of them; nothing that is in use is touched, and
// services may run. journal names the file in which the restore is written down; there is one restore at a time for each
// journal, and [Resume] with it must run at every start before services do. When Prepare fails, nothing is left. progress
// is told of the bytes read from the backup and may be nil.
func (b *Backup) Prepare(ctx context.Context, journal string, key Key, targets []Target, progress func(done, total int64)) (*Prepared, error) {
	return b.prepare(ctx, osDisk{}, journal, key, targets, progress)
}

func (b *Backup) prepare(ctx context.Context, d disk, journal string, key Key, targets []Target, progress func(done, total int64)) (_ *Prepared, err error) {
	fail := func(err error) error { return fmt.Errorf("cannot restore backup %s: %w", b.Slug, err) }
	if exists(journal) {
		return nil, fail(ErrUnended)
	}
	p := &Prepared{journal: journal, plan: plan{Format: planFormat, Phase: preparing}, disk: d}
	folders, m, err := b.folders(targets)
	if err != nil {
		return nil, fail(err)
	}
	m.tell = progress
	for _, f := range folders {
		if err := d.removeAll(f); err != nil { // nobody's: no journal tells of it
			return nil, fail(err)
		}
	}
	p.plan.Folders = folders
	if err := p.plan.write(d, journal); err != nil {
		return nil, fail(err)
	}
	finished := false
	defer func() {
		if !finished {
			_ = p.Drop() // else Resume does it
		}
	}()
	for i, t := range targets {
		var about About
		err := t.Around.run(ctx, func(ctx context.Context, progress func(done, total int64)) (err error) {
			part := meter{tell: progress, total: b.Part(t.Unit).Size}
			about, err = b.Extract(ctx, t.Unit, folders[i], key, func(n int64) { part.add(n); m.add(n) })
			if err == nil {
				part.end()
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		p.Units = append(p.Units, about)
		for _, name := range slices.Sorted(maps.Keys(t.Trees)) {
			from := filepath.Join(folders[i], name)
			if !exists(from) {
				continue
			}
			ino, err := inodeOf(from)
			if err != nil {
				return nil, fail(err)
			}
			p.plan.Swaps = append(p.plan.Swaps, swap{From: from, To: t.Trees[name], Aside: from + ".before", Inode: ino})
		}
	}
	m.end()
	finished = true
	return p, nil
}

// folders checks the targets and says where each is prepared.
func (b *Backup) folders(targets []Target) (folders []string, m meter, err error) {
	var places []string
	for _, t := range targets {
		part := b.Part(t.Unit)
		if part == nil || len(t.Trees) == 0 {
			return nil, m, fmt.Errorf("it holds no part %.80q, or nothing of it is wanted", t.Unit)
		}
		m.total += part.Size
		first := ""
		for _, name := range slices.Sorted(maps.Keys(t.Trees)) {
			to := t.Trees[name]
			if !treePattern.MatchString(name) || !clean(to) || to == "/" {
				return nil, m, fmt.Errorf("%s: %q is not a clean absolute path for %q", t.Unit, to, name)
			}
			if err := durable.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return nil, m, err
			}
			if first == "" {
				first = filepath.Dir(to)
			}
			if !sameDevice(first, filepath.Dir(to)) || exists(to) && !sameDevice(to, first) {
				return nil, m, fmt.Errorf("%s: %s is a mount point or on another disk than %s and could not be exchanged", t.Unit, to, first)
			}
			if fi, err := os.Lstat(to); err == nil && !fi.IsDir() {
				return nil, m, fmt.Errorf("%s: %s is no folder", t.Unit, to)
			}
			places = append(places, to)
		}
		folders = append(folders, filepath.Join(first, "."+strings.ReplaceAll(t.Unit, "/", "_")+beside))
	}
	if len(targets) == 0 {
		return nil, m, fmt.Errorf("nothing of it is wanted")
	}
	slices.Sort(places)
	for i := 1; i < len(places); i++ {
		if places[i] == places[i-1] || strings.HasPrefix(places[i], places[i-1]+"/") {
			return nil, m, fmt.Errorf("%s lies in %s, and both are to be replaced", places[i], places[i-1])
		}
	}
	sorted := slices.Sorted(slices.Values(folders))
	if len(slices.Compact(sorted)) != len(folders) {
		return nil, m, fmt.Errorf("a part of it is wanted twice")
	}
	return folders, m, nil
}

// Drop gives the restore up and removes what was prepared.
func (p *Prepared) Drop() error {
	if err := p.plan.drop(p.disk, p.journal); err != nil {
		return fmt.Errorf("cannot drop the restore: %w", err)
	}
	return nil
}

// Place puts everything that was prepared in its place; the services must not run. Once it has begun there is no way
// back: after an error, and after a power cut, [Resume] goes on with it. After ErrNotBegun it has not begun: [Prepared.Drop].
func (p *Prepared) Place() error {
	p.plan.Phase = placing
	if err := p.plan.write(p.disk, p.journal); err != nil {
		if kept, unread := readPlan(p.journal); unread == nil && kept.Phase == preparing {
			err = fmt.Errorf("%w: %w", ErrNotBegun, err)
		}
		return fmt.Errorf("cannot put the restored data in place: %w", err)
	}
	if err := p.plan.finish(p.disk, p.journal); err != nil {
		return fmt.Errorf("cannot put the restored data in place: %w", err)
	}
	return nil
}

func sameDevice(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Lstat(a, &x) == nil && unix.Lstat(b, &y) == nil && x.Dev == y.Dev
}

func inodeOf(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return st.Ino, nil
}
