package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/castellan/castellan/supervisor/api"
)

// everyCommand are the commands that do something, with what is below them.
func everyCommand(t *testing.T, visit func(t *testing.T, cmd *cobra.Command)) {
	t.Helper()
	t.Chdir(t.TempDir()) // for what an example writes
	var walk func(cmd *cobra.Command)
	n := 0
	walk = func(cmd *cobra.Command) {
		n++
		t.Run(strings.ReplaceAll(cmd.CommandPath(), " ", "-"), func(t *testing.T) { visit(t, cmd) })
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	if n < 40 {
		t.Fatalf("only %d commands were found", n)
	}
}

// exampleLines are the command lines of a command's example, without the program's name.
func exampleLines(cmd *cobra.Command) (out [][]string) {
	for line := range strings.Lines(cmd.Example) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == "castellan" {
			out = append(out, f[1:])
		}
	}
	return out
}

// nexts counts the next steps that a failure names.
func nexts(stderr string) (n int) {
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "Next: ") {
			n++
		}
	}
	return n
}

// notAsked are commands that ask no daemon, and why their output is what it is.
var notAsked = map[string]string{
	"run":            "is the daemon",
	"trust reinit":   "works on the files of a stopped daemon, and prints what it made",
	"addon lint":     "reads files, and prints an object for each",
	"completion":     "prints a script",
	"man":            "writes files",
	"openapi":        "prints one JSON document, whatever is asked",
	"addon stdin":    "reads the standard input first",
	"backup upload":  "reads a file first",
	"support-bundle": "answers without a daemon too, and has tests of its own",
	"version":        "answers without a daemon too",
	"events":         "goes on until it is stopped, and comes back by itself",
}

func TestEveryCommandExplainsItself(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("the short text is %q: want a phrase without a full stop", cmd.Short)
		}
		if cmd.Long == "" && cmd.Example == "" && !cmd.HasSubCommands() {
			t.Error("neither a long text nor an example")
		}
		if cmd.Args == nil && cmd.Runnable() && cmd.Name() != "help" {
			t.Error("arguments are not checked")
		}
		if cmd.Flag("json") == nil && cmd.InheritedFlags().Lookup("json") == nil {
			t.Error("no --json")
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("--%s has no text", f.Name)
			}
		})
		for _, line := range exampleLines(cmd) {
			found, rest, err := newRoot().Find(line)
			if err != nil || found.CommandPath() != cmd.CommandPath() {
				t.Fatalf("the example %q is not of this command: %v", line, err)
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("the example %q: %v", line, err)
			} else if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("the example %q: %v", line, err)
			}
		}
	})
}

func TestEveryCommandRefusesWrongUsage(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command) {
		words := strings.Fields(wordsOf(cmd))
		lines := [][]string{append(words, "--no-such-flag")}
		if !strings.Contains(cmd.Use, "…") && cmd.Name() != "help" {
			lines = append(lines, append(words, strings.Fields(strings.Repeat("x ", 20))...))
		}
		if need := strings.Fields(cmd.Use); len(need) > 1 && strings.ToUpper(need[1]) == need[1] && !strings.HasPrefix(need[1], "[") {
			lines = append(lines, words)
		}
		for _, line := range lines {
			b := &butler{}
			code, stdout, stderr := run(t, append([]string{"--socket", serve(t, b)}, line...)...)
			if code != exitUsage || stdout != "" || nexts(stderr) != 1 || len(b.asked) != 0 {
				t.Errorf("%q: exit %d, want 2; stdout %q, stderr %q, asked %q", line, code, stdout, stderr, b.asked)
			}
		}
	})
}

func TestEveryFailureNamesOneNextStep(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		code int
	}{
		{"nobody there", nil, exitUnreachable},
		{"failed", &api.Error{Status: http.StatusConflict, Key: "stuck", Message: "the disk is gone"}, exitFailed},
		{"failed inside", errors.New("boom"), exitFailed},
		{"refused", &api.Error{Status: http.StatusForbidden, Key: api.KeyTrust, Message: "REVOKED"}, exitRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			everyCommand(t, func(t *testing.T, cmd *cobra.Command) {
				if notAsked[wordsOf(cmd)] != "" || !cmd.Runnable() {
					return
				}
				for _, line := range exampleLines(cmd) {
					socket := filepath.Join(t.TempDir(), "s")
					if c.err != nil {
						socket = serve(t, &butler{err: c.err})
					}
					code, stdout, stderr := run(t, append([]string{"--json", "--socket", socket}, line...)...)
					if code == 0 { // some parts of this daemon never fail
						if c.err == nil {
							t.Errorf("%q: exit 0 without a daemon", line)
						}
						continue
					}
					if code != c.code && c.err == nil || stdout != "" || nexts(stderr) != 1 {
						t.Errorf("%q: exit %d, want %d; stdout %q, stderr %q", line, code, c.code, stdout, stderr)
					}
				}
			})
		})
	}
}

// Programs read the standard output: with --json there is nothing else on it, and never a code that moves a cursor.
func TestEveryCommandPrintsJSONAlone(t *testing.T) {
	good := api.Change{ID: "c1", Service: "core", To: "2", State: "committed", Done: true, Good: true}
	everyCommand(t, func(t *testing.T, cmd *cobra.Command) {
		if why := notAsked[wordsOf(cmd)]; why != "" || !cmd.Runnable() {
			return
		}
		for _, line := range exampleLines(cmd) {
			b := &butler{change: good, report: api.LogReport{OK: true}, replay: api.Replay{Agree: true}, addon: api.AddonInfo{Addon: api.Addon{Slug: "core_x", Name: "\x1b[2J"}}}
			socket := serve(t, b)
			code, stdout, stderr := run(t, append([]string{"--json", "--socket", socket}, line...)...)
			d := json.NewDecoder(strings.NewReader(stdout))
			n := 0
			for ; ; n++ {
				var v any
				if err := d.Decode(&v); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%q: exit %d, %v\n%s", line, code, err, stdout)
				}
			}
			if code == 0 && n == 0 {
				t.Errorf("%q: printed nothing for programs (stderr %q)", line, stderr)
			}
			_, stdout, stderr = run(t, append([]string{"--socket", socket}, line...)...)
			if strings.Contains(stdout+stderr, "\x1b") {
				t.Errorf("%q: an escape code: %q", line, stdout+stderr)
			}
		}
	})
}
