// Command castellan is the update supervisor of an appliance. `castellan run` is the daemon; every other sub-command
// is a client of its unix socket.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing to do, 4 refused or deferred by trust, 5 daemon not
// reachable.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

// version is set at link time.
var version = "dev"

// Exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitNothing
	exitRefused
	exitUnreachable
)

// exitError ends the program with a code; err may be nil when everything was said.
type exitError struct {
	code int
	err  error
	next string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	over := context.AfterFunc(ctx, func() { leaves(os.Args[1:]) })
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	over()
	stop()
	os.Exit(code)
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil && errors.Is(err, client.ErrNotReachable) { // the daemon has done nothing wrong
		err = &exitError{exitFailed, errors.New("interrupted; what the daemon was asked to do goes on"), "castellan status"}
	}
	code, next := classify(err)
	if next == "" && err.Error() != "" {
		next = fallback(cmd, code, err)
	}
	// Both may hold what others wrote: each is one line, and moves no terminal.
	if msg := strings.TrimSpace(plain(err.Error())); msg != "" {
		fmt.Fprintf(stderr, "castellan: %s\n", msg)
	}
	if next = strings.TrimSpace(plain(next)); next != "" {
		fmt.Fprintf(stderr, "Next: %s\n", next)
	}
	return code
}

// classify turns an error into an exit code and the one next step.
func classify(err error) (code int, next string) {
	var exit *exitError
	var answer *api.Error
	switch {
	case errors.As(err, &exit):
		return exit.code, exit.next
	case errors.Is(err, client.ErrNotReachable):
		return exitUnreachable, "systemctl status castellan"
	case errors.As(err, &answer):
		if answer.Key == api.KeyTrust {
			return exitRefused, answer.Next
		}
		return exitFailed, answer.Next
	}
	return exitFailed, ""
}

// options are the flags every client command has.
type options struct {
	socket string
	json   bool
	remote remote
}

func (o *options) client() *client.Client {
	if o.remote.client != nil {
		return o.remote.client
	}
	return client.New(o.socket)
}

func newRoot() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:           "castellan",
		Short:         "The update supervisor of a home appliance",
		Long:          "Castellan keeps the containers of an appliance up to date and lets in only what the ledger vouches for.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          onlyCommands,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return o.remote.open(cmd) },
	}
	socket := os.Getenv("CASTELLAN_SOCKET")
	if socket == "" {
		socket = "/run/castellan.sock"
	}
	root.PersistentFlags().StringVar(&o.socket, "socket", socket, "unix socket of the daemon (or CASTELLAN_SOCKET)")
	root.PersistentFlags().BoolVar(&o.json, "json", false, "print JSON")
	o.remote.flags(root)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err, cmd.CommandPath()+" --help")
	})
	root.AddCommand(runCommand(), statusCommand(o), checkCommand(o), updateCommand(o), rollbackCommand(o),
		logCommand(o), trustCommand(o), addonCommand(o), repoCommand(o), eventsCommand(o), changeCommand(o), jobCommand(o), backupCommand(o), versionCommand(o), openapiCommand())
	root.AddCommand(decideCommands(o)...)
	root.AddCommand(setupCodeCommand(o), userCommand(o), sessionCommand(o), tokenCommand(o))
	root.AddCommand(coreCommand(o), supportCommand(o), completionCommand(), manCommand())
	root.CompletionOptions.DisableDefaultCmd = true // ours checks its arguments
	furnish(o, root)
	return root
}

func usage(err error, next string) error { return &exitError{exitUsage, err, next} }

// onlyCommands is for a command whose words are other commands.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	next := "castellan help"
	if cmd.HasParent() {
		next = cmd.CommandPath() + " --help"
	}
	return usage(fmt.Errorf("unknown command %q", strings.TrimPrefix(cmd.CommandPath()+" "+args[0], "castellan ")), next)
}

// argsRange is cobra's, with our exit code.
func argsRange(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := cobra.RangeArgs(least, most)(cmd, args)
		if err == nil && slices.Contains(args, "") { // of a script's variable that is not set: nobody means all by it
			err = errors.New("an argument is empty")
		}
		if err != nil {
			return usage(err, cmd.CommandPath()+" --help")
		}
		return nil
	}
}
