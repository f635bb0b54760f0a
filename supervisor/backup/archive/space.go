package archive

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// free is what may be written to the file system of dir while reserve stays.
func free(dir string, reserve int64) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("cannot see the room in %s: %w", dir, err)
	}
	return int64(st.Bavail)*st.Bsize - reserve, nil
}

// fits says ErrNoSpace with numbers when fewer than need bytes may be written.
func fits(dir string, reserve, need int64) error {
	n, err := free(dir, reserve)
	if err != nil || n >= need {
		return err
	}
	return fmt.Errorf("%w: %s has %d MiB free beside the %d MiB kept for everything else, and at least %d MiB are needed; remove what is not needed",
		ErrNoSpace, dir, max(0, n)>>20, reserve>>20, (need+1<<20-1)>>20)
}

// look is after how many written bytes the room is looked at again.
const look = 32 << 20

// watcher looks at the room on the disk while it is being filled.
type watcher struct {
	dir     string
	reserve int64
	since   int64
}

// wrote is told of n more bytes.
func (w *watcher) wrote(n int64) error {
	if w.since += n; w.since < look {
		return nil
	}
	w.since = 0
	return fits(w.dir, w.reserve, 1)
}
