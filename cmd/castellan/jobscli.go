package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func jobCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "job", Short: "Show the work that is under way, and what ended of late", Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(jobListCommand(o), jobShowCommand(o), jobWaitCommand(o), jobCancelCommand(o))
	return cmd
}

func jobListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List jobs, newest first", Args: argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Jobs(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			t := newTable(cmd.OutOrStdout(), "JOB", "WHAT", "ABOUT", "STATE", "DONE", "BEGUN")
			for _, j := range list.Jobs {
				t.AppendRow([]any{j.UUID, j.Name, plain(orDash(value(j.Reference))), jobWord(j), fmt.Sprintf("%.0f %%", float64(j.Progress)), age(jobTime(j))})
			}
			t.Render()
			if len(list.IgnoreConditions) > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "! conditions that are switched off: %s\n", strings.Join(list.IgnoreConditions, ", "))
			}
			return nil
		},
	}
}

func jobShowCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show JOB", Short: "Show one job, and what it is made of", Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			j, err := o.client().Job(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), j)
			}
			printJob(cmd.OutOrStdout(), j, "")
			return nil
		},
	}
}

func printJob(w io.Writer, j api.JobView, indent string) {
	fmt.Fprintf(w, "%s%s %s: %s, %.0f %%\n", indent, j.Name, plain(value(j.Reference)), jobWord(j), float64(j.Progress))
	for _, k := range slices.Sorted(maps.Keys(j.Extra)) {
		if s := plain(fmt.Sprint(j.Extra[k])); s != "" {
			fmt.Fprintf(w, "%s  %s: %s\n", indent, plain(k), s)
		}
	}
	for _, e := range j.Errors {
		fmt.Fprintf(w, "%s  ! %s\n", indent, plain(e.Message))
	}
	for _, c := range j.Children {
		printJob(w, c, indent+"  ")
	}
}

func jobWaitCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "wait JOB", Short: "Wait until a job is over; it fails when the job did", Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			stages := cmd.OutOrStdout()
			if o.json {
				stages = io.Discard
			}
			said := func(j api.JobView) string {
				return fmt.Sprintf("%s %s: %s", j.Name, plain(value(j.Reference)), jobWord(j))
			}
			j, err := followJob(cmd.Context(), o.client().Job, args[0], said, stages, newScreen(stages))
			if err != nil {
				return err
			}
			if o.json {
				if err := printJSON(cmd.OutOrStdout(), j); err != nil {
					return err
				}
			}
			return jobEnd(j)
		},
	}
}

// jobEnd is the error of a job that did not end well.
func jobEnd(j api.JobView) error {
	if len(j.Errors) == 0 {
		return nil
	}
	message, next, _ := strings.Cut(j.Errors[0].Message, ". Next: ")
	out := &exitError{exitFailed, errors.New(message), next}
	if value(j.Errors[0].Key) == api.KeyTrust {
		out.code = exitRefused
	}
	return out
}

func jobCancelCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "cancel JOB", Short: "End a job that can be interrupted, or waits for its turn", Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.client().CancelJob(cmd.Context(), args[0]); err != nil {
				return err
			}
			if !o.json {
				fmt.Fprintln(cmd.OutOrStdout(), "it ends as soon as its work returns")
				return nil
			}
			return printJSON(cmd.OutOrStdout(), map[string]bool{"cancelled": true})
		},
	}
}

// jobWord is how far a job is.
func jobWord(j api.JobView) string {
	switch {
	case j.Done == nil:
		return "waits"
	case *j.Done && len(j.Errors) > 0:
		return "failed"
	case *j.Done:
		return "done"
	case j.Stage != nil:
		return plain(*j.Stage)
	}
	return "running"
}

func jobTime(j api.JobView) time.Time {
	at, err := time.Parse(time.RFC3339, j.Created)
	if err != nil {
		return time.Time{} // shown as never
	}
	return at
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
