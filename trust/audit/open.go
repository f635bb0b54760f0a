package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// RecoveredPayload is the payload of a `recovered` record: what [Open] found wrong and what it did.
type RecoveredPayload struct {
	Why     string       `json:"why"`
	Bytes   int          `json:"bytes,omitempty"`   // cut off the end
	Digest  trust.Digest `json:"digest,omitempty"`  // of those bytes
	Missing string       `json:"missing,omitempty"` // signed head that this log no longer contains
}

// Init makes the log's folder, its device key and an empty first segment. It can run again until it has succeeded,
// and then fails: a log is begun once in an appliance's life.
func Init(dir string) error {
	if err := durable.MkdirAll(filepath.Join(dir, "evidence"), 0o700); err != nil {
		return fmt.Errorf("cannot make verification log: %w", err)
	}
	lock, err := durable.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	segs, err := segments(dir)
	if err != nil {
		return err
	}
	_, keyErr := os.Stat(filepath.Join(dir, "device.key"))
	if keyErr == nil || len(segs) > 1 || len(segs) == 1 && !emptyFile(segs[0].path) {
		return fmt.Errorf("cannot make verification log %s: there is one; open it, or move the folder away", dir)
	}
	if err := durable.WriteFile(segmentPath(dir, 1), nil, 0o600); err != nil {
		return err
	}
	return makeDevice(dir) // last: the key says that all is there
}

func emptyFile(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Size() == 0
}

// Open opens the log that [Init] made, alone: [durable.ErrLocked] says that another process has it, [ErrMissing] that
// there is none or that a part of it is gone. A torn tail is cut off and recorded.
func Open(dir string, o Options) (_ *Log, err error) {
	l := &Log{dir: dir, o: o.withDefaults(), held: map[trust.Digest]int{}}
	l.idle.L = &l.mu
	if l.device, err = loadDevice(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w in %s: %w; restore the folder from a backup, or run castellan trust reinit", ErrMissing, dir, err)
		}
		return nil, err
	}
	if l.lock, err = durable.Lock(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = l.lock.Close() // releases the lock; nothing was written through it
		}
	}()
	// A missing evidence folder is made again: lines that named its files say so in Verify.
	if err := durable.MkdirAll(filepath.Join(dir, "evidence"), 0o700); err != nil {
		return nil, err
	}
	if l.evidence, err = folderSize(filepath.Join(dir, "evidence")); err != nil {
		return nil, err
	}
	found, err := l.recoverTail()
	if err != nil {
		return nil, err
	}
	if err := l.private.open(filepath.Join(dir, "private.jsonl")); err != nil {
		_ = l.file.Close()
		return nil, err
	}
	if found != nil {
		if _, err := l.append(context.Background(), KindRecovered, found); err != nil {
			_ = l.Close() // the error of append is the one to tell
			return nil, err
		}
	}
	return l, nil
}

// recoverTail finds the end of the chain and opens the last segment for appending. It writes that segment anew, so
// that what was read is what the disk holds even if an fsync failed before the last stop. found is nil when all was
// in order.
func (l *Log) recoverTail() (found *RecoveredPayload, err error) {
	segs, err := segments(l.dir)
	if err != nil {
		return nil, err
	}
	if len(segs) == 0 {
		return nil, fmt.Errorf("%w: %s has a device key and no segment; restore the folder from a backup", ErrMissing, l.dir)
	}
	last := segs[len(segs)-1]
	data, err := os.ReadFile(last.path)
	if err != nil {
		return nil, fmt.Errorf("cannot read verification log: %w", err)
	}
	good := goodLines(data)
	if torn := data[len(good):]; len(torn) > 0 {
		found = &RecoveredPayload{Why: "the end was torn off by a stop in mid-write", Bytes: len(torn), Digest: trust.DigestOf(torn)}
	}
	if err := durable.WriteFile(last.path, good, 0o600); err != nil {
		return nil, err
	}
	l.durable = tail{seq: last.first - 1, hash: genesis}
	if end := lastLine(good); end != nil {
		rec, err := parseRecord(end)
		if err != nil {
			return nil, fmt.Errorf("cannot read the end of %s: %w", last.path, err) // goodLines has parsed it
		}
		l.durable = tail{rec.Seq, trust.DigestOf(end)}
	} else if len(segs) > 1 {
		before, err := os.ReadFile(segs[len(segs)-2].path)
		if err != nil {
			return nil, fmt.Errorf("cannot read verification log: %w", err)
		}
		if end := lastLine(before); end != nil {
			l.durable.hash = trust.DigestOf(end)
		}
	}
	if lost := l.checkHead(segs); lost != "" {
		if found == nil {
			found = &RecoveredPayload{Why: "the log does not contain its own signed head: lines were removed or changed"}
		}
		found.Missing = lost
	}
	l.next = l.durable
	l.size, l.first = int64(len(good)), last.first
	l.end = extent{l.first, l.size, l.durable.hash}
	l.file, err = openSegment(l.dir, last.first)
	return found, err
}

// goodLines is data without a torn tail: up to the last whole line that is a record. Lines before it are kept even
// if they are no records; they are not torn but broken, and Verify names them.
func goodLines(data []byte) []byte {
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	for len(data) > 0 {
		end := lastLine(data)
		if _, err := parseRecord(end); err == nil {
			break
		}
		data = data[:len(data)-len(end)-1]
	}
	return data
}

// checkHead compares the log with the head file and returns the note when the log does not hold what it says. Sequence
// numbers then go on behind the head, so that no number is ever used twice. A head that cannot be read says nothing.
func (l *Log) checkHead(segs []segment) (missing string) {
	msg, err := os.ReadFile(filepath.Join(l.dir, "head"))
	if err != nil {
		return ""
	}
	head, err := OpenHead(string(msg), l.device.key)
	if err != nil {
		return ""
	}
	l.lastHead = head.Time
	if head.Seq > l.durable.seq {
		l.durable.seq = head.Seq
		return string(msg)
	}
	hash, ok := lineHash(segs, head.Seq)
	if ok && hash != head.Hash {
		return string(msg)
	}
	return ""
}

// lineHash is the hash of record seq; ok is false when it is pruned or cannot be found.
func lineHash(segs []segment, seq uint64) (hash trust.Digest, ok bool) {
	for i := len(segs) - 1; i >= 0; i-- {
		if segs[i].first > seq {
			continue
		}
		// An unreadable segment is what Verify reports; here it only means "not found".
		_ = eachLineOf(segs[i].path, -1, func(_ int, line []byte, whole bool) error {
			if rec, err := parseRecord(line); err == nil && whole && rec.Seq == seq {
				hash, ok = trust.DigestOf(line), true
			}
			return nil
		})
		return hash, ok
	}
	return "", false
}

func folderSize(dir string) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("cannot list %s: %w", dir, err)
	}
	var sum int64
	for _, e := range entries {
		if fi, err := e.Info(); err == nil { // gone meanwhile: counts nothing
			sum += fi.Size()
		}
	}
	return sum, nil
}
