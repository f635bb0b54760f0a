package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

// addonCommands are the commands about one appliance's add-ons; lint needs no daemon and stands beside them.
func addonCommands(o *options) []*cobra.Command {
	return []*cobra.Command{
		addonListCommand(o), addonInfoCommand(o), addonInstallCommand(o), addonUninstallCommand(o), addonImportCommand(o),
		addonUpdateCommand(o), addonConsentCommand(o),
		addonMove(o, "start", "Start an add-on", "started", (*client.Client).StartAddon),
		addonMove(o, "stop", "Stop an add-on; it stays stopped", "stopped", (*client.Client).StopAddon),
		addonMove(o, "restart", "Stop an add-on and start it again", "restarted", (*client.Client).RestartAddon),
		addonMove(o, "rollback", "Go back to the previous version of an add-on", "went back", (*client.Client).RollbackAddon),
		addonBuildCommand(o),
		addonOptionsCommand(o), addonPortsCommand(o), addonSetCommand(o),
		addonLogsCommand(o), addonStatsCommand(o), addonStdinCommand(o),
	}
}

// addonMove is a command that names an add-on and nothing else. done says in a word what an answer without changes means.
func addonMove(o *options, word, short, done string, call func(*client.Client, context.Context, string) (api.Accepted, error)) *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   word + " SLUG",
		Short: short,
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			acc, err := call(o.client(), cmd.Context(), args[0])
			return followAddon(cmd, o, args[0], acc, err, detach, done)
		},
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

func addonUpdateCommand(o *options) *cobra.Command {
	var to string
	var detach bool
	cmd := &cobra.Command{
		Use:   "update SLUG",
		Short: "Update one add-on",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			acc, err := o.client().UpdateAddon(cmd.Context(), args[0], api.AddonUpdateRequest{Version: to})
			return followAddon(cmd, o, args[0], acc, err, detach, "updated")
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "version to go to instead of the newest")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

// followAddon shows the course of what was accepted, or says that it is done already.
func followAddon(cmd *cobra.Command, o *options, slug string, acc api.Accepted, err error, detach bool, done string) error {
	switch {
	case err != nil:
		return addonError(cmd, slug, err)
	case len(acc.Changes) != 0 || len(acc.Skips) != 0:
		return withNext(follow(cmd, o, acc, detach), "castellan addon logs "+slug)
	case o.json:
		return printJSON(cmd.OutOrStdout(), acc)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", slug, done)
	return nil
}

// addonError shows the rights that an error is about, and gives each error a next step.
func addonError(cmd *cobra.Command, slug string, err error) error {
	var known *api.Error
	if errors.As(err, &known) && known.Key == api.KeyConsent {
		_, asks := known.Asks()
		printRights(cmd.ErrOrStderr(), asks)
		return withNext(err, "castellan addon consent "+slug)
	}
	return withNext(err, "castellan addon info "+slug)
}

// withNext gives an error a next step when it has none.
func withNext(err error, next string) error {
	if err == nil || err.Error() == "" { // everything was said
		return err
	}
	if code, has := classify(err); has == "" {
		return &exitError{code, err, next}
	}
	return err
}

// printRights writes what an add-on may reach, in words.
func printRights(w io.Writer, rights []api.Right) {
	for _, r := range rights {
		fmt.Fprintf(w, "  - %s (%s)\n", plain(r.Words), plain(r.Code))
	}
}

func codes(rights []api.Right) []string {
	out := make([]string, 0, len(rights))
	for _, r := range rights {
		out = append(out, r.Code)
	}
	return out
}
