package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
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
		keys := s.cmd.InOrStdin().(*os.File) // atTerminal has seen that it is one
		show, hidden := hide(int(keys.Fd()))
		if hidden != nil {
			return "", fmt.Errorf("cannot hide what is typed: %w", hidden)
		}
		fmt.Fprintf(s.cmd.ErrOrStderr(), "%s: ", prompt)
		text, err = orInterrupted(s.cmd.Context(), func() (string, error) { return line(keys) })
		show()
		fmt.Fprintln(s.cmd.ErrOrStderr())
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

// hide has a terminal show no more what is typed, before anybody is asked: who is interrupted at once must find it as it was.
// show puts it back.
func hide(fd int) (show func(), err error) {
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	dark := *before
	dark.Lflag = dark.Lflag&^unix.ECHO | unix.ICANON | unix.ISIG
	dark.Iflag |= unix.ICRNL
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }, unix.IoctlSetTermios(fd, unix.TCSETS, &dark) // it may be gone
}

// line reads a line and nothing of the next.
func line(from io.Reader) (string, error) {
	var text []byte
	for b := make([]byte, 1); len(text) <= maxSecret; {
		n, err := from.Read(b)
		switch {
		case n == 1 && b[0] == '\n':
			return strings.TrimRight(string(text), "\r"), nil
		case n == 1:
			text = append(text, b[0])
		case errors.Is(err, io.EOF) && len(text) > 0:
			return string(text), nil
		case err != nil:
			return "", err
		}
	}
	return string(text), nil
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
