package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

// mostRecords is how many records the daemon gives at once.
const mostRecords = 10_000

func logCommand(o *options) *cobra.Command {
	var f logFlags
	var q api.LogQuery
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show the verification log: every verdict, action and override",
		Args:  onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.into(&q); err != nil {
				return usage(err, "castellan log --since 2026-12-24")
			}
			if q.Last < 1 || q.Last > mostRecords {
				return usage(fmt.Errorf("--last is %d: want 1 to %d", q.Last, mostRecords), "castellan log --last 20")
			}
			list, err := o.client().Log(cmd.Context(), q)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			for _, r := range list.Records {
				fmt.Fprintf(cmd.OutOrStdout(), "%6d  %s  %-9s %s\n", r.Seq, r.Time.Local().Format("2006-01-02 15:04:05"), r.Kind, plain(r.Summary))
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().IntVarP(&q.Last, "last", "n", 20, "how many records")
	cmd.Flags().Uint64Var(&q.Before, "before", 0, "only records with a lower number")
	cmd.AddCommand(logVerifyCommand(o), logExplainCommand(o), logReplayCommand(o), logExportCommand(o))
	return cmd
}

// logFlags choose records.
type logFlags struct {
	kinds                                []string
	service, outcome, since, until, text string
}

func (f *logFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.kinds, "kind", nil, "only these kinds: verdict, action, override, account, …")
	cmd.Flags().StringVar(&f.service, "service", "", "only this service")
	cmd.Flags().StringVar(&f.outcome, "outcome", "", "only verdicts with this outcome: ALLOW, ALLOW_UNSIGNED, ALLOW_OVERRIDDEN, DEFER, REFUSE")
	cmd.Flags().StringVar(&f.since, "since", "", "only records from then on: a date, or \"2026-12-24 18:00\"")
	cmd.Flags().StringVar(&f.until, "until", "", "only records before then")
	cmd.Flags().StringVar(&f.text, "find", "", "only records whose line holds this text")
}

// into makes a query of the flags.
func (f *logFlags) into(q *api.LogQuery) (err error) {
	q.Kinds, q.Service, q.Outcome, q.Text, q.Names = f.kinds, f.service, strings.ToUpper(f.outcome), f.text, true
	if q.Since, err = parseMoment(f.since, time.Local); err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	if q.Until, err = parseMoment(f.until, time.Local); err != nil {
		return fmt.Errorf("--until: %w", err)
	}
	return nil
}

func logExportCommand(o *options) *cobra.Command {
	var f logFlags
	var format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write records of the verification log out, oldest first",
		Long: "Writes the lines of the log as they are stored, or a table as CSV. Lines of a whole log can be checked elsewhere by " +
			"castellan log verify FILE. Names of people and reasons they gave are references in lines, and stay here.",
		Args: argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var q api.LogQuery
			if err := f.into(&q); err != nil {
				return usage(err, "castellan log export --since 2026-12-24")
			}
			if format != "jsonl" && format != "csv" {
				return usage(fmt.Errorf("--format is %q: want jsonl or csv", format), "castellan log export --format csv")
			}
			body, err := o.client().ExportLog(cmd.Context(), q, format)
			if err != nil {
				return err
			}
			defer body.Close()
			out := cmd.OutOrStdout()
			if isTerminal(out) {
				out = &tame{w: out}
			}
			if _, err := io.Copy(out, body); err != nil {
				return &exitError{exitFailed, fmt.Errorf("the export breaks off: %w", err), "castellan log verify"}
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&format, "format", "jsonl", "jsonl: lines as they are stored; csv: a table")
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
			for line := range strings.SplitSeq(e.Text, "\n") {
				fmt.Fprintln(cmd.OutOrStdout(), plain(line))
			}
			if e.Next != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "Next: %s\n", plain(e.Next))
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
