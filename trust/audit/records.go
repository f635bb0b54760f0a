package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"time"
)

// Filter chooses records. The zero value chooses all.
type Filter struct {
	Kinds    []Kind    // none = all
	From, To uint64    // sequence numbers, both included; To 0 = the end
	Since    time.Time // by the appliance's system clock
	Until    time.Time // before this, likewise; zero = no end
	Newest   bool      // newest first
}

func (f Filter) wants(r Record) bool {
	return r.Seq >= f.From && (f.To == 0 || r.Seq <= f.To) && !r.Time.Before(f.Since) && (f.Until.IsZero() || r.Time.Before(f.Until)) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, r.Kind))
}

// Records yields the records on disk that f chooses. A line that is no record is yielded as an error, naming file and
// line, and the walk goes on; an error of the disk ends it. Records appended meanwhile are not seen. Texts that are
// private are references; see [Log.Text].
func (l *Log) Records(f Filter) iter.Seq2[Record, error] {
	last := l.Last()
	if f.To == 0 || f.To > last {
		f.To = last
	}
	return records(l.dir, f)
}

func records(dir string, f Filter) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		segs, err := segments(dir)
		if err != nil {
			yield(Record{}, err)
			return
		}
		segs = within(segs, f)
		if f.Newest {
			slices.Reverse(segs)
		}
		for _, s := range segs {
			if !eachRecord(s.path, f, yield) {
				return
			}
		}
	}
}

// within drops the segments that cannot hold what f wants.
func within(segs []segment, f Filter) []segment {
	for len(segs) > 1 && segs[1].first <= f.From {
		segs = segs[1:]
	}
	for f.To > 0 && len(segs) > 0 && segs[len(segs)-1].first > f.To {
		segs = segs[:len(segs)-1]
	}
	return segs
}

// eachRecord yields one segment; false ends the walk.
func eachRecord(path string, f Filter, yield func(Record, error) bool) bool {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // pruned meanwhile
		return true
	case err != nil:
		yield(Record{}, fmt.Errorf("cannot read verification log: %w", err))
		return false
	}
	type entry struct {
		rec Record
		err error
	}
	var all []entry
	n := 0
	for _, line := range splitLines(data) {
		n++
		rec, err := parseRecord(line)
		switch {
		case err != nil:
			all = append(all, entry{err: fmt.Errorf("cannot read %s line %d: %w", path, n, err)})
		case f.wants(rec):
			all = append(all, entry{rec: rec})
		}
	}
	if f.Newest {
		slices.Reverse(all)
	}
	for _, e := range all {
		if !yield(e.rec, e.err) {
			return false
		}
	}
	return true
}

// Record is the record with the number seq.
func (l *Log) Record(seq uint64) (Record, error) {
	var broken error
	for rec, err := range l.Records(Filter{From: seq, To: seq}) {
		if err == nil {
			return rec, nil
		}
		broken = err
	}
	if broken != nil {
		return Record{}, fmt.Errorf("cannot find record %d: %w", seq, broken)
	}
	return Record{}, fmt.Errorf("cannot find record %d: the newest is %d, and the oldest may have been pruned; list them with the log command", seq, l.Last())
}
