package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// question is what only the owner can decide. Without a terminal nobody is there to ask.
type question struct {
	text  string // "Install it?"
	want  string // what must be typed; "" = y or yes
	yes   bool   // answered beforehand, with --yes
	retry string // command line that answers it beforehand
	what  string // what does not happen without an answer: "install core_ssh"
}

// ask returns nil when the owner agrees.
func ask(cmd *cobra.Command, q question) error {
	if q.yes {
		return nil
	}
	if !atTerminal(cmd) {
		return usage(fmt.Errorf("cannot %s: nobody is at the terminal to agree", q.what), q.retry)
	}
	_, err := orInterrupted(cmd.Context(), func() (none struct{}, _ error) { return none, answer(cmd.InOrStdin(), cmd.ErrOrStderr(), q) })
	if errors.Is(err, errInterrupted) {
		fmt.Fprintln(cmd.ErrOrStderr())
		return &exitError{exitFailed, fmt.Errorf("did not %s: %w", q.what, err), q.retry}
	}
	return err
}

// answer reads one line.
func answer(in io.Reader, out io.Writer, q question) error {
	choice := "[y/N]"
	if q.want != "" {
		choice = fmt.Sprintf("Type %s to go on:", q.want)
	}
	fmt.Fprintf(out, "%s %s ", q.text, choice)
	line, err := bufio.NewReader(io.LimitReader(in, 1000)).ReadString('\n')
	if err != nil && line == "" {
		fmt.Fprintln(out) // the end of the input is a no
	}
	got := strings.TrimSpace(line)
	if q.want != "" && got == q.want || q.want == "" && (strings.EqualFold(got, "y") || strings.EqualFold(got, "yes")) {
		return nil
	}
	return &exitError{exitFailed, fmt.Errorf("did not %s: it was not agreed to", q.what), q.retry}
}
