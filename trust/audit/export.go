package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
)

// Export writes the log as one file that [Verify] can check: its lines as they are and, unless redacted, the private
// texts behind them. A redacted export holds no user name, no free-text reason and no name of a private component,
// and verifies all the same. Evidence is not part of it; see [Log.Evidence].
func (l *Log) Export(w io.Writer, redacted bool) error {
	last := l.Last()
	segs, err := segments(l.dir)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for _, s := range segs {
		err := eachLineOf(s.path, -1, func(_ int, line []byte, whole bool) error {
			// Lines that are no records are exported too: a broken log must look broken to whoever gets it.
			if rec, err := parseRecord(line); !whole || err == nil && rec.Seq > last {
				return nil
			}
			_, err := out.Write(append(slices.Clip(line), '\n'))
			return err
		})
		if err != nil {
			return fmt.Errorf("cannot export verification log: %w", err)
		}
	}
	if !redacted {
		if err := l.private.export(out); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("cannot export verification log: %w", err)
	}
	return nil
}

func (p *privates) export(w io.Writer) error {
	p.mu.Lock()
	all := make([]privateText, 0, len(p.texts))
	for _, t := range p.texts {
		all = append(all, t)
	}
	p.mu.Unlock()
	sort.Slice(all, func(i, j int) bool { return string(all[i].Private) < string(all[j].Private) })
	for _, t := range all {
		line, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("cannot export private text: %w", err)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("cannot export private texts: %w", err)
		}
	}
	return nil
}
