package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/castellan/castellan/config/durable"
)

// plan is a restore as it is written down.
type plan struct {
	Format  int      `json:"format"`
	Phase   string   `json:"phase"`
	Folders []string `json:"folders"` // in which it is prepared; the old data ends there
	Swaps   []swap   `json:"swaps,omitempty"`
}

const planFormat = 1

// Phases of a restore: what is found as preparing goes, what is found as placing goes on.
const preparing, placing = "preparing", "placing"

// swap is one folder that takes another's place.
type swap struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Aside string `json:"aside"` // where the old one goes when the file system can't exchange them
	Inode uint64 `json:"inode"` // of the new one: where it is tells what was done
}

func (p *plan) write(d disk, journal string) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return d.write(journal, b)
}

// finish does what of the exchanges was not done, and clears up.
func (p *plan) finish(d disk, journal string) error {
	for _, s := range p.Swaps {
		if now, err := inodeOf(s.To); err == nil && now == s.Inode {
			continue // it was done before the cut
		}
		if now, err := inodeOf(s.From); err != nil || now != s.Inode {
			return fmt.Errorf("%s is not the folder that was prepared; restore the backup again once %s is removed", s.From, journal)
		}
		if err := durable.MkdirAll(filepath.Dir(s.To), 0o755); err != nil {
			return err
		}
		if err := d.exchange(s.From, s.To, s.Aside); err != nil {
			return err
		}
	}
	return p.drop(d, journal)
}

// drop removes the folders, whatever is in them, and the journal after them.
func (p *plan) drop(d disk, journal string) error {
	for _, f := range p.Folders {
		if err := d.removeAll(f); err != nil {
			return err
		}
	}
	return d.remove(journal)
}

// Resume ends a restore that was cut off: one that was being prepared is forgotten, one that was being put in place goes
// on, so that all of it is. Without one it does nothing. It can run as often as needed.
func Resume(journal string) error { return resume(osDisk{}, journal) }

func resume(d disk, journal string) error {
	p, err := readPlan(journal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		switch p.Phase {
		case preparing:
			err = p.drop(d, journal)
		case placing:
			err = p.finish(d, journal)
		default:
			err = fmt.Errorf("unknown phase %q", p.Phase)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot end the restore of %s: %w", journal, err)
	}
	return nil
}

func readPlan(journal string) (p plan, err error) {
	b, err := os.ReadFile(journal)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err == nil && p.Format != planFormat {
		err = fmt.Errorf("its format is %d, this Castellan knows %d; install the one that wrote it", p.Format, planFormat)
	}
	return p, err
}
