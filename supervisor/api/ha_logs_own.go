package api

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// logPause is how often the verification log is looked at for who follows it.
const logPause = time.Second

// recordFeed is the verification log in words. Who follows it gets each record once.
type recordFeed struct {
	ctx    context.Context
	cancel func()
	log    Log
	follow bool
	last   uint64 // number of the newest record that was given, or is left out
	due    []LogRecord
}

func (s *Server) supervisorLogs(ctx context.Context, _ string, p logSpan) (logFeed, error) {
	f := &recordFeed{log: s.cfg.Backend.Log(), follow: p.follow}
	count := max(-p.skip, 0)
	if p.cursor > 0 {
		newest, err := f.log.Records(ctx, LogQuery{Last: 1})
		if err != nil {
			return nil, err
		}
		if len(newest) > 0 && newest[0].Seq >= p.cursor {
			back := newest[0].Seq - p.cursor + 1
			if back > mostLines {
				return nil, badRequest("cannot read the log from %d on: it lies %d records back, at most %d are read", p.cursor, back, mostLines)
			}
			count += int(back)
		}
	}
	var err error
	if f.due, err = f.log.Records(ctx, LogQuery{Last: max(count, 1)}); err != nil {
		return nil, err
	}
	if len(f.due) > 0 {
		f.last = max(f.due[0].Seq, 1) - 1
	}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f, nil
}

// Close implements [io.Closer].
func (f *recordFeed) Close() error { f.cancel(); return nil }

func (f *recordFeed) next() (logEntry, error) {
	for {
		for len(f.due) > 0 {
			rec := f.due[0]
			f.due = f.due[1:]
			if rec.Seq <= f.last {
				continue
			}
			f.last = rec.Seq
			text := fmt.Sprintf("%s %d %s: %s", rec.Time.UTC().Format(time.RFC3339), rec.Seq, rec.Kind, OneLine(rec.Summary))
			return logEntry{rec.Time, rec.Seq, []byte(text)}, nil
		}
		if !f.follow {
			return logEntry{}, io.EOF
		}
		select {
		case <-f.ctx.Done():
			return logEntry{}, f.ctx.Err()
		case <-time.After(logPause):
		}
		if err := f.look(); err != nil {
			return logEntry{}, err
		}
	}
}

// look reads what came since: more of it as long as something lies between.
func (f *recordFeed) look() (err error) {
	for n := 100; ; n *= 10 {
		f.due, err = f.log.Records(f.ctx, LogQuery{Last: n})
		if err != nil || len(f.due) < n || f.due[0].Seq <= f.last+1 || n >= mostLines {
			return err
		}
	}
}

// OneLine is what others wrote, fit for a terminal: on one line, so that nothing in it begins another record, and without what
// moves the cursor or turns the direction of writing.
func OneLine(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return ' '
		case !unicode.IsGraphic(c):
			return -1
		}
		return c
	}, s)
}
