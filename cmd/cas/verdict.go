package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/castellan/castellan/trust"
)

// Exit codes; they are those of package trust, so that both programs mean the same.
const (
	exitTrusted     = trust.ExitTrusted
	exitError       = trust.ExitError
	exitUsage       = trust.ExitUsage
	exitUntrusted   = trust.ExitUntrusted
	exitUnknown     = trust.ExitUnknown
	exitUnsupported = trust.ExitUnsupported
	exitKeyRevoked  = trust.ExitKeyRevoked
	exitUnavailable = trust.ExitUnavailable
)

// worstFirst orders the codes of several inputs: known to be bad, then vouched for by nobody, then could not be
// checked, then retired. Usage ends a command before there are verdicts.
var worstFirst = []int{exitUntrusted, exitKeyRevoked, exitUnknown, exitUnavailable, exitError, exitUnsupported, exitTrusted}

// exitOf is the exit code of one status. Whatever is not known to be good is not 0.
func exitOf(s trust.Status) int {
	switch s {
	case trust.Trusted:
		return exitTrusted
	case trust.Untrusted:
		return exitUntrusted
	case trust.Unsupported:
		return exitUnsupported
	case trust.ApikeyRevoked:
		return exitKeyRevoked
	case trust.Unavailable, trust.Stale:
		return exitUnavailable
	case trust.Unknown:
		return exitUnknown
	}
	return exitError
}

// worst is the code of a command with the given inputs' codes. No input at all is an error, not a success, and so is a
// code that nobody knows.
func worst(codes []int) int {
	if slices.ContainsFunc(codes, func(c int) bool { return !slices.Contains(worstFirst, c) }) {
		return exitError
	}
	for _, c := range worstFirst {
		if slices.Contains(codes, c) {
			return c
		}
	}
	return exitError
}

// verdict is the line printed for one input.
type verdict struct {
	Input     string         `json:"input"`
	Status    string         `json:"status"` // CAS word, or ERROR
	Exit      int            `json:"exit"`
	Kind      string         `json:"kind,omitempty"`
	Name      string         `json:"name,omitempty"`
	Version   string         `json:"version,omitempty"`
	Digest    trust.Digest   `json:"digest,omitempty"` // of the index, the only manifest, or the file
	Publisher string         `json:"publisher,omitempty"`
	Record    trust.Position `json:"record,omitzero"`
	Severity  trust.Severity `json:"severity,omitempty"`
	Reason    string         `json:"reason,omitempty"`  // what the publisher wrote about a withdrawal
	Detail    string         `json:"detail,omitempty"`  // why the status is what it is, when that needs words
	Warning   string         `json:"warning,omitempty"` // what to know beside it
	Ledger    *ledgerState   `json:"ledger,omitempty"`
}

// ledgerState says what a verdict rests on.
type ledgerState struct {
	Origin string    `json:"origin"`
	Count  uint64    `json:"count"`
	Time   time.Time `json:"time"` // newest checkpoint
}

func errorVerdict(input string, err error) verdict {
	return verdict{Input: input, Status: "ERROR", Exit: exitError, Detail: err.Error()}
}

// verdictError ends the program with the worst code of printed verdicts.
type verdictError struct{ code int }

func (e *verdictError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// finish prints verdicts and turns them into the command's result.
func (a *app) finish(list []verdict) error {
	codes := make([]int, len(list))
	for i, v := range list {
		codes[i] = v.Exit
	}
	if a.output == "json" {
		for _, v := range list {
			if err := a.printJSON(v); err != nil {
				return err
			}
		}
	} else {
		t := a.table("STATUS", "INPUT", "DIGEST", "PUBLISHER", "NOTE")
		for _, v := range list {
			t.AppendRow(table.Row{v.Status, clean(v.Input), v.Digest.Short(), v.Publisher, clean(joinNotes(v))})
		}
		t.Render()
	}
	if code := worst(codes); code != exitTrusted {
		return &verdictError{code}
	}
	return nil
}

func joinNotes(v verdict) string {
	var notes []string
	if v.Severity != "" {
		notes = append(notes, "severity "+string(v.Severity))
	}
	for _, s := range []string{v.Reason, v.Detail, v.Warning} {
		if s != "" {
			notes = append(notes, s)
		}
	}
	return strings.Join(notes, "; ")
}

// clean keeps what others wrote from steering the terminal.
func clean(s string) string {
	s = strings.ReplaceAll(s, "\n", "; ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func (a *app) printJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s\n", b)
	return err
}

func (a *app) table(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.out)
	t.SetStyle(table.StyleDefault)
	t.Style().Options = table.Options{}
	t.Style().Box.PaddingLeft, t.Style().Box.PaddingRight = "", "  "
	t.AppendHeader(table.Row(header))
	return t
}
