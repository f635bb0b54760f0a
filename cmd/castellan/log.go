package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func logCommand(o *options) *cobra.Command {
	var q api.LogQuery
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show the verification log: every verdict, action and override",
		Args:  onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Log(cmd.Context(), q)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			for _, r := range list.Records {
				fmt.Fprintf(cmd.OutOrStdout(), "%6d  %s  %-9s %s\n", r.Seq, r.Time.Local().Format("2006-01-02 15:04:05"), r.Kind, r.Summary)
			}
			return nil
		},
	}
	cmd.Flags().IntVarP(&q.Last, "last", "n", 20, "how many records")
	cmd.Flags().StringVar(&q.Kind, "kind", "", "only this kind: verdict, action, override, …")
	cmd.Flags().StringVar(&q.Service, "service", "", "only this service")
	cmd.AddCommand(logVerifyCommand(o), logExplainCommand(o), logReplayCommand(o))
	return cmd
}

func logExplainCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "explain N",
		Short: "Say why record N is what it is, and on which evidence",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := recordNumber(args[0])
			if err != nil {
				return err
			}
			e, err := o.client().Explain(cmd.Context(), seq)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), e)
			}
			fmt.Fprintln(cmd.OutOrStdout(), e.Text)
			if e.Next != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "Next: %s\n", e.Next)
			}
			return nil
		},
	}
}

func logReplayCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "replay N",
		Short: "Judge the evidence kept with record N again; the verdicts must agree",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := recordNumber(args[0])
			if err != nil {
				return err
			}
			r, err := o.client().Replay(cmd.Context(), seq)
			if err != nil {
				return err
			}
			if o.json {
				if err := printJSON(cmd.OutOrStdout(), r); err != nil {
					return err
				}
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "then: %s\nnow:  %s\n", r.Then, r.Now)
			}
			if !r.Agree {
				return &exitError{exitFailed, fmt.Errorf("record %d does not follow from its evidence", seq), "castellan log verify"}
			}
			return nil
		},
	}
}

func recordNumber(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return 0, usage(fmt.Errorf("cannot read record number %q: want a number from 1", s), "castellan log")
	}
	return n, nil
}
