package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

// maxLogLine is how much of one line is held, in bytes.
const maxLogLine = 64 << 10

func addonLogsCommand(o *options) *cobra.Command {
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:   "logs SLUG",
		Short: "Show what an add-on printed",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if lines < 1 {
				return usage(fmt.Errorf("--lines %d: want a number from 1", lines), "castellan addon logs "+args[0])
			}
			in, err := o.client().AddonLogs(cmd.Context(), args[0], lines, follow)
			if err != nil {
				return addonError(cmd, args[0], err)
			}
			defer in.Close()
			if err = showLog(cmd.OutOrStdout(), in, o.json); err != nil && cmd.Context().Err() == nil { // whoever stops following is done
				return &exitError{exitFailed, fmt.Errorf("the log of %s broke off: %w", args[0], err), "castellan addon logs " + args[0]}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is printed from now on")
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "how many of the last lines")
	return cmd
}

// showLog copies a log out as it comes; for programs, as an object per line.
func showLog(out io.Writer, in io.Reader, asJSON bool) error {
	if !asJSON {
		if isTerminal(out) {
			out = &tame{w: out}
		}
		_, err := io.Copy(out, in)
		return err
	}
	lines, enc := bufio.NewReaderSize(in, maxLogLine), json.NewEncoder(out)
	for {
		b, _, err := lines.ReadLine() // a longer line comes in pieces
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = enc.Encode(struct {
				Line string `json:"line"`
			}{string(b)})
		}
		if err != nil {
			return err
		}
	}
}

func addonStatsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "stats SLUG",
		Short: "Show what a running add-on uses",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.client().AddonStats(cmd.Context(), args[0])
			switch {
			case err != nil:
				return addonError(cmd, args[0], err)
			case o.json:
				return printJSON(cmd.OutOrStdout(), s)
			}
			printStats(cmd.OutOrStdout(), s)
			return nil
		},
	}
}

func printStats(w io.Writer, s api.AddonStats) {
	fmt.Fprintf(w, "processor  %.2f %%\nmemory     %s of %s (%.2f %%)\nnetwork    %s in, %s out\ndisk       %s read, %s written\n",
		s.CPUPercent, size(s.MemoryUsage), size(s.MemoryLimit), s.MemoryPercent, size(s.NetworkRx), size(s.NetworkTx), size(s.BlkRead), size(s.BlkWrite))
}

func addonStdinCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "stdin SLUG",
		Short: "Pass the standard input on to an add-on that listens to its own",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			next := "echo TEXT | castellan addon stdin " + args[0]
			b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), api.MaxStdin+1))
			switch {
			case err != nil:
				return &exitError{exitFailed, fmt.Errorf("cannot read the standard input: %w", err), next}
			case len(b) == 0:
				return usage(errors.New("the standard input is empty"), next)
			case len(b) > api.MaxStdin:
				return usage(fmt.Errorf("the standard input is larger than %d bytes", api.MaxStdin), next)
			}
			if err := o.client().StdinAddon(cmd.Context(), args[0], string(b)); err != nil {
				return addonError(cmd, args[0], err)
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), struct{}{})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes passed on\n", args[0], len(b))
			return nil
		},
	}
}
