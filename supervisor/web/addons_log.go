package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"html/template"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// Limits on logs.
const (
	logShown  = 200     // lines a page begins with
	logSaved  = 10_000  // lines of a file
	logLine   = 4 << 10 // bytes of a line on a page
	logTurn   = 32 << 10
	logPause  = 250 * time.Millisecond
	logAlive  = 10 * time.Second // a sign of life, by which a browser notices that it is not looked at any more
	logOnPage = 512 << 10
	logAgain  = 4 * time.Second // after which it is looked whether an add-on that ended runs again
)

// ansi are the sequences by which programs colour a terminal.
var ansi = regexp.MustCompile(`\x1b(\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]{0,200}(\x07|\x1b\\)|[@-Z\\-_])`)

// plainLog is what an add-on printed without what steers a terminal.
func plainLog(b []byte) string { return tame(string(ansi.ReplaceAll(b, nil))) }

// addonLog is the tab with the log. Following, its lines come by a stream of their own, which begins with the last ones.
func (v *visit) addonLog() (answer, error) {
	return v.tab("log", func(p *addonPage) error {
		p.Follow = v.query("follow") != "0" && p.Card.State == "running"
		if !v.may("admin") {
			return nil
		}
		r, err := v.api.AddonLogs(v.ctx(), v.slug(), logShown, false)
		var e *api.Error
		if errors.As(err, &e) {
			f := v.fail(err)
			p.Fault, p.Follow = &f, false
			return nil
		}
		if err != nil {
			return err
		}
		defer r.Close()
		b, err := io.ReadAll(io.LimitReader(r, logOnPage))
		p.Log = plainLog(b)
		return err
	})
}

// addonLogDownload sends the log as a file.
func (v *visit) addonLogDownload() (answer, error) {
	r, err := v.api.AddonLogs(v.ctx(), v.slug(), logSaved, false)
	if err != nil {
		return answer{}, err
	}
	return answer{serve: func(w http.ResponseWriter, _ *http.Request) {
		defer r.Close()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+keyOf(v.slug())+`.log"`)
		_, _ = io.Copy(w, r) // a visitor who left does not concern us
	}}, nil
}

// addonLogLines is the stream: "all" empties the page's log, "more" has lines to add, as text. It lasts as long as somebody
// looks, also while the add-on is started again; "ended" says that nothing comes any more.
func (v *visit) addonLogLines() (answer, error) {
	ctx, cancel := context.WithCancel(v.ctx())
	r, err := v.api.AddonLogs(ctx, v.slug(), logShown, true)
	if err != nil {
		cancel()
		return answer{}, err
	}
	return answer{serve: func(w http.ResponseWriter, _ *http.Request) {
		defer func() { cancel(); _ = r.Close() }() // of what was read
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Time{}) // of a tab that says no more; it would end the stream
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no") // nginx would hold lines back
		send := func(name, html string) bool {
			var b bytes.Buffer
			frame(&b, name, html)
			_ = c.SetWriteDeadline(time.Now().Add(streamStuck)) // a writer that knows no deadlines has none
			if _, err := w.Write(b.Bytes()); err != nil {
				return false
			}
			return c.Flush() == nil
		}
		var first bytes.Buffer
		if v.ui.in(v.lang).draw(&first, "log_begin", nil) != nil { // our own template
			return
		}
		for {
			if !send("all", first.String()) || !passLines(ctx, r, send) {
				return
			}
			_ = r.Close() // it was read to its end
			next, err := v.nextLog(ctx, send)
			if err != nil {
				send("ended", "")
				return
			}
			r = next
		}
	}}, nil
}

// nextLog waits until the add-on runs again, and follows what it prints then.
func (v *visit) nextLog(ctx context.Context, send func(name, html string) bool) (io.ReadCloser, error) {
	for {
		info, err := v.api.Addon(ctx, v.slug(), "")
		if err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(logAgain):
		}
		if !send("more", "") {
			return nil, context.Canceled
		}
		if info.State == "running" {
			return v.api.AddonLogs(ctx, v.slug(), logShown, true)
		}
	}
}

// passLines sends lines as they come, some at once, until the log ends, or the visitor, which it tells.
func passLines(ctx context.Context, r io.Reader, send func(name, html string) bool) (more bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan []byte, 64)
	go func() {
		defer close(lines)
		in := bufio.NewReaderSize(r, logLine)
		for {
			line, err := in.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				line = append(bytes.Clone(line), '\n') // the rest of a line that long goes on in the next
				err = nil
			}
			select {
			case lines <- bytes.Clone(line):
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	alive := time.NewTicker(logAlive)
	defer alive.Stop()
	for {
		var turn []byte
		select {
		case <-ctx.Done():
			return false
		case <-alive.C:
		case line, more := <-lines:
			if !more {
				return true
			}
			turn = gather(ctx, line, lines)
		}
		html := ""
		if len(turn) > 0 {
			html = `<span>` + template.HTMLEscapeString(plainLog(turn)) + `</span>`
		}
		if !send("more", html) {
			return false
		}
	}
}

// gather takes what comes in a moment, so that a chatty add-on does not send line by line.
func gather(ctx context.Context, turn []byte, lines <-chan []byte) []byte {
	wait := time.NewTimer(logPause)
	defer wait.Stop()
	for len(turn) < logTurn {
		select {
		case line, more := <-lines:
			if !more {
				return turn
			}
			turn = append(turn, line...)
		case <-wait.C:
			return turn
		case <-ctx.Done():
			return turn
		}
	}
	return turn
}
