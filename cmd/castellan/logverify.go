package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

func logVerifyCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Check that no line of the log was changed, moved or lost",
		Long:  "Checks the daemon's log, or, without any daemon, a log's folder or an exported file.",
		Args:  argsRange(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r api.LogReport
			var err error
			if len(args) == 1 {
				r, err = logReport(audit.Verify(args[0]))
			} else {
				r, err = o.client().VerifyLog(cmd.Context())
			}
			if err != nil {
				return err
			}
			if o.json {
				if err := printJSON(cmd.OutOrStdout(), r); err != nil {
					return err
				}
			}
			if !r.OK {
				return &exitError{exitFailed, fmt.Errorf("%s", r.Error), "keep the folder as it is and ask support; what runs is not touched"}
			}
			if !o.json {
				fmt.Fprintf(cmd.OutOrStdout(), "%d records, chain good, head %s\n", r.Records, r.Head)
			}
			return nil
		},
	}
}

// replay judges a record's evidence again.
func replay(l *audit.Log, seq uint64) (api.Replay, error) {
	r, err := l.Replay(seq)
	if err != nil {
		return api.Replay{}, err
	}
	return api.Replay{Seq: seq, Agree: r.Agree, Then: words(r.Logged), Now: words(r.Again)}, nil
}

// words is a verdict in short.
func words(v trust.Verdict) string {
	if r := v.Reason(); r != "" {
		return string(v.Outcome) + " " + string(r)
	}
	return string(v.Outcome)
}
