package addons

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

var errNoMatch = errors.New("no match")

// Limits on the patterns of match(): they are a stranger's.
const (
	maxPattern     = 4 << 10
	maxMatchText   = 16 << 10
	patternTimeout = 250 * time.Millisecond
)

// matchStart tries a pattern at the start of text, and only there, as Python's re.match does. Go's own engine does what
// it can, for it cannot be made to hang; what it cannot (look-around, back references, letters beyond ASCII, $ before
// a last newline) another engine does, with a time limit.
func matchStart(pattern, text string) error {
	if len(pattern) > maxPattern {
		return fmt.Errorf("the add-on's pattern is longer than %d bytes; tell its author", maxPattern)
	}
	if len(text) > maxMatchText {
		return errNoMatch
	}
	if printable(text) {
		if re, err := regexp.Compile(pattern); err == nil {
			if at := re.FindStringIndex(text); at == nil || at[0] != 0 { // the leftmost match is at 0 if there is one
				return errNoMatch
			}
			return nil
		}
	}
	pattern = fromPython(pattern)
	_, err := regexp2.Compile(pattern, regexp2.None)
	re, err2 := regexp2.Compile(`\A(?:`+pattern+`)`, regexp2.None) // "a)(b" is none, but would be one in brackets
	if err != nil || err2 != nil {
		return errors.New("the add-on's pattern is no regular expression; tell its author")
	}
	re.MatchTimeout = patternTimeout
	ok, err := re.MatchString(text)
	switch {
	case err != nil:
		return errors.New("the add-on's pattern takes too long on this text; try a shorter one, and tell the add-on's author")
	case !ok:
		return errNoMatch
	}
	return nil
}

// printable tells whether Go and Python mean the same by \w, \d, \s and $ in text.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// pythonOnly finds escapes (to keep them whole) and what only Python writes that way.
var pythonOnly = regexp.MustCompile(`(?s)\\.|\(\?P<|\(\?P=(\w+)\)`)

// fromPython writes a pattern in the other engine's words.
func fromPython(pattern string) string {
	return pythonOnly.ReplaceAllStringFunc(pattern, func(s string) string {
		switch {
		case s == `\Z`:
			return `\z`
		case s == `(?P<`:
			return `(?<`
		case strings.HasPrefix(s, `(?P=`):
			return `\k<` + s[4:len(s)-1] + `>`
		}
		return s
	})
}
