package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxSecret bounds a line that holds a password, in bytes.
const maxSecret = 1024

// secrets reads passwords: from the terminal without showing them, otherwise a line of the input for each. They are never
// arguments, which every user of a machine can see.
type secrets struct {
	cmd   *cobra.Command
	lines *bufio.Reader // of an input that is no terminal
}

func newSecrets(cmd *cobra.Command) *secrets {
	s := &secrets{cmd: cmd}
	if !atTerminal(cmd) {
		s.lines = bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 4*maxSecret))
	}
	return s
}

// read reads one.
func (s *secrets) read(prompt string) (string, error) {
	var text string
	var err error
	if s.lines != nil {
		text, err = s.lines.ReadString('\n')
		text = strings.TrimRight(text, "\r\n")
		if errors.Is(err, io.EOF) && text != "" {
			err = nil
		}
	} else {
		fmt.Fprintf(s.cmd.ErrOrStderr(), "%s: ", prompt)
		fd := int(s.cmd.InOrStdin().(*os.File).Fd()) // atTerminal has seen that it is one
		before, _ := term.GetState(fd)               // what can't be read is not put back
		var b []byte
		b, err = orInterrupted(s.cmd.Context(), func() ([]byte, error) { return term.ReadPassword(fd) })
		if errors.Is(err, errInterrupted) && before != nil {
			_ = term.Restore(fd, before) // it shows again what is typed; it may be gone
		}
		fmt.Fprintln(s.cmd.ErrOrStderr())
		text = string(b)
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return "", fmt.Errorf("cannot read the password: %w", err)
	case text == "":
		return "", usage(errors.New("cannot go on without a password: type one, or give it as a line on the standard input"), s.cmd.CommandPath()+" --help")
	case len(text) > maxSecret:
		return "", usage(fmt.Errorf("the password is longer than %d bytes", maxSecret), s.cmd.CommandPath()+" --help")
	}
	return text, nil
}

// fresh reads a new one; at a terminal twice, because it can't be seen.
func (s *secrets) fresh() (string, error) {
	text, err := s.read("New password")
	if err != nil || s.lines != nil {
		return text, err
	}
	again, err := s.read("The same again")
	if err == nil && again != text {
		err = &exitError{exitFailed, errors.New("the two passwords differ"), s.cmd.CommandPath()}
	}
	return text, err
}
