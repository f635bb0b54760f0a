package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func checkCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Sync the ledger, poll the channel, and show what would happen",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := o.client().Check(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), plan)
			}
			for _, s := range plan.Steps {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s -> %s\n", s.Service, plain(orDash(s.From)), plain(s.To))
			}
			printSkips(cmd.OutOrStdout(), plan.Skips)
			return nil
		},
	}
}

func updateCommand(o *options) *cobra.Command {
	var to string
	var detach bool
	cmd := &cobra.Command{
		Use:   "update [NAME]",
		Short: "Update one service, or all that wait",
		Args:  argsRange(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := api.UpdateRequest{Version: to}
			if len(args) == 1 {
				req.Service = args[0]
			}
			if to != "" && req.Service == "" {
				return usage(fmt.Errorf("--to needs the name of a service"), "castellan update NAME --to "+to)
			}
			acc, err := o.client().Update(cmd.Context(), req)
			if err != nil {
				return err
			}
			return follow(cmd, o, acc, detach)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "version to go to instead of the newest")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

func rollbackCommand(o *options) *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Go back to the previous version of a service",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			acc, err := o.client().Rollback(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return follow(cmd, o, acc, detach)
		},
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

func printSkips(w io.Writer, skips []api.PlanSkip) {
	for _, s := range skips {
		fmt.Fprintf(w, "%s: %s\n", s.Service, plain(s.Why))
	}
}

// follow shows the course of changes until each is over. The daemon does the work; leaving stops nothing.
func follow(cmd *cobra.Command, o *options, acc api.Accepted, detach bool) error {
	out := cmd.OutOrStdout()
	if !o.json {
		printSkips(out, acc.Skips)
	}
	if len(acc.Changes) == 0 {
		if o.json {
			if err := printJSON(out, acc); err != nil {
				return err
			}
		}
		return &exitError{code: exitNothing}
	}
	if detach {
		if o.json {
			return printJSON(out, acc)
		}
		fmt.Fprintf(out, "accepted: %s\n", strings.Join(acc.Changes, " "))
		return nil
	}
	stages := out
	if o.json {
		stages = io.Discard
	}
	ended, err := followAll(cmd.Context(), o.client().Change, acc.Changes, stages, newScreen(stages))
	if err != nil {
		return err
	}
	if o.json {
		if err := printJSON(out, api.ChangeList{Changes: ended}); err != nil {
			return err
		}
	}
	return worst(ended)
}

// worst is the error of the changes that did not end as asked: refused by trust wins over failed.
func worst(ended []api.Change) error {
	var out *exitError
	for _, c := range ended {
		if c.Good {
			continue
		}
		e := &exitError{exitFailed, fmt.Errorf("%s: %s", c.Service, c.Why), c.Next}
		if c.State == "refused" || c.State == "deferred" {
			e.code = exitRefused
		}
		if out == nil || e.code > out.code {
			out = e
		}
	}
	if out == nil {
		return nil
	}
	return out
}
