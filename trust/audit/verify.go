package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/castellan/castellan/trust"
)

// Report is what [Verify] found.
type Report struct {
	Files    int // segments, or 1
	Records  int
	First    uint64       // sequence number of the oldest record, 0 when there is none
	Last     uint64       // and of the newest
	Hash     trust.Digest // of the newest line
	Pruned   uint64       // records 1 to Pruned were pruned, with a record that says so
	Heads    int          // signed heads that hold
	Keys     []string     // device keys that signed them, in order of appearance; more than one means that the key changed
	Held     int          // heads held elsewhere that hold
	Unproved int          // heads held elsewhere about lines that were pruned since
	Evidence int          // evidence files that are whole (folders only)
	Private  int          // private texts whose hash holds (exports only)
	Torn     bool         // the last line is not finished; in a folder the next start cuts it off
	Breaks   []Break      // the first 100, in the order of the log
}

// Break is one place where the log is not what it says.
type Break struct {
	File string
	Line int    // from 1, 0 = the whole file
	Seq  uint64 // record, 0 when it cannot be read
	What string // what was compared
	Want string // what must be there, "" when that cannot be said
	Got  string
}

// String names place, expected and found.
func (b Break) String() string {
	s := b.File
	if b.Line > 0 {
		s += fmt.Sprintf(" line %d", b.Line)
	}
	if b.Seq > 0 {
		s += fmt.Sprintf(" (record %d)", b.Seq)
	}
	s += ": " + b.What
	if b.Want != "" {
		s += fmt.Sprintf(": want %s, got %s", b.Want, b.Got)
	} else if b.Got != "" {
		s += ": " + b.Got
	}
	return s
}

// BrokenError says that a log was changed, or damaged, after it was written.
type BrokenError struct{ Report Report }

// Error names the first break and what to do.
func (e *BrokenError) Error() string {
	more := ""
	if n := len(e.Report.Breaks); n > 1 {
		more = fmt.Sprintf(" and %d more", n-1)
	}
	return fmt.Sprintf("cannot verify log: %s%s; compare with a backup or an export made earlier to see what was there", e.Report.Breaks[0], more)
}

const maxBreaks = 100

// Verify checks a log's folder, or one file with its lines as [Log.Export] writes them: that every line follows the
// one before, that the beginning is there or its pruning recorded, that every signed head holds — those in the log,
// the one beside it, and those in held, notes that somebody kept — and that the evidence is whole. Without held it
// cannot tell a log that somebody with its device key wrote anew from the true one. The error is a *[BrokenError]
// when the log is not what it says; any other error means that it could not be read.
func Verify(path string, held ...string) (Report, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return Report{}, fmt.Errorf("cannot verify log: %w", err)
	}
	if !fi.IsDir() {
		v := verifier{held: held}
		if err := v.file(path, -1, true); err != nil {
			return v.r, err
		}
		return v.end(path)
	}
	return verifyFolder(path, nil, held)
}

