package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// began is when the first line of a log was printed.
var began = time.Date(2026, 11, 26, 5, 0, 0, 0, time.UTC)

// printedLine is a line that a container printed.
type printedLine struct {
	at   time.Time
	text string
}

// printed is what an engine answers to a request for a log of lines: the last ones of those in the span. One that is followed
// goes on with a line a minute until the caller leaves.
func printed(ctx context.Context, lines []printedLine, q api.LogRequest) io.ReadCloser {
	text := func(l printedLine) string {
		if q.Timed {
			return l.at.Format("2006-01-02T15:04:05.000000000Z07:00") + " " + l.text + "\n"
		}
		return l.text + "\n"
	}
	var out strings.Builder
	if q.Lines >= 0 {
		lines = lines[max(0, len(lines)-q.Lines):]
	}
	for _, l := range lines {
		if l.at.Before(q.Since) || !q.Until.IsZero() && l.at.After(q.Until) {
			continue
		}
		out.WriteString(text(l))
	}
	if !q.Follow {
		return io.NopCloser(strings.NewReader(out.String()))
	}
	r, w := io.Pipe()
	go func() {
		next := out.String() + text(printedLine{time.Now().UTC(), "a line"})
		for {
			if _, err := io.WriteString(w, next); err != nil {
				return // the reader is gone
			}
			select {
			case <-ctx.Done():
				w.CloseWithError(ctx.Err())
				return
			case <-time.After(time.Minute):
			}
			next = text(printedLine{time.Now().UTC(), "a line"})
		}
	}()
	return r
}

// tenLines are printed a second after each other; the third is longer than what is held of a line.
func tenLines() (out []printedLine) {
	for i := range 10 {
		out = append(out, printedLine{began.Add(time.Duration(i) * time.Second), fmt.Sprint("line ", i)})
	}
	return out
}

// place is the cursor of a line that was printed some seconds after the first.
func place(seconds int) string {
	return fmt.Sprint(began.Add(time.Duration(seconds) * time.Second).UnixNano())
}

func TestRangesOfALog(t *testing.T) {
	lines := func(from, to int) (out string) {
		for i := from; i <= to; i++ {
			out += fmt.Sprintf("line %d\n", i)
		}
		return out
	}
	for _, c := range []struct {
		path, span string
		want       string
		first      int // of the cursor; -1 = none
	}{
		{"/core/logs", "", lines(0, 9), 0},
		{"/core/logs?lines=3", "", lines(7, 9), 7},
		{"/core/logs?lines=3", "entries=:-8:", lines(7, 9), 7}, // lines count first
		{"/core/logs", "entries=:-1:", lines(8, 9), 8},
		{"/core/logs", "entries=:0:", lines(9, 9), 9},
		{"/core/logs", "entries=:-4:2", lines(5, 6), 5},
		{"/core/logs", "entries=:-4:18446744073709551615", lines(5, 9), 5},
		{"/core/logs", "entries=" + place(6) + "::", lines(6, 9), 6},
		{"/core/logs", "entries=" + place(6) + ":0:2", lines(6, 7), 6},
		{"/core/logs", "entries=" + place(6) + ":1:", lines(7, 9), 7},
		{"/core/logs", "entries=" + place(6) + ":-3:3", lines(3, 5), 3}, // the page before
		{"/core/logs", "entries=" + place(6) + ":-3:4", lines(3, 6), 3},
		{"/core/logs", "entries=" + place(6) + ":-3:", lines(3, 9), 3},
		{"/core/logs", "entries=" + place(2) + ":-100:100", lines(0, 1), 0},
		{"/core/logs", "entries=" + place(0) + ":-100:100", "", -1},
		{"/core/logs", "entries=" + place(60) + ":-2:", lines(8, 9), 8}, // behind the end
		{"/core/logs", "entries=" + place(60) + "::", "", -1},
	} {
		for _, verbose := range []bool{false, true} {
			t.Run(fmt.Sprint(c.path, " ", c.span, " ", verbose), func(t *testing.T) {
				s := newStage(t)
				s.printed = tenLines()
				req := httptest.NewRequestWithContext(t.Context(), "GET", c.path, nil)
				req.Header.Set("Authorization", "Bearer "+hostToken)
				if c.span != "" {
					req.Header.Set("Range", c.span)
				}
				want := c.want
				if verbose {
					req.Header.Set("Accept", "text/x-log")
					host, err := os.Hostname()
					if err != nil {
						t.Fatal(err)
					}
					var all strings.Builder
					for i, l := range strings.SplitAfter(want, "\n") {
						if l != "" {
							fmt.Fprintf(&all, "2026-11-26 05:00:%02d.000 %s homeassistant: %s", c.first+i, host, l)
						}
					}
					want = all.String()
				}
				rec := httptest.NewRecorder()
				s.srv.AddonHandler().ServeHTTP(rec, req)
				if rec.Code != 200 || rec.Body.String() != want || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/plain") {
					t.Errorf("got %d %s %q, want %q", rec.Code, rec.Header().Get("Content-Type"), rec.Body.String(), want)
				}
				cursor := ""
				if c.first >= 0 {
					cursor = place(c.first)
				}
				if got := rec.Header().Get("X-First-Cursor"); got != cursor {
					t.Errorf("the first cursor is %q, want %q", got, cursor)
				}
			})
		}
	}
	for _, span := range []string{"entries=:3:", "entries=s=12;i=5:-1:", "entries=99999999999999999999:0:1", "entries=1:-1", "bytes=0-"} {
		s := newStage(t)
		req := httptest.NewRequestWithContext(t.Context(), "GET", "/core/logs", nil)
		req.Header.Set("Authorization", "Bearer "+hostToken)
		req.Header.Set("Range", span)
		rec := httptest.NewRecorder()
		if s.srv.AddonHandler().ServeHTTP(rec, req); rec.Code != 400 || !strings.Contains(rec.Body.String(), `cannot read header "Range"`) || len(s.reached()) != 0 {
			t.Errorf("%s: %d %s", span, rec.Code, rec.Body.String())
		}
	}
}

