package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/updater"
)

func planCommand(o *options) *cobra.Command {
	var quick bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what would happen to each service now, and why not",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := o.client().Plan(cmd.Context(), !quick)
			switch {
			case err != nil:
				return withNext(err, "castellan status")
			case o.json:
				return printJSON(cmd.OutOrStdout(), p)
			}
			printPlan(cmd.OutOrStdout(), p)
			return nil
		},
	}
	cmd.Flags().BoolVar(&quick, "quick", false, "ask no registry for the sizes of images")
	return cmd
}

func printPlan(w io.Writer, p api.PlanPreview) {
	t := newTable(w, "SERVICE", "MODE", "FROM", "TO", "NOW", "DOWNLOAD", "RESTARTS")
	for _, s := range p.Services {
		now, restarts := "moves", "no"
		if !s.Moves {
			now = s.Code
		}
		if s.Restarts {
			restarts = "yes"
		}
		t.AppendRow([]any{s.Service, s.Mode, plain(orDash(s.From)), plain(orDash(s.To)), now, download(s), restarts})
	}
	t.Render()
	for _, s := range p.Services {
		if s.Code == updater.SkipUpToDate {
			continue
		}
		for _, line := range planRemarks(s) {
			fmt.Fprintf(w, "%s: %s\n", s.Service, line)
		}
	}
	printWaits(w, p.Open, p.Next)
	if p.Download > 0 {
		enough := "which is enough"
		if !p.Disk.Enough {
			enough = "which is not enough"
		}
		fmt.Fprintf(w, "to download: at most %s; about %s of disk needed, %s free, %s\n", size(p.Download), size(p.Disk.Needed), size(p.Disk.Free), enough)
	}
}

func download(s api.PlanService) string {
	switch {
	case s.Known:
		return size(s.Bytes)
	case s.Trouble != "":
		return "?"
	}
	return "-"
}

// planRemarks are what a person should know of a service's next version, why it does not come, and what to do.
func planRemarks(s api.PlanService) (out []string) {
	if s.Why != "" {
		why := plain(s.Why)
		if s.Next != "" && !strings.Contains(why, s.Next) {
			why += "; next: " + plain(s.Next)
		}
		out = append(out, why)
	}
	if s.Breaking && s.Code != updater.SkipBreaking {
		out = append(out, "version "+plain(s.To)+" breaks with what was before")
	}
	if s.Options != "" && s.Code != updater.SkipOptions {
		out = append(out, "the options are not good for version "+plain(s.To)+": "+plain(s.Options))
	}
	if s.Trouble != "" {
		out = append(out, "the size is not known: "+plain(s.Trouble))
	}
	return out
}
