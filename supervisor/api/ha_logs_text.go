package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"time"
)

// logEntry is one line of a log. Its place is what its cursor says: in a container's log its time in nanoseconds since
// 1970, in the verification log its number.
type logEntry struct {
	at    time.Time
	place uint64
	text  []byte // without its end; valid until the next one is asked for
}

// logFeed gives the entries of a log one after the other, and [io.EOF] at its end. Close may be called at any time.
type logFeed interface {
	next() (logEntry, error)
	io.Closer
}

// Bounds of a log's text.
const (
	maxLine     = 64 << 10        // bytes; a longer line becomes several entries
	maxHeld     = 16 << 20        // bytes of lines that are held until it is known which are the last before a cursor
	firstWithin = 2 * time.Second // how long the head of an answer waits for the first entry, whose cursor it tells
)

// logText writes the entries of a span as text.
type logText struct {
	span       logSpan
	feed       logFeed
	ident      string // whose name each line carries in the verbose form; "" = the plain form
	colourless bool

	out    *io.PipeWriter
	first  chan string // the cursor of the first entry; closed without one when there is none
	told   bool
	n      int // entries written, or passed over
	held   [][]byte
	places []logEntry // of those held, without their text
	size   int        // of those held
}

// open starts the writing. cursor is that of the first entry; "" when none comes in time.
func (l *logText) open(ctx context.Context) (body io.ReadCloser, cursor string) {
	r, w := io.Pipe()
	l.out, l.first = w, make(chan string, 1)
	go func() {
		err := l.write()
		if !l.told {
			close(l.first)
		}
		_ = w.CloseWithError(err) // it cannot fail
	}()
	wait := time.NewTimer(firstWithin)
	defer wait.Stop()
	select {
	case cursor = <-l.first:
	case <-ctx.Done():
	case <-wait.C:
	}
	return both{r, l.feed}, cursor
}

// errEnough says that all entries that were asked for are written.
var errEnough = errors.New("all of it is written")

func (l *logText) write() error {
	err := l.entries()
	if err == io.EOF {
		err = l.release() // the cursor lies behind the end
	}
	if err == errEnough {
		return nil
	}
	return err
}

// entries passes the log on from the first entry of the span.
func (l *logText) entries() error {
	reached, skip := l.span.cursor == 0, max(l.span.skip, 0)
	for {
		e, err := l.feed.next()
		if err != nil {
			return err
		}
		if !reached && e.place < l.span.cursor {
			l.hold(e)
			continue
		}
		if !reached {
			reached = true
			if err := l.release(); err != nil {
				return err
			}
		}
		if skip > 0 {
			skip--
			continue
		}
		if err := l.emit(e); err != nil {
			return err
		}
	}
}

// hold keeps an entry before the cursor as long as it may be among the last ones.
func (l *logText) hold(e logEntry) {
	if l.span.skip >= 0 {
		return
	}
	l.held, l.size = append(l.held, bytes.Clone(e.text)), l.size+len(e.text)
	l.places = append(l.places, logEntry{at: e.at, place: e.place})
	for len(l.held) > -l.span.skip || l.size > maxHeld {
		l.size -= len(l.held[0])
		l.held[0] = nil
		l.held, l.places = l.held[1:], l.places[1:]
	}
}

// release writes what was held. What would lie before the log's begin counts as written: a page ends where the cursor says.
func (l *logText) release() error {
	held, places := l.held, l.places
	l.held, l.places = nil, nil
	if l.span.cursor > 0 {
		l.n += max(-l.span.skip-len(held), 0)
	}
	if l.enough() {
		return errEnough
	}
	for i, e := range places {
		e.text = held[i]
		if err := l.emit(e); err != nil {
			return err
		}
	}
	return nil
}

// emit writes one entry in the form that is asked for.
func (l *logText) emit(e logEntry) error {
	if !l.told {
		l.told = true
		l.first <- strconv.FormatUint(e.place, 10)
	}
	var line []byte
	if l.ident != "" {
		line = e.at.UTC().AppendFormat(line, "2006-01-02 15:04:05.000")
		line = append(line, " "+hostName()+" "+l.ident+": "...) // no process ID: the engine knows none
	}
	text := e.text
	if l.colourless {
		text = colours.ReplaceAll(text, nil)
	}
	line = append(append(line, text...), '\n')
	if _, err := l.out.Write(line); err != nil {
		return err // the reader is gone
	}
	if l.n++; l.enough() {
		return errEnough
	}
	return nil
}

func (l *logText) enough() bool { return l.span.most > 0 && l.n >= l.span.most }

// hostName is that of the appliance, as far as it has one.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// colours are the sequences with which programs colour their lines on a terminal.
var colours = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

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

// timedFeed reads lines that begin with their time.
type timedFeed struct {
	io.Closer
	lines *bufio.Reader
	at    time.Time
	rest  bool // of a line that was too long
}

// timed makes a feed of a log with times.
func timed(body io.ReadCloser, err error) (logFeed, error) {
	if err != nil {
		return nil, err
	}
	return &timedFeed{Closer: body, lines: bufio.NewReaderSize(body, maxLine)}, nil
}

func (f *timedFeed) next() (logEntry, error) {
	line, err := f.lines.ReadSlice('\n')
	if len(line) == 0 {
		return logEntry{}, err
	}
	text := bytes.TrimSuffix(line, []byte("\n"))
	if !f.rest {
		stamp, after, _ := bytes.Cut(text, []byte(" "))
		if at, bad := time.Parse(time.RFC3339Nano, string(stamp)); bad == nil {
			f.at, text = at, after
		}
	}
	f.rest = err == bufio.ErrBufferFull
	if err != nil && !f.rest && err != io.EOF { // the end of the log ends its last line
		return logEntry{}, err
	}
	return logEntry{f.at, uint64(max(f.at.UnixNano(), 1)), text}, nil
}