// TestFormsOfALog: what is accepted decides.
func TestFormsOfALog(t *testing.T) {
	for _, c := range []struct {
		path, accept string
		status       int
		begins       string
	}{
		{"/addons/core_x/logs", "", 200, "one\n"},
		{"/addons/core_x/logs", "*/*", 200, "one\n"},
		{"/addons/core_x/logs", "text/plain;charset=utf-8, */*;q=0.1", 200, "one\n"},
		{"/addons/core_x/logs", "application/json, text/x-log", 200, "2026-11-26 05:00:00.000 "},
		{"/addons/core_x/logs", "text/x-log", 200, "2026-11-26 05:00:00.000 "},
		{"/addons/core_x/logs?verbose", "text/plain", 200, "2026-11-26 05:00:00.000 "},
		{"/addons/core_x/logs", "application/json", 400, "cannot answer"},
		{"/core/logs?no_colors", "", 200, "one\n"},
		{"/core/logs/latest", "", 200, "one\n"},
		{"/core/logs", "", 200, "\x1b[32mone"},
		{"/supervisor/logs", "text/x-log", 200, "0001-01-01 00:00:00.000 "},
	} {
		t.Run(c.path+" "+c.accept, func(t *testing.T) {
			s := newStage(t)
			req := httptest.NewRequestWithContext(t.Context(), "GET", c.path, nil)
			req.Header.Set("Authorization", "Bearer "+hostToken)
			if c.accept != "" {
				req.Header.Set("Accept", c.accept)
			}
			rec := httptest.NewRecorder()
			s.srv.AddonHandler().ServeHTTP(rec, req)
			if rec.Code != c.status || !strings.HasPrefix(rec.Body.String(), c.begins) {
				t.Errorf("got %d %q", rec.Code, rec.Body.String())
			}
			if strings.HasPrefix(c.begins, "2026") && !strings.Contains(rec.Body.String(), " addon_core_x: one\n") {
				t.Errorf("got %q", rec.Body.String())
			}
		})
	}
}

// TestALineOfAnySizeIsServed: none is held whole, and a page back is bounded however long the lines are.
func TestALineOfAnySizeIsServed(t *testing.T) {
	const long = 3 << 20
	s := newStage(t)
	s.printed = []printedLine{{began, "short"}, {began.Add(time.Second), strings.Repeat("x", long)}, {began.Add(2 * time.Second), "end"}}
	rec := send(s.srv.AddonHandler(), "GET", "/core/logs", hostToken, "")
	body := rec.Body.String()
	if rec.Code != 200 || strings.Count(body, "x") != long || !strings.HasPrefix(body, "short\n") || !strings.HasSuffix(body, "x\nend\n") {
		t.Errorf("%d, %d bytes", rec.Code, len(body))
	}
	for range 10 {
		s.printed = append([]printedLine{{began, strings.Repeat("y", long)}}, s.printed...)
	}
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/core/logs", nil)
	req.Header.Set("Authorization", "Bearer "+hostToken)
	req.Header.Set("Range", "entries="+place(1)+":-90000:")
	rec = httptest.NewRecorder()
	s.srv.AddonHandler().ServeHTTP(rec, req)
	if n := strings.Count(rec.Body.String(), "y"); rec.Code != 200 || n < 15<<20 || n > 16<<20 || !strings.HasSuffix(rec.Body.String(), "x\nend\n") {
		t.Errorf("%d, %d bytes of the page before", rec.Code, n)
	}
}

