package store

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Errors a caller branches on. Every message that wraps one ends with the next step.
var (
	ErrSource   = errors.New("not an address of a repository") // the owner's typing
	ErrAdded    = errors.New("the repository is already there")
	ErrInvalid  = errors.New("not a valid add-on repository")
	ErrFetch    = errors.New("the repository could not be fetched") // try again later, or it is gone
	ErrHostile  = errors.New("the repository is refused")           // it goes over a limit, or is malformed on purpose
	ErrBuiltin  = errors.New("the repository is built in")
	ErrInUse    = errors.New("installed add-ons come from the repository")
	ErrNotFound = errors.New("not in the store")
	ErrAsset    = errors.New("the file cannot be shown")
)

// Problem is something in a repository that was left out, or that its owner should know. Path is the file's, "" for the
// repository itself.
type Problem struct {
	Path   string `json:"path,omitempty"`
	Reason string `json:"reason"`
}

// problems collects up to maxProblems; a hostile repository must not fill the memory with its faults.
type problems struct {
	list []Problem
	more int
}

func (p *problems) add(path, format string, args ...any) {
	if len(p.list) >= maxProblems {
		p.more++
		return
	}
	p.list = append(p.list, Problem{Path: clean(path), Reason: clean(fmt.Sprintf(format, args...))})
}

func (p *problems) all() []Problem {
	if p.more > 0 {
		return append(p.list[:len(p.list):len(p.list)], Problem{Reason: fmt.Sprintf("%d more problems are not listed", p.more)})
	}
	return p.list
}

// clean makes foreign bytes fit to be shown and logged: printable, one line, bounded.
func clean(s string) string {
	if len(s) > 4*maxReason {
		s = s[:4*maxReason]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, !unicode.IsPrint(r) && !unicode.IsSpace(r):
			return '\ufffd'
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if n := maxReason; len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "…"
	}
	return s
}
