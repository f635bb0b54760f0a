package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Kind says what a part of a backup is.
type Kind string

// Kinds of parts, in Home Assistant's words where it has them.
const (
	HomeAssistant Kind = "homeassistant" // its configuration
	Addon         Kind = "addon"
	Folder        Kind = "folder"     // share, ssl, media, addons/local
	Supervisor    Kind = "supervisor" // Castellan's own settings
)

// Type says whether everything is in a backup.
type Type string

// Types of backups.
const (
	Full    Type = "full"
	Partial Type = "partial"
)

// Origin says who wanted a backup, which decides whether it is ever removed by itself.
type Origin string

// Origins. What is neither of the last two is the owner's.
const (
	Owner        Origin = "owner"
	Scheduled    Origin = "schedule"
	BeforeUpdate Origin = "update" // of Request.Service
)

// Unit is one part to be: what can be restored by itself.
type Unit struct {
	Kind       Kind
	Slug       string // unique within a backup; of a folder its name: share, addons/local
	Name       string // for people
	Version    string // installed, "" = none
	Image      string // repository@digest it ran from, "" = none; a restore has it judged again
	NoDatabase bool   // Home Assistant's database was excluded; only told, Exclude does it

	Trees []Tree // its folders; a missing one is left out with a note

	// Meta is kept in the part, encrypted with it: the settings, grants and manifest a restore installs from. At most
	// 8 MiB of JSON, nil = none.
	Meta json.RawMessage

	// Exclude tells what stays out, by the name in the part ("data/cache"); of a folder everything below too. nil = nothing.
	Exclude func(name string, fi fs.FileInfo) bool

	// Before is called before the unit is read, After when that has ended, however it has: stop and start for a cold
	// backup, the add-on's backup_pre and backup_post for a hot one. After is called whenever the unit was begun, also when
	// Before failed, something panicked or ctx ended; its ctx is not cancelled with the backup's and ends after HookGrace. An
	// error of Before fails the backup, one of After is told in Made. nil = nothing to do.
	Before, After func(ctx context.Context) error

	// Around calls write, once, to have the unit written, and returns its error or one of its own; Before and After run within.
	// write tells how many bytes of the unit's files were read, of those that were counted first, as Request.Progress does.
	// nil = nobody looks.
	Around Around
}

// Around is called for a unit's turn: it calls do once, with whom to tell of the bytes, nil = nobody.
type Around func(ctx context.Context, do func(ctx context.Context, progress func(done, total int64)) error) error

// run has a unit's turn taken, and refuses that it is passed over.
func (a Around) run(ctx context.Context, do func(ctx context.Context, progress func(done, total int64)) error) error {
	if a == nil {
		return do(ctx, nil)
	}
	called := 0
	err := a(ctx, func(ctx context.Context, progress func(done, total int64)) error { called++; return do(ctx, progress) })
	if err == nil && called != 1 {
		err = fmt.Errorf("its turn was taken %d times instead of once", called)
	}
	return err
}

// HookGrace bounds the time Unit.After may take.
const HookGrace = 10 * time.Minute

// Tree is a folder of a unit.
type Tree struct {
	Name string // in the part: data, config
	Path string // absolute
}

// Request is a backup to be made.
type Request struct {
	Name         string // for people, 1 to 256 bytes
	Type         Type
	Origin       Origin
	Service      string   // whose update it was made before, with BeforeUpdate
	Version      string   // of this Castellan
	Repositories []string // of add-ons, known to it
	Seal         Seal     // how it is encrypted; the zero value does not
	Units        []Unit   // written in this order

	// Doubt is told, instead of the backup being refused, that it may not fit: how much smaller than its files it comes out is a
	// guess. It is begun then, and fails when the room ends. nil = it is refused.
	Doubt func(error)

	// Progress is told, from the calling goroutine and a few times a second at most, how many bytes of files were read, of a
	// total that was counted first. done never shrinks nor exceeds total and ends as total. nil = nobody looks.
	Progress func(done, total int64)
}

// Made is a backup that was made.
type Made struct {
	Info
	Notes []Note  // what was left out or changed while it was read; they are in the backup too
	After []error // of Unit.After: the backup is whole, but a service may not be up again
}

// Note says what became of something that is not in a backup as it was on the disk.
type Note struct {
	Unit string `json:"unit"`
	Name string `json:"name"` // in the part
	Why  string `json:"why"`
}

var (
	unitPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9][A-Za-z0-9._-]{0,15})?$`)
	treePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
)

// fileName is the part's name in the outer archive.
func fileName(slug string, sealed bool) string {
	name := strings.ReplaceAll(slug, "/", "_") + ".tar.zst"
	if sealed {
		name += ".age"
	}
	return name
}

// check refuses what could not be read back.
func (r *Request) check() error {
	if r.Name == "" || plain(r.Name) != r.Name {
		return fmt.Errorf("%.300q is no name for a backup: want 1 to %d printable bytes", r.Name, maxText)
	}
	if r.Type != Full && r.Type != Partial {
		return fmt.Errorf("type %.40q: want full or partial", r.Type)
	}
	if len(r.Units) == 0 || len(r.Units) > maxParts {
		return fmt.Errorf("it has %d parts: want 1 to %d", len(r.Units), maxParts)
	}
	if len(r.Repositories) > maxRepositories {
		return fmt.Errorf("it names %d repositories, more than %d", len(r.Repositories), maxRepositories)
	}
	files := map[string]bool{}
	for i := range r.Units {
		u := &r.Units[i]
		name := fileName(u.Slug, false)
		if !unitPattern.MatchString(u.Slug) || files[name] {
			return fmt.Errorf("part %.80q: no slug, or there already", u.Slug)
		}
		files[name] = true
		if err := u.check(); err != nil {
			return fmt.Errorf("part %s: %w", u.Slug, err)
		}
	}
	return nil
}

func (u *Unit) check() error {
	if !u.Kind.known() {
		return fmt.Errorf("unknown kind %.40q", u.Kind)
	}
	if len(u.Meta) > maxMeta || u.Meta != nil && !json.Valid(u.Meta) {
		return fmt.Errorf("its settings are no JSON or more than %d MiB", maxMeta>>20)
	}
	seen := map[string]bool{}
	for _, t := range u.Trees {
		if !treePattern.MatchString(t.Name) || seen[t.Name] {
			return fmt.Errorf("folder %.40q: no name, or there already", t.Name)
		}
		seen[t.Name] = true
		if !filepath.IsAbs(t.Path) {
			return fmt.Errorf("folder %s: %q is not an absolute path", t.Name, t.Path)
		}
	}
	return nil
}

func (k Kind) known() bool {
	return k == HomeAssistant || k == Addon || k == Folder || k == Supervisor
}
