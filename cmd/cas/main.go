// Command cas notarizes images and files, withdraws them, tells what is trusted, and runs ledgers.
//
// Every question is answered from a local replica of the ledger, verified transaction by transaction; a server is
// asked for files only, never for an opinion. What can't be checked is UNAVAILABLE or STALE and never exits 0.
//
// Exit codes, for each input and, by the worst of them, for the whole: 0 trusted, 1 error, 2 usage, 3 untrusted,
// 4 unknown, 5 unsupported, 6 key revoked, 7 unavailable or stale. Worst first, codes are ordered 3, 6, 4, 7, 1, 5, 0:
// known to be bad, then vouched for by nobody, then could not be checked, then retired.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set at link time.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{in: stdin, out: stdout, err: stderr}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitTrusted
	}
	var v *verdictError
	if errors.As(err, &v) { // the verdicts were printed
		return v.code
	}
	var u *usageError
	code := exitError
	msg := err.Error()
	if errors.As(err, &u) || strings.HasPrefix(msg, "unknown command") || strings.HasPrefix(msg, "required flag") {
		code = exitUsage
		msg += "; see `cas --help`"
	}
	fmt.Fprintf(stderr, "cas: %s\n", msg)
	return code
}

// usageError is a command line that can't be understood.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "cas",
		Short: "Notarize artifacts, withdraw them, and tell what is trusted",
		Long: "cas notarizes images and files in a ledger, withdraws them, and tells what is trusted.\n\n" +
			"Exit codes: 0 trusted, 1 error, 2 usage, 3 untrusted, 4 unknown, 5 unsupported, 6 key revoked,\n" +
			"7 unavailable or stale; of several inputs the worst wins, in the order 3 6 4 7 1 5 0.",
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q", args[0])
			}
			return usagef("a command is missing")
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	a.globalFlags(root.PersistentFlags())
	root.AddCommand(
		authenticateCommand(a), channelCommand(a), exportCommand(a), inspectCommand(a), keyCommand(a), listCommand(a),
		loginCommand(a), notarizeCommand(a), rootCommand(a), serveCommand(a), unsupportCommand(a), untrustCommand(a),
	)
	return root
}

// args wraps a check of the positional arguments, whose failure is a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, list []string) error {
		if err := check(cmd, list); err != nil {
			return &usageError{err}
		}
		return nil
	}
}

// group is a command that only has sub-commands.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, args []string) error {
		return usagef("%q wants one of its sub-commands", cmd.CommandPath())
	}}
	c.AddCommand(subs...)
	return c
}
