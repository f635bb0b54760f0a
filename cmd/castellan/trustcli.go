package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func overridesCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "overrides",
		Short: "Show what was forced: permissions that wait, and services that run by one",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Overrides(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if o.json {
				return printJSON(out, list)
			}
			if len(list.Overrides) == 0 {
				fmt.Fprintln(out, "nothing is forced")
				return nil
			}
			t := newTable(out, "SERVICE", "VERSION", "STATE", "PASSES OVER", "SINCE", "UNTIL", "BY", "WHY", "ID")
			for _, v := range list.Overrides {
				until := v.Ends
				if !v.Until.IsZero() {
					until = v.Until.Local().Format("2006-01-02 15:04")
				}
				t.AppendRow([]any{v.Service, orDash(plain(v.Version)), v.State, strings.Join(v.Reasons, " "), v.Since.Local().Format("2006-01-02 15:04"), until,
					orDash(plain(v.By)), orDash(plain(v.Why)), orDash(v.ID)})
			}
			t.Render()
			return nil
		},
	}
}

func unforceCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "unforce ID",
		Short: "Take a permission back that was not used yet; it is logged",
		Long:  "Takes back what castellan trust force permitted, as long as it waits; castellan trust overrides shows its ID. What runs by one already is replaced by an update, or a rollback.",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.client().EndOverride(cmd.Context(), args[0]); err != nil {
				return withNext(err, "castellan trust overrides")
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), struct{}{})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "override %s is taken back\n", plain(args[0]))
			return nil
		},
	}
}

func ledgersCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "ledgers",
		Short: "Show the ledgers that are followed, their keys and mirrors, and whether those agree",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Ledgers(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			for i, l := range list.Ledgers {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				printLedger(cmd.OutOrStdout(), l)
			}
			return nil
		},
	}
}

func printLedger(w io.Writer, l api.LedgerView) {
	fmt.Fprintf(w, "%s (%s)\n", plain(l.Origin), l.Role)
	fmt.Fprintf(w, "  fingerprint  %s\n", l.Fingerprint)
	for _, k := range l.Keys {
		fmt.Fprintf(w, "  key          %s+%s  sha256 %s\n", plain(k.Name), k.Hash, k.Fingerprint)
	}
	head := "nothing yet"
	if l.Age >= 0 {
		head = fmt.Sprintf("%s, %d transactions, %s, signed %s", l.State, l.Count, l.Head, l.Time.Local().Format("2006-01-02 15:04"))
	}
	fmt.Fprintf(w, "  head         %s\n", head)
	r := l.Records
	fmt.Fprintf(w, "  records      %d notarizations, of them %d withdrawals, %d publisher documents\n", r.Notarizations, r.Withdrawals, r.Publishers)
	agree := map[string]string{"agreed": fmt.Sprintf("%d of %d mirrors tell one story", l.Agreeing, len(l.Mirrors)), "forked": "it told two stories: " + plain(l.Quarantine),
		"unheard": "no mirror was heard"}[l.Agreement]
	fmt.Fprintf(w, "  agreement    %s\n", agree)
	for _, m := range l.Mirrors {
		line := m.State
		if !m.Time.IsZero() {
			line += fmt.Sprintf(", %d transactions, signed %s", m.Count, m.Time.Local().Format("2006-01-02 15:04"))
		}
		if m.Error != "" {
			line += ": " + plain(m.Error)
		}
		fmt.Fprintf(w, "  mirror       %s  %s\n", plain(m.URL), line)
	}
	if l.Error != "" {
		fmt.Fprintf(w, "  trouble      %s\n", plain(l.Error))
	}
	if len(l.Services) > 0 {
		fmt.Fprintf(w, "  judges       %s\n", strings.Join(l.Services, " "))
	}
}

func publishersCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "publishers",
		Short: "Show whose word counts for what, and what they withdrew",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Publishers(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if o.json {
				return printJSON(out, list)
			}
			t := newTable(out, "PUBLISHER", "NAME", "COUNTS AS", "SERVICES", "LAST WORD", "WITHDREW")
			for _, p := range list.Publishers {
				var services []string
				for _, s := range p.Services {
					name := s.Service
					if s.Pinned {
						name += " (pinned)"
					}
					services = append(services, name)
				}
				last := "-"
				if p.Last != nil {
					last = fmt.Sprintf("%s %s %s, %s", p.Last.Status, plain(p.Last.Image), plain(p.Last.Version), p.Last.Time.Local().Format(time.DateOnly))
				}
				t.AppendRow([]any{p.ID, orDash(plain(p.Label)), strings.Join(p.Roles, " "), orDash(strings.Join(services, " ")), last, len(p.Withdrawn)})
			}
			t.Render()
			for _, r := range list.Revocations {
				why := r.Words
				if r.Reason != "" {
					why += fmt.Sprintf(" (%q)", plain(r.Reason))
				}
				fmt.Fprintf(out, "%s %s (%s): %s; %s\n", r.Service, plain(r.Version), r.Where, why, plain(r.Next))
			}
			if list.Error != "" {
				fmt.Fprintf(out, "not everything could be read: %s\n", plain(list.Error))
			}
			return nil
		},
	}
}

func trustVerifyCommand(o *options) *cobra.Command {
	var last bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Judge every installed image anew, now",
		Long: "Asks the ledgers for what is new, as long as they answer soon, and judges every image that services run. A withdrawal is acted on " +
			"as at any other time. With --last it shows how each was judged last, and asks nobody.",
		Args: argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask := o.client().JudgeAll
			if last {
				ask = o.client().Judged
			}
			j, err := ask(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				if err := printJSON(cmd.OutOrStdout(), j); err != nil {
					return err
				}
			} else {
				printJudgement(cmd.OutOrStdout(), j)
			}
			if j.Bad > 0 {
				return &exitError{exitRefused, fmt.Errorf("%d of %d installed images are refused now", j.Bad, j.Installed), "castellan trust publishers"}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&last, "last", false, "show the last judgement in place of a new one")
	return cmd
}

func printJudgement(w io.Writer, j api.Judgement) {
	t := newTable(w, "SERVICE", "VERSION", "BADGE", "VERDICT", "REASONS", "JUDGED")
	for _, i := range j.Images {
		var codes []string
		for _, r := range i.Reasons {
			codes = append(codes, r.Code)
		}
		when := "not yet"
		if !i.Judged.IsZero() {
			when = i.Judged.Local().Format("2006-01-02 15:04:05")
		}
		t.AppendRow([]any{i.Service, plain(i.Version), i.Badge, orDash(i.Outcome), orDash(strings.Join(codes, " ")), when})
	}
	t.Render()
	fmt.Fprintf(w, "%d of %d installed images are verified\n", j.Verified, j.Installed)
	if j.Error != "" {
		fmt.Fprintf(w, "not everything could be looked at: %s\n", plain(j.Error))
	}
}
