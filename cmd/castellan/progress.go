package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/castellan/castellan/supervisor/api"
)

// Bounds of what is shown of a download.
const (
	lookAgain  = 100 * time.Millisecond // between two looks at the changes
	rateOver   = 10 * time.Second       // the rate is that of the last while, since it varies
	rateAfter  = 2 * time.Second        // before that nobody can tell
	barWidth   = 24
	leastWidth = 60 // a narrower terminal has no room for a bar
)

// screen is a terminal whose last lines are drawn anew; a nil screen is no terminal and shows none of that.
type screen struct {
	w     io.Writer
	width int
	drawn int // lines of the last drawing
}

// newScreen is nil where w cannot be redrawn, or nobody wants it to be.
func newScreen(w io.Writer) *screen {
	if dumb := os.Getenv("TERM"); !isTerminal(w) || dumb == "dumb" || os.Getenv("NO_COLOR") != "" {
		return nil
	}
	width, _, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return &screen{w: w, width: width}
}

// draw replaces the last drawing; said are lines that stay, above it.
func (s *screen) draw(said string, lines []string) {
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.drawn)
	}
	b.WriteString(said)
	for _, l := range lines {
		if r := []rune(l); len(r) >= s.width {
			l = string(r[:s.width-1])
		}
		b.WriteString(l + "\n")
	}
	s.drawn = len(lines)
	_, _ = io.WriteString(s.w, b.String()) // who does not want to see it any more does not stop the change
}

// rate measures how fast bytes come.
type rate struct{ seen []sample }

type sample struct {
	at    time.Time
	bytes int64
}

func (r *rate) add(at time.Time, bytes int64) {
	if n := len(r.seen); n > 0 && bytes < r.seen[n-1].bytes { // begun anew
		r.seen = nil
	}
	r.seen = append(r.seen, sample{at, bytes})
	for len(r.seen) > 2 && at.Sub(r.seen[1].at) >= rateOver {
		r.seen = r.seen[1:]
	}
}

// left is how long the rest of total takes at the rate of the last while; false where that cannot be told.
func (r *rate) left(total int64) (time.Duration, bool) {
	if len(r.seen) < 2 {
		return 0, false
	}
	first, last := r.seen[0], r.seen[len(r.seen)-1]
	took, came := last.at.Sub(first.at), last.bytes-first.bytes
	if took < rateAfter || came <= 0 {
		return 0, false
	}
	return time.Duration(float64(total-last.bytes) / float64(came) * float64(took)), true
}

// bar is one line about bytes that come.
func (r *rate) bar(what string, done, total int64, width int) string {
	filled := int(float64(barWidth) * float64(done) / float64(total))
	s := "  " + what
	if width >= leastWidth {
		s += " [" + strings.Repeat("#", filled) + strings.Repeat(".", barWidth-filled) + "]"
	}
	s += fmt.Sprintf(" %s of %s", size(done), size(total))
	if left, ok := r.left(total); ok {
		s += ", " + wait(left) + " left"
	}
	return s
}

// wait writes a time to come, for people.
func wait(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Round(time.Hour).Hours()))
}

// watched is a change whose course is shown.
type watched struct {
	api.Change
	shown, trouble string
	rate           rate
}

// said are the lines that are new about it.
func (w *watched) said() (out string) {
	if w.State != w.shown {
		out, w.shown = fmt.Sprintf("%s %s: %s\n", w.Service, plain(w.To), w.State), w.State
	}
	if w.Trouble != w.trouble {
		if w.trouble = w.Trouble; w.trouble != "" {
			out += fmt.Sprintf("  it is tried again: %s\n", plain(w.trouble))
		}
	}
	return out
}

// followAll prints a line a stage of each change and, on a terminal, a bar for each that downloads, until all are over.
func followAll(ctx context.Context, look func(context.Context, string) (api.Change, error), ids []string, w io.Writer, s *screen) ([]api.Change, error) {
	all := make([]watched, len(ids))
	for {
		text, open := "", 0
		var bars []string
		for i := range all {
			c := &all[i]
			if c.Done {
				continue
			}
			var err error
			if c.Change, err = look(ctx, ids[i]); err != nil {
				return nil, err
			}
			text += c.said()
			if c.Done {
				continue
			}
			open++
			if s != nil && c.Total > 0 && c.Bytes < c.Total {
				c.rate.add(time.Now(), c.Bytes)
				bars = append(bars, c.rate.bar(c.Service+" "+plain(c.To), c.Bytes, c.Total, s.width))
			}
		}
		if s != nil {
			s.draw(text, bars)
		} else if _, err := io.WriteString(w, text); err != nil {
			return nil, err
		}
		if open == 0 {
			out := make([]api.Change, len(all))
			for i := range all {
				out[i] = all[i].Change
			}
			return out, nil
		}
		select {
		case <-ctx.Done():
			return nil, &exitError{exitFailed, fmt.Errorf("stopped watching; what was begun goes on: %s", strings.Join(ids, " ")), "castellan status"}
		case <-time.After(lookAgain):
		}
	}
}
