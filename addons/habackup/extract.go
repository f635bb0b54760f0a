package habackup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/config/durable"
)

// reserve is what an extraction leaves free on the disk, so that everything else can go on.
const reserve = 256 << 20

// Skip is a member that was left out.
type Skip struct {
	Name string // in the archive
	Why  string
}

// Extract unpacks an add-on's data into dir/data and, where the backup has it, its public configuration into
// dir/config. dir must not be there and its parent must; put it on the file system of the final place, to be renamed.
// Owners, modes, times and links that stay inside are kept, set-user-ID bits of files are not. When there is no error,
// all of it is on the disk, and the list says what was left out; otherwise dir is gone again.
func (b *Backup) Extract(ctx context.Context, slug, dir string) ([]Skip, error) {
	skips, err := b.extract(ctx, slug, dir, false)
	if err != nil {
		return nil, fmt.Errorf("cannot take add-on %.140q from the backup: %w", slug, err)
	}
	return skips, nil
}

// Check reads an add-on's archive to its end and writes nothing: nil when it is whole and no name in it leaves its folder.
func (b *Backup) Check(ctx context.Context, slug string) error {
	r, err := b.members(ctx, slug, maxBytes)
	for err == nil {
		_, _, err = r.next()
	}
	if err != io.EOF {
		return fmt.Errorf("cannot take add-on %.140q from the backup: %w", slug, err)
	}
	return nil
}

// ExtractFolder does the same as Extract for a folder of [Info] or, as "homeassistant", for Home Assistant's configuration. Its
// content comes to dir/data.
func (b *Backup) ExtractFolder(ctx context.Context, folder, dir string) ([]Skip, error) {
	if !slices.Contains(folders, folder) {
		return nil, fmt.Errorf("cannot take folder %.140q from a backup; known are %s", folder, strings.Join(folders, ", "))
	}
	whole := folder != "homeassistant" || b.version < 2
	skips, err := b.extract(ctx, strings.ReplaceAll(folder, "/", "_"), dir, whole)
	if err != nil {
		return nil, fmt.Errorf("cannot take folder %q from the backup: %w", folder, err)
	}
	return skips, nil
}

// extract unpacks a part; whole puts all of its archive into dir/data.
func (b *Backup) extract(ctx context.Context, name, dir string, whole bool) (_ []Skip, err error) {
	free, err := room(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	r, err := b.members(ctx, name, min(maxBytes, free))
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir) // the caller removes what stays behind, as after a power cut
		}
	}()
	t := &tree{}
	if t.root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	defer func() { _ = t.root.Close() }() // only its descriptor is used
	if err := t.root.Mkdir("data", 0o700); err != nil {
		return nil, err
	}
	for {
		h, name, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		top := name
		if whole {
			top, name = "data", filepath.Join("data", name)
		} else {
			top, _, _ = strings.Cut(name, "/")
		}
		if top != "data" && top != "config" {
			continue // settings, profile and image are not the add-on's data
		}
		if h.Size > r.bytes.left {
			return nil, fmt.Errorf("%.200q: %w", name, &limitError{r.bytes.limit})
		}
		if r.count%1000 == 0 { // small files take more room than their size
			if _, err := room(dir); err != nil {
				return nil, err
			}
		}
		if err := t.add(h, name, whole, r.tar); err != nil {
			if r.bytes.failed != nil || errors.Is(err, io.ErrUnexpectedEOF) {
				err = damaged(err)
			}
			return nil, fmt.Errorf("%.200q: %w", name, err)
		}
	}
	if err := t.finish(); err != nil {
		return nil, err
	}
	return t.skips, flush(dir)
}

// room is what may be written to the file system of dir.
func room(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("cannot see the room in %s: %w", dir, err)
	}
	free := int64(st.Bavail)*st.Bsize - reserve
	if free <= 0 {
		return 0, fmt.Errorf("less than %d MiB is free in %s; make room", reserve>>20, dir)
	}
	return free, nil
}

// flush puts everything below dir, and dir itself, on the disk.
func flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(d.Fd())) // a million files synced one by one would take hours
	if err = errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("cannot sync %s: %w", dir, err)
	}
	return durable.SyncDir(filepath.Dir(dir))
}
