package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

func coreCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "core",
		Aliases: []string{"homeassistant"},
		Short:   "Home Assistant Core",
		Args:    onlyCommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(coreInfoCommand(o), coreUpdateCommand(o), coreLogsCommand(o), coreStatsCommand(o),
		coreMove(o, "start", "Start Core", "", "runs", (*client.Client).StartCore),
		coreMove(o, "stop", "Stop Core, where the appliance can do without", "", "stopped", (*client.Client).StopCore),
		coreMove(o, "restart", "Stop Core and start it again", "", "runs again", (*client.Client).RestartCore),
		coreMove(o, "rebuild", "Make the container of Core anew", "The image stays the one that runs, and so does the configuration of Home Assistant.", "made anew", (*client.Client).RebuildCore),
		coreMove(o, "check", "Have Core look at its configuration", "", "its configuration is good", (*client.Client).CheckCore))
	return cmd
}

// coreMove is a command that Core carries out as a whole; done says what it is then.
func coreMove(o *options, word, short, long, done string, call func(*client.Client, context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use:     word,
		Short:   short,
		Long:    long,
		Example: "  castellan core " + word,
		Args:    argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := call(o.client(), cmd.Context()); err != nil {
				return withNext(err, "castellan core logs")
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), struct{}{})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Home Assistant Core: %s\n", done)
			return nil
		},
	}
}

func coreInfoCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "info",
		Short:   "Show the version of Core and where it answers",
		Example: "  castellan core info",
		Args:    argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, err := o.client().CoreInfo(cmd.Context())
			switch {
			case err != nil:
				return withNext(err, "castellan status")
			case o.json:
				return printJSON(cmd.OutOrStdout(), info)
			}
			scheme := "http"
			if info.SSL {
				scheme = "https"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "version    %s\n", orDash(plain(deref(info.Version))))
			if info.UpdateAvailable {
				fmt.Fprintf(cmd.OutOrStdout(), "available  %s\n", plain(deref(info.VersionLatest)))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "image      %s\nmachine    %s, %s\nanswers    %s, port %d\n", plain(info.Image), orDash(deref(info.Machine)),
				orDash(deref(info.Arch)), scheme, info.Port)
			return nil
		},
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// coreUpdateCommand is castellan update for the service that Core is, whatever its name.
func coreUpdateCommand(o *options) *cobra.Command {
	var to string
	var detach bool
	cmd := &cobra.Command{
		Use:     "update",
		Short:   "Update Core",
		Example: "  castellan core update\n  castellan core update --to 2026.8.3",
		Args:    argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := o.client().Status(cmd.Context())
			if err != nil {
				return err
			}
			for _, s := range st.Services {
				if s.Class != "core" {
					continue
				}
				acc, err := o.client().Update(cmd.Context(), api.UpdateRequest{Service: s.Name, Version: to})
				if err != nil {
					return withNext(err, "castellan plan")
				}
				return follow(cmd, o, acc, detach)
			}
			return &exitError{exitFailed, errors.New("this appliance runs no Home Assistant Core"), "castellan status"}
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "version to go to instead of the newest")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

func coreLogsCommand(o *options) *cobra.Command {
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:     "logs",
		Short:   "Show what Core printed",
		Example: "  castellan core logs -n 50\n  castellan core logs --follow",
		Args:    argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lines < 1 {
				return usage(fmt.Errorf("--lines %d: want a number from 1", lines), "castellan core logs")
			}
			in, err := o.client().CoreLogs(cmd.Context(), lines, follow)
			if err != nil {
				return withNext(err, "castellan status")
			}
			defer in.Close()
			if err = showLog(cmd.OutOrStdout(), in, o.json); err != nil && cmd.Context().Err() == nil { // whoever stops following is done
				return &exitError{exitFailed, fmt.Errorf("the log of Core broke off: %w", err), "castellan core logs"}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is printed from now on")
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "how many of the last lines")
	return cmd
}

func coreStatsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "stats",
		Short:   "Show what Core uses",
		Example: "  castellan core stats",
		Args:    argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := o.client().CoreStats(cmd.Context())
			switch {
			case err != nil:
				return withNext(err, "castellan core info")
			case o.json:
				return printJSON(cmd.OutOrStdout(), s)
			}
			printStats(cmd.OutOrStdout(), s)
			return nil
		},
	}
}
