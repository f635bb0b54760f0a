package addons

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// at is the place of a value; nil is the file as a whole. It is spelled out only when something is wrong there.
type at struct {
	up    *at
	step  string
	plain bool // an index, or a key that is no text
}

var root *at

func (a *at) key(k string) *at    { return &at{a, k, false} }
func (a *at) number(k string) *at { return &at{a, k, true} }
func (a *at) index(i int) *at     { return &at{a, strconv.Itoa(i), true} }

// String writes a place as Home Assistant does: "['arch'][0]"; "root" for the file as a whole.
func (a *at) String() string {
	if a == nil {
		return "root"
	}
	var steps []string
	for ; a != nil; a = a.up {
		step := "['" + short(a.step) + "']"
		if a.plain {
			step = "[" + short(a.step) + "]"
		}
		steps = append(steps, step)
	}
	slices.Reverse(steps)
	return strings.Join(steps, "")
}

// Problem is one thing that is wrong in a file.
type Problem struct {
	Line int    `json:"line,omitempty"` // from 1; 0 when it has no line
	Path string `json:"path"`           // "['arch'][0]", or "root"
	What string `json:"what"`           // what is wrong and what to write instead
}

// String is the problem in one line: where and what.
func (p Problem) String() string {
	s := p.What
	if p.Path != root.String() {
		s = p.Path + ": " + s
	}
	if p.Line > 0 {
		s = fmt.Sprintf("line %d: %s", p.Line, s)
	}
	return s
}

// InvalidError says why a file cannot be used. It holds at least one problem, the first one first.
type InvalidError struct {
	File     string
	Problems []Problem
}

// Error is the first problem, and how many there are besides.
func (e *InvalidError) Error() string {
	s := "cannot read " + e.File
	if len(e.Problems) > 0 {
		s += ": " + e.Problems[0].String()
	}
	if more := len(e.Problems) - 1; more > 0 {
		s += fmt.Sprintf(" (and %d more)", more)
	}
	return s
}

func invalid(name string, line int, where *at, format string, args ...any) *InvalidError {
	return &InvalidError{File: name, Problems: []Problem{{line, where.String(), fmt.Sprintf(format, args...)}}}
}

// maxProblems is how many problems of one file are told.
const maxProblems = 20

// short keeps what a stranger wrote from flooding a message.
func short(s string) string {
	if len(s) <= 120 {
		return s
	}
	r := []rune(s)
	if len(r) <= 100 {
		return s
	}
	return string(r[:100]) + "…"
}
