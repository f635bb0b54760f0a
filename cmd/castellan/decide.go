package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

// decideCommands are what an owner decides of updates.
func decideCommands(o *options) []*cobra.Command {
	return []*cobra.Command{planCommand(o), modeCommand(o), holdCommand(o), unholdCommand(o), skipCommand(o), unskipCommand(o), windowCommand(o)}
}

// printDecision says what a decision made of a service. What was so already is nothing to do.
func printDecision(cmd *cobra.Command, o *options, d api.Decision, err error, done, already string) error {
	if err != nil {
		return withNext(err, "castellan plan")
	}
	out := cmd.OutOrStdout()
	switch {
	case o.json:
		if err := printJSON(out, d); err != nil {
			return err
		}
	case d.Changed:
		fmt.Fprintf(out, "%s (log record %d)\n", done, d.Seq)
	default:
		fmt.Fprintln(out, already)
	}
	if !d.Changed {
		return &exitError{code: exitNothing}
	}
	return nil
}

// decidedOn is the service a decision was about, which its caller may have named by an add-on's slug.
func decidedOn(d api.Decision, asked string) string {
	if d.Service != nil {
		return d.Service.Service
	}
	return asked
}

var modes = []string{"off", "ask", "auto", "default"}

func modeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "mode [SERVICE [off|ask|auto|default]]",
		Short: "Show or set how a service is updated",
		Long: "auto takes updates by itself, ask waits for you, off waits and says nothing; default is what the configuration, or the add-on's " +
			"settings, say. Without a mode it shows what was decided of the service, without a service of all.",
		Args: argsRange(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return showModes(cmd, o)
			case 1:
				return showMode(cmd, o, args[0])
			}
			if !slices.Contains(modes, args[1]) {
				return usage(fmt.Errorf("%q is no mode: want %s", args[1], strings.Join(modes, ", ")), "castellan mode "+quoted(args[0])+" ask")
			}
			d, err := o.client().SetMode(cmd.Context(), api.ModeRequest{Service: args[0], Mode: args[1]})
			now := args[1]
			if d.Service != nil {
				now = d.Service.Mode
			}
			return printDecision(cmd, o, d, err, fmt.Sprintf("%s: mode %s", decidedOn(d, args[0]), now), fmt.Sprintf("%s: mode is %s already", decidedOn(d, args[0]), now))
		},
	}
}

func showMode(cmd *cobra.Command, o *options, service string) error {
	list, err := o.client().Decisions(cmd.Context())
	if err != nil {
		return err
	}
	for _, s := range list.Services {
		if s.Service != service && s.Service != "addon_"+service {
			continue
		}
		if o.json {
			return printJSON(cmd.OutOrStdout(), s)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", s.Service, describe(s))
		return nil
	}
	return &exitError{exitFailed, fmt.Errorf("no service %.60q is configured", service), "castellan status"}
}

func showModes(cmd *cobra.Command, o *options) error {
	list, done, err := decisionsToShow(cmd, o)
	if done || err != nil {
		return err
	}
	for _, s := range list.Services {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", s.Service, describe(s))
	}
	printWaits(cmd.OutOrStdout(), list.Open, list.Next)
	return nil
}

// decisionsToShow reads what was decided. done says that it was shown already, as JSON.
func decisionsToShow(cmd *cobra.Command, o *options) (list api.DecisionList, done bool, err error) {
	list, err = o.client().Decisions(cmd.Context())
	switch {
	case err != nil:
		return list, false, withNext(err, "castellan status")
	case o.json:
		return list, true, printJSON(cmd.OutOrStdout(), list)
	case list.Error != "":
		return list, false, &exitError{exitFailed, fmt.Errorf("%s", plain(list.Error)), "castellan plan"}
	}
	return list, false, nil
}

// showDecided shows what was decided of services in one respect, a line each, or that there is nothing of it. As JSON it is the
// list of all decisions, which has them.
func showDecided(cmd *cobra.Command, o *options, nothing string, of func(api.ServiceDecisions) []string) error {
	list, done, err := decisionsToShow(cmd, o)
	if done || err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	n := 0
	for _, s := range list.Services {
		for _, line := range of(s) {
			n++
			fmt.Fprintf(out, "%s: %s\n", s.Service, line)
		}
	}
	if n == 0 {
		fmt.Fprintln(out, nothing)
	}
	return nil
}

// describe writes what was decided of a service on one line.
func describe(s api.ServiceDecisions) string {
	parts := []string{"mode " + s.Mode}
	if s.Decided != nil {
		parts[0] += fmt.Sprintf(" (%s; without that %s)", said(*s.Decided), s.Default)
	}
	if s.Hold != nil {
		parts = append(parts, held(*s.Hold))
	}
	for _, k := range s.Skips {
		parts = append(parts, fmt.Sprintf("skips %s (%s)", plain(k.Version), said(k.Said)))
	}
	return strings.Join(parts, "; ")
}

func held(h api.Hold) string {
	s := "on hold"
	if !h.Until.IsZero() {
		s += " until " + h.Until.Local().Format("2006-01-02 15:04")
	}
	if h.Why != "" {
		s += ": " + plain(h.Why)
	}
	return s + " (" + said(h.Said) + ")"
}

func said(s api.Said) string {
	return fmt.Sprintf("by %s, %s", plain(s.By), s.At.Local().Format("2006-01-02 15:04"))
}

func holdCommand(o *options) *cobra.Command {
	var r api.HoldRequest
	cmd := &cobra.Command{
		Use:   "hold [SERVICE]",
		Short: "Keep a service at the version it runs, or show the holds",
		Long: "Nothing newer comes to a service that is on hold, not even when you ask, until the hold ends. You can go back to its previous " +
			"version, and a withdrawn one goes back by itself, where the one before is good. Without a service it shows what is on hold.",
		Args: argsRange(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return showDecided(cmd, o, "nothing is on hold", func(s api.ServiceDecisions) (out []string) {
					if s.Hold != nil {
						out = append(out, held(*s.Hold))
					}
					return out
				})
			}
			r.Service = args[0]
			if _, err := parseMoment(r.Until, time.UTC); err != nil {
				return usage(fmt.Errorf("--until: %w", err), "castellan hold "+quoted(r.Service)+" --until 2026-12-24")
			}
			d, err := o.client().Hold(cmd.Context(), r)
			text := ""
			if d.Service != nil && d.Service.Hold != nil {
				text = d.Service.Service + ": " + held(*d.Service.Hold)
			}
			return printDecision(cmd, o, d, err, text, text)
		},
	}
	cmd.Flags().StringVar(&r.Until, "until", "", "when it ends: a date, as the day begins, or \"2026-12-24 18:00\"")
	cmd.Flags().StringVar(&r.Why, "why", "", "the reason, for you")
	return cmd
}

func unholdCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "unhold SERVICE",
		Short: "End a hold",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.client().Hold(cmd.Context(), api.HoldRequest{Service: args[0], End: true})
			return printDecision(cmd, o, d, err, decidedOn(d, args[0])+": no longer on hold", decidedOn(d, args[0])+": is not on hold")
		},
	}
}

func skipCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "skip [SERVICE VERSION]",
		Short: "Pass over a version; a newer one is taken again. Or show what is skipped",
		Args:  argsRange(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return showDecided(cmd, o, "no version is skipped", func(s api.ServiceDecisions) (out []string) {
					for _, k := range s.Skips {
						out = append(out, fmt.Sprintf("skips %s (%s)", plain(k.Version), said(k.Said)))
					}
					return out
				})
			case 1:
				return usage(fmt.Errorf("which version of %q is to be skipped is missing", args[0]), "castellan skip "+quoted(args[0])+" 2026.8.3")
			}
			d, err := o.client().Skip(cmd.Context(), api.SkipRequest{Service: args[0], Version: args[1]})
			return printDecision(cmd, o, d, err, fmt.Sprintf("%s: version %s is skipped", decidedOn(d, args[0]), plain(args[1])),
				fmt.Sprintf("%s: version %s is skipped already", decidedOn(d, args[0]), plain(args[1])))
		},
	}
}

func unskipCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "unskip SERVICE [VERSION]",
		Short: "Take a skipped version again, or all of them",
		Args:  argsRange(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := api.SkipRequest{Service: args[0], End: true}
			done, already := ": no version is skipped any more", ": no version is skipped"
			if len(args) == 2 {
				r.Version = args[1]
				what := ": version " + plain(args[1])
				done, already = what+" is not skipped any more", what+" is not skipped"
			}
			d, err := o.client().Skip(cmd.Context(), r)
			return printDecision(cmd, o, d, err, decidedOn(d, args[0])+done, decidedOn(d, args[0])+already)
		},
	}
}

// printWaits says when updates may begin by themselves.
func printWaits(w io.Writer, open bool, next time.Time) {
	switch {
	case open && next.IsZero():
		fmt.Fprintln(w, "no maintenance window: updates may begin at any time")
	case open:
		fmt.Fprintln(w, "a maintenance window is open")
	case !next.IsZero():
		fmt.Fprintf(w, "the next maintenance window opens %s\n", next.Format("Mon 2006-01-02 15:04 -0700"))
	}
}
