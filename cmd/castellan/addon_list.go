package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func addonListCommand(o *options) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the installed add-ons, and with --all what is offered",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Addons(cmd.Context(), all)
			if err != nil {
				return withNext(err, "castellan status")
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			printAddons(cmd.OutOrStdout(), list.Addons, all)
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also what the repositories offer")
	return cmd
}

func printAddons(w io.Writer, list []api.Addon, all bool) {
	if len(list) == 0 && !all {
		fmt.Fprintln(w, "no add-on is installed\nNext: castellan addon list --all")
		return
	}
	t := newTable(w, "SLUG", "NAME", "STATE", "VERSION", "BADGE", "AVAILABLE")
	for _, a := range list {
		offered := ""
		if a.Update || a.Version == "" {
			offered = a.VersionLatest
		}
		t.AppendRow([]any{a.Slug, plain(a.Name), a.State, orDash(plain(a.Version)), orDash(a.Badge), orDash(plain(offered))})
	}
	t.Render()
	for _, a := range list {
		for _, line := range remarks(a) {
			fmt.Fprintf(w, "%s: %s\n", a.Slug, line)
		}
	}
}

// remarks are what an owner should know of an installed add-on besides its line.
func remarks(a api.Addon) (out []string) {
	if a.Version == "" {
		return nil
	}
	if a.Waiting != nil {
		out = append(out, plain(a.Waiting.Why))
	}
	if a.Trouble != "" {
		out = append(out, plain(a.Trouble))
	}
	if a.Detached {
		out = append(out, "no repository offers it any more; it runs on as it is")
	}
	return out
}

func addonInfoCommand(o *options) *cobra.Command {
	var lang string
	cmd := &cobra.Command{
		Use:   "info SLUG",
		Short: "Show one add-on: what it is, what it may reach, how it is set",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := o.client().Addon(cmd.Context(), args[0], lang)
			if err != nil {
				return withNext(err, "castellan addon list --all")
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), info)
			}
			printAddon(cmd.OutOrStdout(), info)
			return nil
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "", "language of its texts, as de or pt-BR")
	return cmd
}

func printAddon(w io.Writer, a api.AddonInfo) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-11s %s\n", name, plain(value))
		}
	}
	fmt.Fprintf(w, "%s (%s)\n%s\n\n", plain(a.Name), a.Slug, plain(a.Description))
	line("state", a.State)
	line("version", orDash(a.Version))
	if a.Update || a.Version == "" {
		line("offered", a.VersionLatest)
	}
	line("previous", a.Previous)
	line("badge", a.Badge)
	line("publisher", a.Publisher)
	line("evidence", a.Evidence)
	if a.Verdict != 0 {
		line("verdict", fmt.Sprintf("castellan log explain %d", a.Verdict))
	}
	line("rating", strconv.Itoa(a.Rating)+" of 8")
	line("stage", a.Stage)
	line("repository", a.Repository)
	line("web", a.URL)
	if !a.Available && a.UnavailableWhy != "" {
		line("unavailable", a.UnavailableWhy)
	}
	if a.Version != "" {
		line("settings", fmt.Sprintf("boot %s, auto-update %s, watchdog %s, protected %s", a.Boot, onOff(a.AutoUpdate), onOff(a.Watchdog), onOff(a.Protected)))
	}
	if a.DataBytes > 0 {
		line("data", size(a.DataBytes))
	}
	if k := a.Kept; k != nil {
		until := "until you delete it"
		if !k.Until.IsZero() {
			until = "until " + k.Until.Local().Format(time.DateOnly)
		}
		line("kept", fmt.Sprintf("the data of %s, removed %s, stays %s", k.Version, age(k.Removed), until))
	}
	for _, r := range remarks(a.Addon) {
		line("!", r)
	}
	printSection(w, "It may:", a.Granted)
	if a.Version != "" {
		printSection(w, plain(a.VersionLatest)+" asks for besides:", a.Asks)
	} else {
		printSection(w, "It asks for:", a.Asks)
	}
	if len(a.Ports) > 0 {
		fmt.Fprintln(w)
		printPorts(w, a.Ports)
	}
	for _, c := range a.Changes {
		fmt.Fprintf(w, "%s  %s %s: %s %s\n", c.Updated.Local().Format(time.DateTime), c.Kind, plain(c.To), c.State, plain(c.Why))
	}
}

func printSection(w io.Writer, head string, rights []api.Right) {
	if len(rights) > 0 {
		fmt.Fprintf(w, "\n%s\n", head)
		printRights(w, rights)
	}
}

func printPorts(w io.Writer, ports []api.AddonPort) {
	t := newTable(w, "PORT", "ON THE APPLIANCE", "FOR")
	for _, p := range ports {
		host := "none"
		if p.Host != nil {
			host = strconv.Itoa(int(*p.Host))
		}
		t.AppendRow([]any{plain(p.Container), host, plain(p.Description)})
	}
	t.Render()
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}
