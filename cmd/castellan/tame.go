package main

import "io"

// tame passes on what an add-on printed to a terminal: text, lines and colours, and no other control of the screen. It
// remembers what is cut between two writes.
type tame struct {
	w    io.Writer
	held []byte // an escape sequence, or the first byte of a letter, whose end is not there yet
}

// maxEscape is longer than any sequence of colours, in bytes.
const maxEscape = 32

func (t *tame) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p))
	for _, c := range p {
		out = t.next(out, c)
	}
	if _, err := t.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// next adds to out what c completes.
func (t *tame) next(out []byte, c byte) []byte {
	n := len(t.held)
	switch {
	case n == 0 && (c == 0x1b || c == 0xc2): // after 0xc2 come the controls U+0080 to U+009F, which terminals obey too
		t.held = append(t.held, c)
		return out
	case n == 0:
	case t.held[0] == 0xc2 && c >= 0xa0 && c <= 0xbf, n > 1 && c == 'm':
		out = append(append(out, t.held...), c)
		t.held = t.held[:0]
		return out
	case t.held[0] == 0xc2 && c >= 0x80 && c <= 0x9f:
		t.held = t.held[:0]
		return out
	case t.held[0] == 0x1b && (n == 1 && c == '[' || n > 1 && n < maxEscape && (c >= '0' && c <= '9' || c == ';')):
		t.held = append(t.held, c)
		return out
	default: // another sequence: without its beginning the rest is text
		t.held = t.held[:0]
	}
	if c >= ' ' && c != 0x7f || c == '\n' || c == '\t' {
		out = append(out, c)
	}
	return out
}