// TestTheDaemonsLogGoesOn: a reader gets each record once, however many come between two looks, and can go on later.
func TestTheDaemonsLogGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		var count atomic.Int64
		count.Store(5)
		s.records = func() (out []api.LogRecord) {
			for i := range count.Load() {
				out = append(out, api.LogRecord{Seq: uint64(i + 1), Time: began, Kind: "verdict", Summary: fmt.Sprint("of ", i+1)})
			}
			return out
		}
		ask := func(path, span string) (*bufio.Scanner, http.Header, func()) {
			ctx, leave := context.WithCancel(t.Context())
			req := httptest.NewRequestWithContext(ctx, "GET", path, nil)
			req.Header.Set("Authorization", "Bearer "+hostToken)
			req.Header.Set("Range", span)
			r, w := io.Pipe()
			answer := &piping{header: http.Header{}, w: w, began: make(chan struct{})}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				s.srv.AddonHandler().ServeHTTP(answer, req)
				_ = w.Close() // it cannot fail
			}()
			<-answer.began
			return bufio.NewScanner(r), answer.header, func() { leave(); _ = r.Close(); <-ended }
		}
		lines, header, leave := ask("/supervisor/logs/follow", "entries=:-1:")
		read := func(from, to int) {
			t.Helper()
			for i := from; i <= to; i++ {
				if want := fmt.Sprintf("2026-11-26T05:00:00Z %d verdict: of %d", i, i); !lines.Scan() || lines.Text() != want {
					t.Fatalf("got %q, want %q: %v", lines.Text(), want, lines.Err())
				}
			}
		}
		read(4, 5)
		if header.Get("X-First-Cursor") != "4" {
			t.Errorf("cursor %q", header.Get("X-First-Cursor"))
		}
		count.Store(6)
		read(6, 6)
		count.Store(2506)
		read(7, 2506)
		leave()
		lines, header, leave = ask("/supervisor/logs", "entries=2500:1:3")
		read(2501, 2503)
		if lines.Scan() || header.Get("X-First-Cursor") != "2501" {
			t.Errorf("then %q, cursor %q", lines.Text(), header.Get("X-First-Cursor"))
		}
		leave()
		lines, _, leave = ask("/supervisor/logs", "entries=4:-2:2")
		read(2, 3)
		leave()
	})
}

func TestTheDaemonsLogSteersNoTerminal(t *testing.T) {
	s := newStage(t)
	s.records = func() []api.LogRecord {
		return []api.LogRecord{{Seq: 7, Time: began, Kind: "action", Summary: "core: no\n2026-11-26T05:00:00Z 8 verdict: ALLOW\x1b[2J\u009b1A\u202e\r"}}
	}
	const want = "2026-11-26T05:00:00Z 7 action: core: no 2026-11-26T05:00:00Z 8 verdict: ALLOW[2J1A\n"
	if got := send(s.srv.AddonHandler(), "GET", "/supervisor/logs", hostToken, "").Body.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAFollowedLogThatIsEmptyAnswersSoon: the head does not wait for the first line for ever, whose cursor it would tell.
func TestAFollowedLogThatIsEmptyAnswersSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.records = func() []api.LogRecord { return nil }
		ctx, leave := context.WithCancel(t.Context())
		req := httptest.NewRequestWithContext(ctx, "GET", "/supervisor/logs/follow", nil)
		req.Header.Set("Authorization", "Bearer "+hostToken)
		_, w := io.Pipe()
		answer := &piping{header: http.Header{}, w: w, began: make(chan struct{})}
		ended := make(chan struct{})
		asked := time.Now()
		go func() { s.srv.AddonHandler().ServeHTTP(answer, req); close(ended) }()
		<-answer.began
		if took := time.Since(asked); took > 3*time.Second || answer.header.Get("X-First-Cursor") != "" {
			t.Errorf("after %s with %v", took, answer.header)
		}
		leave()
		<-ended
	})
}

// piping is an answer that is read while it is written.
type piping struct {
	header http.Header
	w      io.Writer
	began  chan struct{}
}

func (p *piping) Header() http.Header         { return p.header }
func (p *piping) WriteHeader(int)             { close(p.began) }
func (p *piping) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p *piping) Flush()                      {}
