package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func changeCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "change", Short: "What moved from one image to another, and what is moving", Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(changeListCommand(o), changeShowCommand(o), changeWaitCommand(o))
	return cmd
}

func changeListCommand(o *options) *cobra.Command {
	var service string
	var last int
	cmd := &cobra.Command{
		Use: "list", Short: "List changes, newest first", Args: argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if last < 1 {
				return usage(fmt.Errorf("--last is %d: want 1 or more", last), "castellan change list --last 20")
			}
			list, err := o.client().Changes(cmd.Context())
			if err != nil {
				return err
			}
			kept := []api.Change{}
			for _, c := range list.Changes {
				if (service == "" || c.Service == service || c.Slug == service) && len(kept) < last {
					kept = append(kept, c)
				}
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), api.ChangeList{Changes: kept})
			}
			t := newTable(cmd.OutOrStdout(), "CHANGE", "SERVICE", "KIND", "FROM", "TO", "STATE", "BEGUN")
			for _, c := range kept {
				t.AppendRow([]any{c.ID, c.Service, c.Kind, plain(orDash(c.From)), plain(orDash(c.To)), c.State, age(c.Created)})
			}
			t.Render()
			return nil
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "only those of this service, or add-on")
	cmd.Flags().IntVar(&last, "last", 20, "at most that many")
	return cmd
}

func changeShowCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show CHANGE", Short: "Show one change, and why it ended as it did", Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client().Change(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), c)
			}
			printChange(cmd.OutOrStdout(), c)
			return nil
		},
	}
}

func printChange(w io.Writer, c api.Change) {
	fmt.Fprintf(w, "%s of %s: %s -> %s, %s\n", c.Kind, c.Service, plain(orDash(c.From)), plain(orDash(c.To)), c.State)
	const layout = "2006-01-02 15:04:05"
	fmt.Fprintf(w, "  begun %s, last moved %s\n", c.Created.Local().Format(layout), c.Updated.Local().Format(layout))
	if c.Total > 0 {
		fmt.Fprintf(w, "  %s of %s downloaded\n", size(c.Bytes), size(c.Total))
	}
	for _, line := range []struct{ name, text string }{{"reason", c.Reason}, {"why", c.Why}, {"trouble", c.Trouble}, {"next", c.Next}} {
		if line.text != "" {
			fmt.Fprintf(w, "  %s: %s\n", line.name, plain(line.text))
		}
	}
	if c.Verdict != 0 {
		fmt.Fprintf(w, "  verdict: record %d, castellan log explain %d\n", c.Verdict, c.Verdict)
	}
}

func changeWaitCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "wait CHANGE", Short: "Wait until a change is over; it fails when the change did", Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return follow(cmd, o, api.Accepted{Changes: args, Skips: []api.PlanSkip{}}, false)
		},
	}
}
