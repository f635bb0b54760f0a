package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// logOf is whose log a path is about.
type logOf struct {
	path, what string
	ident      string // as Home Assistant's journal names it; an add-on's slug is added to one that ends in "_"
	addons     addonRight
	open       func(s *Server, ctx context.Context, about string, p logSpan) (logFeed, error)
	has        func(*Server, *http.Request) error
}

// haLogRoutes are Home Assistant's calls for logs. There is the log of the current boot only, so boot 0 is that and any
// other is not there.
var haLogRoutes = func() (out []route) {
	for _, of := range []logOf{
		{"/core", "Home Assistant Core", "homeassistant", byCore, (*Server).coreLogs, hasCore},
		{"/homeassistant", "Home Assistant Core", "homeassistant", byCore, (*Server).coreLogs, hasCore},
		{"/supervisor", "the daemon: its verification log", "hassio_supervisor", byManager, (*Server).supervisorLogs, speaksHA},
		{"/addons/{slug}", "an add-on", "addon_", own, (*Server).addonLogs, hasHAAddons},
	} {
		for _, variant := range []struct {
			path, doc      string
			follow, latest bool
		}{
			{"/logs", "The last lines of %s.", false, false},
			{"/logs/follow", "The last lines of %s, and those to come.", true, false},
			{"/logs/latest", "The last lines of %s since its last start, without colours.", false, true},
			{"/logs/boots/{boot}", "The last lines of %s; boot 0 is the current one.", false, false},
			{"/logs/boots/{boot}/follow", "The last lines of %s, and those to come; boot 0 is the current one.", true, false},
		} {
			out = append(out, route{"GET", of.path + variant.path, Admin, of.addons, fmt.Sprintf(variant.doc, of.what), haLogs(of, variant.follow, variant.latest)})
		}
	}
	return out
}()

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
	if _, ok := q.accepts(); !ok {
		return badRequest("cannot answer %.60q: want Accept text/plain or text/x-log", q.Accept)
	}
	if q.Boot != "" && q.Boot != "0" {
		return &Error{Status: http.StatusNotFound, Key: "boot_not_found", Message: fmt.Sprintf("no log of boot %.40q is kept, only that of the current one, 0", q.Boot)}
	}
	return nil
}

// accepts tells whether the caller takes one of the two forms, and whether the first one that it names is the verbose one.
func (q haLogsIn) accepts() (verbose, ok bool) {
	for media := range strings.SplitSeq(q.Accept, ",") {
		media, _, _ = strings.Cut(media, ";")
		switch strings.TrimSpace(media) {
		case "text/x-log":
			return true, true
		case "", "*/*", "text/plain", "text/*":
			return false, true
		}
	}
	return false, false
}

// logSpan is which entries of a log are asked for, as systemd-journal-gatewayd counts them.
type logSpan struct {
	cursor         uint64 // what skip counts from: see [logEntry]; 0 = the end
	skip           int    // entries from there on; negative = back
	most           int    // entries; 0 = all
	follow, latest bool
}

// mostLines is how far back one call goes.
const mostLines = 100_000

// entriesShape is a range of log entries: cursor, how many to skip (back when negative), and how many at most.
var entriesShape = regexp.MustCompile(`^entries=(\d{0,19}):(-?\d{0,9}):(\d{0,20})$`)

// span is what is asked for. Lines count before the range, as Home Assistant has it.
func (q haLogsIn) span() (logSpan, error) {
	if q.Range == "" || q.Lines > 0 {
		return logSpan{skip: -cmp.Or(q.Lines, defaultLines)}, nil
	}
	m := entriesShape.FindStringSubmatch(q.Range)
	if m == nil {
		return logSpan{}, badRequest("cannot read header \"Range\" %.60q: want entries=:-N:, the last N+1 lines, or entries=CURSOR:SKIP:COUNT with the cursor of an earlier answer", q.Range)
	}
	var p logSpan
	p.skip, _ = strconv.Atoi(m[2])                                    // the shape says it is a number, or nothing
	most, _ := strconv.ParseUint(m[3], 10, 64)                        // too large a number is the largest
	p.most = int(min(most, 1<<31-1))                                  // 0 = all of them
	p.skip = max(p.skip, -mostLines+1)                                // and no further back
	if p.cursor, _ = strconv.ParseUint(m[1], 10, 63); p.cursor == 0 { // as most
		if p.skip > 0 {
			return logSpan{}, badRequest("cannot read header \"Range\" %.60q: lines are counted from the end", q.Range)
		}
		p.skip-- // Home Assistant's client asks for -(N-1) when it wants N
	}
	return p, nil
}

// haLogs makes the endpoint of a log.
func haLogs(of logOf, follow, latest bool) endpoint {
	e := call(func(s *Server, ctx context.Context, c Caller, in haLogsIn) (rawAnswer, error) {
		p, err := in.span()
		if err != nil {
			return rawAnswer{}, err
		}
		p.follow, p.latest = follow, latest
		feed, err := of.open(s, ctx, c.target(in.Slug), p)
		if err != nil {
			return rawAnswer{}, err
		}
		text := &logText{span: p, feed: feed, colourless: in.NoColors || latest}
		if verbose, _ := in.accepts(); verbose || in.Verbose {
			text.ident = of.ident
			if strings.HasSuffix(of.ident, "_") {
				text.ident += c.target(in.Slug)
			}
		}
		body, cursor := text.open(ctx)
		return rawAnswer{mediaText, body, cursor}, nil
	})
	e.out, e.media = nil, mediaText
	return e.plain().lasting().guarded(of.has)
}

// coreLogs opens Core's log.
func (s *Server) coreLogs(ctx context.Context, _ string, p logSpan) (logFeed, error) {
	return timed(s.cfg.Home.Core().Output().Logs(ctx, p.request()))
}

func (s *Server) addonLogs(ctx context.Context, slug string, p logSpan) (logFeed, error) {
	return timed(s.cfg.Backend.Addons().Output().Logs(ctx, slug, p.request()))
}

// request is the part of a container's log in which the entries are.
func (p logSpan) request() LogRequest {
	q := LogRequest{Lines: -1, Follow: p.follow, Latest: p.latest, Timed: true}
	at := time.Unix(0, int64(p.cursor))
	switch {
	case p.cursor == 0:
		q.Lines = -p.skip
	case p.skip >= 0:
		q.Since = at
	case p.most > 0 && p.most <= -p.skip && !p.follow:
		q.Until = at
	}
	return q
}