// Verify is the function [Verify] on the part of an open log that is on disk.
func (l *Log) Verify(held ...string) (r Report, err error) {
	for range 3 { // a segment that is pruned meanwhile is gone from the next list
		l.mu.Lock()
		end := l.end
		l.mu.Unlock()
		if r, err = verifyFolder(l.dir, &end, held); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return r, err
}

// verifyFolder checks the segments of a folder, up to end when it is not nil.
func verifyFolder(dir string, end *extent, held []string) (Report, error) {
	segs, err := segments(dir)
	if err != nil {
		return Report{}, err
	}
	if end != nil { // what was begun since is not on disk yet
		segs = slices.DeleteFunc(segs, func(s segment) bool { return s.first > end.first })
	}
	if len(segs) == 0 {
		return Report{}, fmt.Errorf("cannot verify log: %w in %s", ErrMissing, dir)
	}
	v := verifier{held: held, evidence: map[trust.Digest]bool{}, dir: dir}
	if key, err := os.ReadFile(filepath.Join(dir, "device.pub")); err == nil {
		v.device = string(bytes.TrimSpace(key))
	}
	if end == nil { // an open log remembers its end better than the head beside it, which may be newer by now
		if msg, err := os.ReadFile(filepath.Join(dir, "head")); err == nil {
			v.own = string(msg)
		}
	}
	for _, s := range segs {
		limit := int64(-1)
		if end != nil && s.first == end.first {
			limit = end.size
		}
		if err := v.file(s.path, limit, false); err != nil {
			return v.r, err
		}
	}
	if end != nil && v.begun && v.hash != end.hash {
		v.breaks(Break{File: segs[len(segs)-1].path, What: "newest line as the running log remembers it",
			Want: string(end.hash), Got: orNothing(v.hash)})
	}
	return v.end(segs[len(segs)-1].path)
}

// verifier walks the lines of a log in order.
type verifier struct {
	r        Report
	dir      string                // "" for a file
	device   string                // verifier key beside the log
	own      string                // head file beside the log
	held     []string              // notes kept elsewhere
	begun    bool                  // a line was read
	hash     trust.Digest          // of the line before
	seq      uint64                // number of the record before, 0 when it could not be read
	start    Record                // the oldest record
	startAt  Break                 // its place
	prunes   []PrunePayload        // as the log tells
	evidence map[trust.Digest]bool // seen; nil when there is no folder to look in
	sums     []seqHash             // hash of every line, for heads
}

type seqHash struct {
	seq  uint64
	hash trust.Digest
}

func (v *verifier) breaks(b Break) {
	if len(v.r.Breaks) < maxBreaks {
		v.r.Breaks = append(v.r.Breaks, b)
	}
}

// file checks the lines of one file. In an export private texts may follow the records.
func (v *verifier) file(path string, limit int64, export bool) error {
	v.r.Files++
	err := eachLineOf(path, limit, func(n int, line []byte, whole bool) error {
		at := Break{File: path, Line: n}
		if !whole {
			v.r.Torn = true
			if export {
				at.What, at.Got = "the last line is cut off", fmt.Sprintf("%d bytes without a newline", len(line))
				v.breaks(at)
			}
			return nil
		}
		if export && bytes.HasPrefix(line, []byte(`{"private":`)) {
			if _, err := parsePrivate(line); err != nil {
				at.What, at.Got = "private text", err.Error()
				v.breaks(at)
				return nil
			}
			v.r.Private++
			return nil
		}
		v.line(at, line)
		return nil
	})
	if errors.Is(err, errLineTooLong) {
		v.breaks(Break{File: path, What: "not a record", Got: err.Error()})
		v.hash, v.seq = "", 0
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot verify log: %w", err)
	}
	return nil
}

func (v *verifier) line(at Break, line []byte) {
	prev, before := v.hash, v.seq
	begun := v.begun
	v.begun, v.hash = true, trust.DigestOf(line)
	rec, err := parseRecord(line)
	if err != nil {
		at.What, at.Got = "not a record", err.Error()
		v.breaks(at)
		v.seq = 0
		return
	}
	at.Seq, v.seq = rec.Seq, rec.Seq
	v.r.Records++
	if v.r.First == 0 {
		v.r.First, v.start, v.startAt = rec.Seq, rec, at
	}
	v.r.Last, v.r.Hash = rec.Seq, v.hash
	v.sums = append(v.sums, seqHash{rec.Seq, v.hash})
	switch {
	case begun && prev != rec.Prev:
		at.What, at.Want, at.Got = "hash of the line before", string(rec.Prev), orNothing(prev)
		v.breaks(at)
	case begun && before != 0 && rec.Seq != before+1:
		at.What, at.Want, at.Got = "sequence number", fmt.Sprint(before+1), fmt.Sprint(rec.Seq)
		v.breaks(at)
	}
	v.payload(at, rec)
}

func orNothing(d trust.Digest) string {
	if d == "" {
		return "a line that cannot be read"
	}
	return string(d)
}

// end checks what can be said only once every line was seen.
func (v *verifier) end(path string) (Report, error) {
	if v.r.Records > 0 {
		v.beginning()
	}
	if v.own != "" && v.device != "" {
		v.known(Break{File: filepath.Join(v.dir, "head"), What: "signed head beside the log"}, v.own, []string{v.device}, path)
	}
	keys := v.r.Keys
	if v.device != "" {
		keys = append(slices.Clone(keys), v.device)
	}
	for i, msg := range v.held {
		if v.known(Break{File: path, What: fmt.Sprintf("head %d held elsewhere", i+1)}, msg, keys, path) {
			v.r.Held++
		}
	}
	if len(v.r.Breaks) > 0 {
		return v.r, &BrokenError{v.r}
	}
	return v.r, nil
}

// beginning checks that the oldest line is the first ever, or that a record tells of the pruning before it.
func (v *verifier) beginning() {
	at, rec := v.startAt, v.start
	if rec.Seq == 1 && rec.Prev == genesis {
		return
	}
	at.What, at.Got = "the beginning is missing and no record says that it was pruned", fmt.Sprintf("record %d follows %s", rec.Seq, rec.Prev)
	if rec.Seq == 1 {
		at.What, at.Want, at.Got = "hash of the line before", string(genesis), string(rec.Prev)
	}
	for _, p := range v.prunes {
		if p.Last == rec.Seq-1 && p.Hash == rec.Prev {
			v.r.Pruned = p.Last
			return
		}
	}
	v.r.Breaks = slices.Insert(v.r.Breaks, 0, at)
}

// known checks a head against the lines.
func (v *verifier) known(at Break, msg string, keys []string, path string) bool {
	var h Head
	err := fmt.Errorf("cannot open head: the log has no device key")
	for _, key := range keys {
		if h, err = OpenHead(msg, key); err == nil {
			break
		}
	}
	if err != nil {
		at.Got = err.Error() + "; it is another appliance's, or the log is not this appliance's"
		v.breaks(at)
		return false
	}
	at.Seq = h.Seq
	i, found := slices.BinarySearchFunc(v.sums, h.Seq, func(s seqHash, seq uint64) int {
		switch {
		case s.seq < seq:
			return -1
		case s.seq > seq:
			return 1
		}
		return 0
	})
	switch {
	case h.Seq == 0 || found && v.sums[i].hash == h.Hash:
		return true
	case found:
		at.Want, at.Got = string(h.Hash), string(v.sums[i].hash)
	case h.Seq <= v.r.Pruned:
		v.r.Unproved++
		return false
	default:
		at.Want, at.Got = fmt.Sprintf("record %d with %s", h.Seq, h.Hash), fmt.Sprintf("a log that ends at record %d", v.r.Last)
	}
	v.breaks(at)
	return false
}
