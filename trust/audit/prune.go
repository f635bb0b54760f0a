package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// PrunePayload is the payload of a `prune` record: what was deleted after the record was on disk.
type PrunePayload struct {
	First uint64       `json:"first"` // sequence numbers, both gone
	Last  uint64       `json:"last"`
	Hash  trust.Digest `json:"hash"`  // of line Last: what the oldest remaining line follows
	File  trust.Digest `json:"file"`  // of the whole segment, for whoever kept a copy
	Bytes int64        `json:"bytes"` // its size
}

// pruneIfFull logs that the oldest segment goes, and deletes it once that is on disk. A cut in between leaves the
// segment and the record, and the next append prunes it again. Flusher only; needs mu.
func (l *Log) pruneIfFull() {
	if l.pruning || l.closed || l.failed != nil {
		return
	}
	l.mu.Unlock()
	victim, payload, ok := l.victim()
	l.mu.Lock()
	if !ok || l.closed {
		return
	}
	l.pruning = true
	_, b := l.enqueue(KindPrune, l.o.Now().UTC(), payload)
	b.after = append(b.after, func() {
		l.remove(victim)
		l.mu.Lock()
		l.pruning = false
		l.mu.Unlock()
	})
}

type pruned struct {
	path string
	PrunePayload
}

// victim is the oldest segment when there are too many or evidence takes too much. A folder that cannot be read is
// left as it is: pruning saves space, and a disk in that state has other things to say.
func (l *Log) victim() (v pruned, payload []byte, ok bool) {
	segs, err := segments(l.dir)
	if err != nil || len(segs) < 2 || segs[0].first == l.first {
		return v, nil, false
	}
	if len(segs) <= l.o.MaxSegments && l.evidenceBytes() <= l.o.EvidenceBytes {
		return v, nil, false
	}
	data, err := os.ReadFile(segs[0].path)
	if err != nil {
		return v, nil, false
	}
	v = pruned{segs[0].path, PrunePayload{
		First: segs[0].first, Last: segs[1].first - 1, File: trust.DigestOf(data), Bytes: int64(len(data)), Hash: genesis,
	}}
	if end := lastLine(data); end != nil {
		v.Hash = trust.DigestOf(end)
	}
	payload, err = json.Marshal(v.PrunePayload)
	return v, payload, err == nil
}

// remove deletes a pruned segment and what only it needed. What cannot be deleted now is found by the next pruning.
func (l *Log) remove(v pruned) {
	if err := durable.Remove(v.path); err != nil {
		return
	}
	_ = l.sweep(v.Last) // costs space only
}

// sweep deletes the evidence, and the private texts as old as the pruned lines, that no remaining line names.
func (l *Log) sweep(last uint64) error {
	entries, err := os.ReadDir(filepath.Join(l.dir, "evidence"))
	if err != nil {
		return err
	}
	segs, err := segments(l.dir)
	if err != nil {
		return err
	}
	l.mu.Lock()
	unnamed := make(map[trust.Digest]int64, len(entries))
	for _, e := range entries {
		d, ok := evidenceDigest(e.Name())
		if fi, err := e.Info(); err == nil && ok && l.held[d] == 0 {
			unnamed[d] = fi.Size()
		}
	}
	l.mu.Unlock()
	l.private.mu.Lock()
	named := make(map[trust.Digest]bool, len(l.private.texts))
	for d := range l.private.texts {
		named[d] = false
	}
	l.private.mu.Unlock()
	for _, s := range segs {
		err := eachLineOf(s.path, -1, func(_ int, line []byte, _ bool) error {
			eachDigest(line, func(d trust.Digest) {
				delete(unnamed, d)
				if _, ok := named[d]; ok {
					named[d] = true
				}
			})
			return nil
		})
		if err != nil {
			return err // what it names is unknown: delete nothing
		}
	}
	for d, size := range unnamed {
		l.mu.Lock()
		busy := l.held[d] > 0 // taken up again since the list was made
		if !busy {
			err = os.Remove(l.evidencePath(d))
		}
		if !busy && err == nil {
			l.evidence -= size
		}
		l.mu.Unlock()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot delete evidence: %w", err)
		}
	}
	return l.private.forget(last, named)
}

var digestStart = []byte("sha256:")

// eachDigest calls fn for everything in line that looks like a digest.
func eachDigest(line []byte, fn func(trust.Digest)) {
	for {
		i := bytes.Index(line, digestStart)
		if i < 0 || len(line) < i+71 {
			return
		}
		if d, err := trust.ParseDigest(string(line[i : i+71])); err == nil {
			fn(d)
			line = line[i+71:]
		} else {
			line = line[i+7:]
		}
	}
}
