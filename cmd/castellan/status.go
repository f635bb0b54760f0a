package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what runs, whether it is verified, and what waits",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := o.client().Status(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), st)
			}
			printStatus(cmd.OutOrStdout(), st)
			return nil
		},
	}
}

func printStatus(w io.Writer, st api.Status) {
	fmt.Fprintf(w, "castellan %s, %s\n", st.Version, st.State)
	fmt.Fprintf(w, "ledger    %s: %s, %d transactions, checkpoint %s\n", plain(st.Ledger.Origin), st.Ledger.State, st.Ledger.Count, age(st.Ledger.Time))
	for _, l := range st.Ledgers[min(1, len(st.Ledgers)):] {
		fmt.Fprintf(w, "ledger    %s: %s, %d transactions, checkpoint %s; of a repository\n", plain(l.Origin), l.State, l.Count, age(l.Time))
	}
	if st.Channel.Name != "" {
		verified := "verified"
		if !st.Channel.Verified {
			verified = "not verified"
		}
		fmt.Fprintf(w, "channel   %s: read %s, %s\n", plain(st.Channel.Name), age(st.Channel.Fetched), verified)
	}
	if n := st.Network; n.Listen != "" {
		fmt.Fprintf(w, "network   %s: %s\n", n.Listen, networkWords(n))
		if n.Ingress != "" {
			fmt.Fprintf(w, "pages     %s: add-ons' own, for who has logged in\n", n.Ingress)
		}
	}
	for _, problem := range []struct{ what, why string }{
		{"config", st.Config.Error}, {"engine", st.Engine.Error}, {"ledger", st.Ledger.Error}, {"channel", st.Channel.Error}, {"network", st.Network.Error},
		{"pages", st.Network.IngressError},
	} {
		if problem.why != "" {
			fmt.Fprintf(w, "! %s: %s\n", problem.what, plain(problem.why))
		}
	}
	fmt.Fprintln(w)
	t := newTable(w, "SERVICE", "STATE", "VERSION", "BADGE", "PREVIOUS", "MODE", "AVAILABLE")
	for _, s := range st.Services {
		t.AppendRow([]any{s.Name, s.State, orDash(plain(s.Version)), badge(s), orDash(plain(s.Previous)), mode(s.Mode, s.Held), orDash(plain(s.Available))})
	}
	t.Render()
	for _, s := range st.Services {
		if s.Waiting != "" {
			fmt.Fprintf(w, "%s: %s\n", s.Name, plain(s.Waiting))
		}
		if s.Error != "" {
			fmt.Fprintf(w, "%s: %s\n", s.Name, plain(s.Error))
		}
	}
}

// networkWords says how people on the network are answered.
func networkWords(n api.NetworkStatus) string {
	text := "TLS, fingerprint " + n.Fingerprint
	if n.TLS == "off" {
		text = "in the clear"
	}
	if !n.Owner {
		text += "; it has no owner yet: castellan setup-code"
	}
	return text
}

// badge says who vouches, where that is not the publisher of the service.
func badge(s api.ServiceStatus) string {
	if s.Publisher == "you" {
		return s.Badge + " · you"
	}
	return s.Badge
}

// mode is an update mode with whether a hold keeps it from counting.
func mode(mode string, held bool) string {
	if held {
		return mode + ", held"
	}
	return mode
}

// versionWithin is how long the daemon may take to tell its version.
const versionWithin = 10 * time.Second

func versionCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program and of the daemon",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := struct {
				Client string `json:"client"`
				Daemon string `json:"daemon,omitempty"`
				Error  string `json:"error,omitempty"` // why the daemon's is not known, though one is there
			}{Client: version}
			ctx, cancel := context.WithTimeout(cmd.Context(), versionWithin)
			defer cancel()
			v, err := o.client().Version(ctx) // what goes wrong is no failure of this command
			switch nobody := errors.Is(err, client.ErrNotReachable) && !errors.Is(err, context.DeadlineExceeded); {
			case err == nil:
				out.Daemon = v.Version
			case !nobody || o.remote.client != nil:
				out.Error = err.Error()
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), out)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "castellan %s\ndaemon    %s\n", out.Client, cmp.Or(plain(out.Daemon), plain(out.Error), "not running"))
			return nil
		},
	}
}
