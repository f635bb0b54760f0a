package api

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// haLogRoutes are Home Assistant's calls for logs. There is the log of the current start only, so boot 0 is that and any
// other is not there.
var haLogRoutes = func() (out []route) {
	for _, of := range []struct {
		path, what string
		addons     addonRight
		open       logSource
		has        func(*Server, *http.Request) error
	}{
		{"/core", "Home Assistant Core", byCore, (*Server).coreLogs, hasCore},
		{"/homeassistant", "Home Assistant Core", byCore, (*Server).coreLogs, hasCore},
		{"/supervisor", "the daemon: its verification log", byManager, (*Server).supervisorLogs, speaksHA},
		{"/addons/{slug}", "an add-on", own, (*Server).addonLogs, hasHAAddons},
	} {
		for _, variant := range []struct {
			path, doc string
			follow    bool
		}{
			{"/logs", "The last lines of %s.", false},
			{"/logs/follow", "The last lines of %s, and those to come.", true},
			{"/logs/latest", "The last lines of %s since its last start.", false},
			{"/logs/boots/{boot}", "The last lines of %s; boot 0 is the current one.", false},
			{"/logs/boots/{boot}/follow", "The last lines of %s, and those to come; boot 0 is the current one.", true},
		} {
			out = append(out, route{"GET", of.path + variant.path, Admin, of.addons, fmt.Sprintf(variant.doc, of.what),
				raw(mediaText, haLogs(of.open, variant.follow)).plain().lasting().guarded(of.has)})
		}
	}
	return out
}()

// logSource opens a log; about is the add-on it is of.
type logSource func(s *Server, ctx context.Context, about string, lines int, follow bool) (io.ReadCloser, error)

// haLogsIn is a request for a log.
type haLogsIn struct {
	Slug     string `path:"slug"`
	Boot     string `path:"boot"`
	Lines    int    `query:"lines" minimum:"1" maximum:"100000"`
	NoColors bool   `query:"no_colors"`
	Verbose  bool   `query:"verbose"`
	Range    string `header:"Range"`
	Accept   string `header:"Accept"`
}

func (q haLogsIn) check() error {
	media, _, _ := strings.Cut(q.Accept, ";")
	switch strings.TrimSpace(media) {
	case "", "*/*", "text/plain", "text/*", "text/x-log":
	default:
		return badRequest("cannot answer %.60q: want Accept text/plain or text/x-log", q.Accept)
	}
	if q.Boot != "" && q.Boot != "0" {
		return &Error{Status: http.StatusNotFound, Key: "boot_not_found", Message: fmt.Sprintf("no log of boot %.40q is kept, only that of the current one, 0", q.Boot)}
	}
	return nil
}

// entriesShape is a range of log entries: cursor, how many to skip (from the end when negative), and how many at most.
var entriesShape = regexp.MustCompile(`^entries=([^:]*):(-?\d{0,9}):(\d{0,9})$`)

// tail is how many lines are asked for.
func (q haLogsIn) tail() (int, error) {
	if q.Range == "" {
		return cmp.Or(q.Lines, defaultLines), nil
	}
	m := entriesShape.FindStringSubmatch(q.Range)
	if m == nil || m[1] != "" {
		return 0, badRequest("cannot read header \"Range\" %.60q: want entries=:-N:, the last N+1 lines", q.Range)
	}
	skip, _ := strconv.Atoi(m[2]) // the shape says it is a number, or nothing
	num, _ := strconv.Atoi(m[3])
	if skip > 0 {
		return 0, badRequest("cannot read header \"Range\" %.60q: lines are counted from the end", q.Range)
	}
	n := 1 - skip // Home Assistant's client asks for -(N-1) when it wants N
	if num > 0 {
		n = min(n, num)
	}
	return min(n, 100_000), nil
}

func haLogs(open logSource, follow bool) func(*Server, context.Context, Caller, haLogsIn) (io.ReadCloser, error) {
	return func(s *Server, ctx context.Context, c Caller, in haLogsIn) (io.ReadCloser, error) {
		n, err := in.tail()
		if err != nil {
			return nil, err
		}
		body, err := open(s, ctx, c.target(in.Slug), n, follow)
		if err != nil || !in.NoColors {
			return body, err
		}
		return colourless(body), nil
	}
}

func (s *Server) addonLogs(ctx context.Context, slug string, lines int, follow bool) (io.ReadCloser, error) {
	return s.cfg.Backend.Addons().Output().Logs(ctx, slug, lines, follow)
}

// logPause is how often the verification log is looked at for who follows it.
const logPause = time.Second

// supervisorLogs is the verification log in words. Who follows it gets each record once.
func (s *Server) supervisorLogs(ctx context.Context, _ string, lines int, follow bool) (io.ReadCloser, error) {
	recs, err := s.cfg.Backend.Log().Records(ctx, LogQuery{Last: min(lines, 10000)})
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() {
		last := uint64(0)
		for {
			for _, rec := range recs {
				if rec.Seq <= last {
					continue
				}
				last = rec.Seq
				if _, err := fmt.Fprintf(w, "%s %d %s: %s\n", rec.Time.UTC().Format(time.RFC3339), rec.Seq, rec.Kind, strings.ReplaceAll(rec.Summary, "\n", " ")); err != nil {
					return // the reader is gone
				}
			}
			if !follow {
				_ = w.Close() // it cannot fail
				return
			}
			select {
			case <-ctx.Done():
				_ = w.CloseWithError(ctx.Err()) // as above
				return
			case <-time.After(logPause):
			}
			if recs, err = s.cfg.Backend.Log().Records(ctx, LogQuery{Last: 100}); err != nil {
				_ = w.CloseWithError(err) // as above
				return
			}
		}
	}()
	return r, nil
}

// colours are the sequences with which programs colour their lines on a terminal.
var colours = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// maxLine is where a line without an end is cut for looking at its colours, in bytes.
const maxLine = 64 << 10

// colourless takes the colours out of a text, line by line.
func colourless(body io.ReadCloser) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		lines := bufio.NewReaderSize(body, maxLine)
		for {
			line, err := lines.ReadSlice('\n')
			if _, gone := w.Write(colours.ReplaceAll(line, nil)); gone != nil {
				return
			}
			if err != nil && err != bufio.ErrBufferFull {
				_ = w.CloseWithError(err) // it cannot fail
				return
			}
		}
	}()
	return both{r, body}
}

// both is a reader that closes its source too.
type both struct {
	*io.PipeReader
	source io.Closer
}

// Close implements [io.Closer].
func (b both) Close() error {
	_ = b.PipeReader.Close() // it cannot fail
	return b.source.Close()
}
