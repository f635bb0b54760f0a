package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/castellan/castellan/trust/audit"
)

// logRoutes are the calls about the verification log.
var logRoutes = []route{
	{"GET", "/castellan/log", Viewer, never, "Records of the verification log, oldest first; before asks for the page before one that was read.", call((*Server).getLog)},
	{"GET", "/castellan/log/export", Viewer, never, "All records that match, oldest first: lines as they are stored, which castellan log verify checks when nothing is left out, or a table.",
		stream("application/x-ndjson", (*Server).getLogExport)},
	{"GET", "/castellan/log/verify", Viewer, never, "Checks the chain of the verification log.", call((*Server).getLogReport)},
	{"GET", "/castellan/log/{seq}/explain", Viewer, never, "Why a verdict is what it is.", call((*Server).getExplain)},
	{"GET", "/castellan/log/{seq}/replay", Viewer, never, "Judges the stored evidence of a verdict again.", call((*Server).getReplay)},
}

// logFilter are the fields of a query that choose records.
type logFilter struct {
	Kind    string `query:"kind"` // with commas
	Service string `query:"service"`
	Outcome string `query:"outcome" enum:"ALLOW,ALLOW_UNSIGNED,ALLOW_OVERRIDDEN,DEFER,REFUSE"`
	Since   string `query:"since"` // RFC 3339, or a date
	Until   string `query:"until"` // likewise; that moment is left out
	Text    string `query:"q"`
	Names   bool   `query:"names"` // users' names are shown and searched; to admins only
}

type logIn struct {
	logFilter
	Last   int    `query:"last" minimum:"1" maximum:"10000"`
	Before uint64 `query:"before" minimum:"1"`
}

type exportIn struct {
	logFilter
	Format string `query:"format" enum:"jsonl,csv"` // left out: jsonl
}

const maxLogText = 200 // bytes that are searched for

// of is the query.
func (f logFilter) of(c Caller) (q LogQuery, err error) {
	q = LogQuery{Service: f.Service, Outcome: f.Outcome, Text: f.Text, Names: f.Names && c.admin()}
	if f.Kind != "" {
		q.Kinds = strings.Split(f.Kind, ",")
	}
	for _, k := range q.Kinds {
		if !slices.Contains(audit.Kinds(), audit.Kind(k)) {
			return q, badRequest("cannot read query \"kind\" %.40q: want one or more of %v, with commas", k, audit.Kinds())
		}
	}
	if len(f.Text) > maxLogText || !utf8.ValidString(f.Text) {
		return q, badRequest("cannot read query \"q\": want a text of at most %d bytes", maxLogText)
	}
	if q.Since, err = moment("since", f.Since); err != nil {
		return q, err
	}
	q.Until, err = moment("until", f.Until)
	return q, err
}

// moment reads a time; a date is its beginning in UTC. "" is none.
func moment(field, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, badRequest("cannot read query %q %.40q: want a time as 2026-12-24T18:00:00Z, or a date", field, s)
}

// getLog reads one record more than is asked for, to tell whether there is a page before.
func (s *Server) getLog(ctx context.Context, c Caller, in logIn) (LogList, error) {
	q, err := in.of(c)
	if err != nil {
		return LogList{Records: []LogRecord{}}, err
	}
	want := in.Last
	if want == 0 {
		want = 20
	}
	q.Last, q.Before = want+1, in.Before
	recs, err := s.cfg.Backend.Log().Records(ctx, q)
	out := LogList{Records: recs}
	if len(recs) > want {
		out.Records = recs[len(recs)-want:]
		out.Before = out.Records[0].Seq
	}
	fill(&out.Records)
	return out, err
}

// getLogExport writes records as they are read. When that fails in the middle the connection is cut, so that nobody takes
// a part for the whole.
func (s *Server) getLogExport(_ context.Context, c Caller, in exportIn) (streamAnswer, error) {
	q, err := in.of(c)
	if err != nil {
		return nil, err
	}
	media, suffix, form := "application/x-ndjson", "jsonl", jsonLines
	if in.Format == "csv" {
		media, suffix, form = "text/csv; charset=utf-8; header=present", "csv", csvTable
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		h := w.Header()
		h.Set("Content-Type", media)
		h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=castellan-log-%s.%s", time.Now().UTC().Format("20060102T150405Z"), suffix))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		sent := &begun{flusher: flusher{w, http.NewResponseController(w)}}
		out := bufio.NewWriterSize(sent, 32<<10)
		err := s.cfg.Backend.Log().Walk(r.Context(), q, form(out))
		if err == nil {
			err = out.Flush()
		}
		switch {
		case err == nil:
			return nil
		case !sent.any:
			h.Del("Content-Disposition")
			return err
		}
		_ = s.failed(r, err)
		panic(http.ErrAbortHandler) // the server's way to cut a connection
	}, nil
}

// begun knows whether anything was sent.
type begun struct {
	flusher
	any bool
}

func (b *begun) Write(p []byte) (int, error) {
	b.any = true
	return b.flusher.Write(p)
}

func jsonLines(w *bufio.Writer) func(LogRecord) error {
	return func(r LogRecord) error {
		_, err := w.Write(append(slices.Clip(r.Line), '\n'))
		return err
	}
}

// csvTable writes rows that no spreadsheet takes for formulas: others wrote some of what is in them.
func csvTable(w *bufio.Writer) func(LogRecord) error {
	var b bytes.Buffer
	rows := csv.NewWriter(&b)
	row := func(cells ...string) error {
		for i, s := range cells {
			if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
				cells[i] = "'" + s
			}
		}
		b.Reset()
		_ = rows.Write(cells) // a buffer takes all of it
		rows.Flush()
		_, err := w.Write(b.Bytes())
		return err
	}
	_ = row("seq", "time", "kind", "service", "outcome", "reason", "summary") // it is kept back, as little as it is
	return func(r LogRecord) error {
		return row(strconv.FormatUint(r.Seq, 10), r.Time.UTC().Format(time.RFC3339Nano), r.Kind, r.Service, r.Outcome, r.Reason, r.Summary)
	}
}

func (s *Server) getLogReport(ctx context.Context, _ Caller, _ none) (LogReport, error) {
	return s.cfg.Backend.Log().Verify(ctx)
}

type recordIn struct {
	Seq uint64 `path:"seq" minimum:"1"`
}

func (s *Server) getExplain(ctx context.Context, _ Caller, in recordIn) (Explanation, error) {
	return s.cfg.Backend.Log().Explain(ctx, in.Seq)
}

func (s *Server) getReplay(ctx context.Context, _ Caller, in recordIn) (Replay, error) {
	return s.cfg.Backend.Log().Replay(ctx, in.Seq)
}
