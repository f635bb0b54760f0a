package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/updater"
)

func windowCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "window",
		Short: "The hours in which updates may begin by themselves",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(windowListCommand(o), windowAddCommand(o), windowRemoveCommand(o))
	return cmd
}

func windowListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the maintenance windows",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Decisions(cmd.Context())
			if err != nil {
				return withNext(err, "castellan status")
			}
			out := cmd.OutOrStdout()
			if o.json {
				return printJSON(out, struct {
					Windows []api.Window `json:"windows"`
				}{list.Windows})
			}
			if list.Error != "" {
				return &exitError{exitFailed, fmt.Errorf("%s", plain(list.Error)), "castellan plan"}
			}
			t := newTable(out, "ID", "DAYS", "HOURS", "ZONE", "OPENS", "BY")
			for _, w := range list.Windows {
				opens := "never: its zone is not known any more"
				if w.Open {
					opens = "open now"
				} else if !w.Next.IsZero() {
					opens = w.Next.Format("Mon 2006-01-02 15:04 -0700")
				}
				t.AppendRow([]any{w.ID, days(w), w.From + "-" + w.To, w.Zone, opens, plain(w.By)})
			}
			if len(list.Windows) > 0 {
				t.Render()
			}
			printWaits(out, list.Open, list.Next)
			return nil
		},
	}
}

func days(w api.Window) string {
	if len(w.Days) == 0 {
		return "every day"
	}
	return strings.Join(w.Days, ",")
}

func windowAddCommand(o *options) *cobra.Command {
	var r api.WindowRequest
	cmd := &cobra.Command{
		Use:   "add HH:MM-HH:MM",
		Short: "Let updates begin in these hours; over midnight too",
		Long: "Adds hours in which updates may begin by themselves; with the first one, all other hours are closed. What you ask for goes at " +
			"once, and so does what replaces a withdrawn version. An hour that summer time leaves out counts from right after it; one that " +
			"the clock shows twice counts twice.",
		Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to, ok := strings.Cut(args[0], "-")
			r.From, r.To = from, to
			check := updater.WindowSpec{Days: r.Days, From: from, To: to, Zone: r.Zone}
			if check.Zone == "" {
				check.Zone = "UTC" // the daemon knows the appliance's
			}
			if _, err := updater.NewWindow(check); err != nil || !ok {
				if !ok {
					err = fmt.Errorf("its hours %.40q are none; write them as 02:00-04:00", args[0])
				}
				return usage(fmt.Errorf("cannot add a window: %w", err), "castellan window add 02:00-04:00 --days sat,sun --zone Europe/Berlin")
			}
			d, err := o.client().AddWindow(cmd.Context(), r)
			text := ""
			if w := d.Window; w != nil {
				text = fmt.Sprintf("window %d: %s %s-%s %s", w.ID, days(*w), w.From, w.To, w.Zone)
			}
			return printDecision(cmd, o, d, err, text, text+", as it was")
		},
	}
	cmd.Flags().StringSliceVar(&r.Days, "days", nil, "days on which it opens: mon to sun, or mon-fri (default every day)")
	cmd.Flags().StringVar(&r.Zone, "zone", "", "time zone, as Europe/Berlin (default the appliance's)")
	return cmd
}

func windowRemoveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a maintenance window",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.Atoi(args[0])
			if err != nil || id < 1 {
				return usage(fmt.Errorf("%.20q is no window: want a number from 1", args[0]), "castellan window list")
			}
			d, err := o.client().RemoveWindow(cmd.Context(), id)
			return printDecision(cmd, o, d, err, fmt.Sprintf("window %d is removed", id), fmt.Sprintf("there is no window %d", id))
		},
	}
}
