package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrExists says that a backup is here already.
var ErrExists = errors.New("this backup is here already")

// Add takes a backup in that was made before, here or elsewhere: it is checked as a whole, but for what only its key
// could tell, and kept like one the owner has made, so that nothing removes it by itself. It waits while a backup is being
// made. When it fails nothing is left of it.
func (s *Store) Add(ctx context.Context, r io.Reader) (Info, error) {
	info, err := s.add(ctx, r)
	if err != nil {
		return Info{}, fmt.Errorf("cannot take the backup in: %w", full(err))
	}
	return info, nil
}

func (s *Store) add(ctx context.Context, r io.Reader) (_ Info, err error) {
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	if err := fits(s.dir, s.reserve, look); err != nil {
		return Info{}, err
	}
	out, err := s.draft()
	if err != nil {
		return Info{}, err
	}
	defer out.undo()
	if err := s.receive(ctx, out, r); err != nil {
		return Info{}, err
	}
	// Only now: who sends slowly, or never ends, must keep no backup before an update waiting.
	if err := s.begin(ctx); err != nil {
		return Info{}, err
	}
	defer func() { <-s.turn }()
	info, err := s.inspect(ctx, out)
	if err != nil {
		return Info{}, err
	}
	if exists(s.path(info.Slug)) {
		return Info{}, fmt.Errorf("%s: %w", info.Slug, ErrExists)
	}
	if err := out.keep(info.Slug); err != nil {
		return Info{}, err
	}
	return info, nil
}

// receive writes r to out while there is room.
func (s *Store) receive(ctx context.Context, out io.Writer, r io.Reader) error {
	watch := watcher{dir: s.dir, reserve: s.reserve}
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if _, err := out.Write(buf[:n]); err != nil {
			return err
		}
		if err := watch.wrote(int64(n)); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// inspect checks what was received and makes it the owner's.
func (s *Store) inspect(ctx context.Context, out outFile) (Info, error) {
	b, err := load(out.Name()) // whose errors do not show the temporary name
	if err != nil {
		return Info{}, err
	}
	defer b.Close() // only read
	if err := b.Verify(ctx, nil); err != nil {
		return Info{}, err
	}
	info := b.Info
	if info.Origin != BeforeUpdate && info.Origin != Scheduled {
		return info, nil
	}
	info.Origin, info.Service = Owner, ""
	_, head, err := readHead(b.file, info.Size)
	if err != nil {
		return Info{}, err
	}
	text, err := info.encodeInto(int(head))
	if err != nil {
		return Info{}, err
	}
	_, err = out.WriteAt(text, block)
	return info, err
}
