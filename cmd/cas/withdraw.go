package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/trust"
)

func untrustCommand(a *app) *cobra.Command {
	return withdrawCommand(a, trust.Untrusted, &cobra.Command{
		Use:     "untrust ARTIFACT...",
		Aliases: []string{"ut"},
		Short:   "Withdraw artifacts: UNTRUSTED, for good",
		Long: "A withdrawal stays: notarizing the same content again changes nothing. Appliances that run it act by --severity:\n" +
			"notify tells the owner, update also takes a newer version or goes back, stop also stops an add-on (with --by-root).",
	}, string(trust.SeverityUpdate))
}

func unsupportCommand(a *app) *cobra.Command {
	return withdrawCommand(a, trust.Unsupported, &cobra.Command{
		Use:     "unsupport ARTIFACT...",
		Aliases: []string{"us"},
		Short:   "Retire artifacts: UNSUPPORTED, until they are notarized again",
	}, string(trust.SeverityNotify))
}

func withdrawCommand(a *app, status trust.Status, c *cobra.Command, severity string) *cobra.Command {
	var b about
	var reason string
	var byRoot bool
	b.flags(c)
	c.Flags().StringVar(&severity, "severity", severity, "notify, update or stop")
	c.Flags().StringVar(&reason, "reason", "", "why, for the people whose appliances run it")
	c.Flags().BoolVar(&byRoot, "by-root", false, "sign with the publisher's root key, too; severity stop needs it")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		sev := trust.Severity(severity)
		if !slices.Contains([]trust.Severity{trust.SeverityNotify, trust.SeverityUpdate, trust.SeverityStop}, sev) {
			return usagef("--severity %q is not one of notify, update, stop", severity)
		}
		if sev == trust.SeverityStop && !byRoot {
			a.warn("without --by-root appliances treat severity stop as update")
		}
		return a.sayAll(cmd.Context(), args, b, word{status: status, severity: sev, reason: reason}, byRoot)
	}
	return c
}
