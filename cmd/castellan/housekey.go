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
)

func houseCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "house",
		Short: "Vouch yourself for images that nobody notarizes, digest by digest",
		Long: "The house key is your own: what it vouches for may run on this appliance, as verified by you, and on no other. " +
			"Each word is about one image, by digest; another image under the same tag is refused again. It outweighs no withdrawal.",
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(houseInitCommand(o), houseAcceptCommand(o), houseWithdrawCommand(o), houseListCommand(o))
	return cmd
}

func houseInitCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make the house key; it is logged",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := o.client().InitHouse(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), key)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "house key %s is made; verification log record %d\n", key.Publisher, key.Seq)
			fmt.Fprintln(cmd.OutOrStdout(), "Next: castellan trust house accept NAME")
			return nil
		},
	}
}

func houseAcceptCommand(o *options) *cobra.Command {
	var req api.HouseRequest
	cmd := &cobra.Command{
		Use:   "accept NAME | --channel CHANNEL --digest DIGEST",
		Short: "Vouch for exactly the image NAME would run now; it is logged",
		Long: "Signs a notarization of the image that was refused or deferred last, or else of the one that is offered: its index, " +
			"its manifest for this appliance and its configuration, under its name and version. " +
			"With --channel, it makes the file with that digest what the channel is now; its images still need a word of their own.",
		Args: argsRange(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			next := "castellan check"
			switch {
			case len(args) == 1 && req.Channel == "":
				req.Service, next = args[0], "castellan update "+args[0]
			case len(args) == 0 && req.Channel != "" && req.Digest != "":
			default:
				return usage(errors.New("say one: a service, or --channel with --digest"), "castellan trust house accept --help")
			}
			return houseSay(cmd, o, req, o.client().AcceptHouse, "is accepted on this appliance", next)
		},
	}
	cmd.Flags().StringVar(&req.Version, "version", "", "version (default: what was refused last, or is offered)")
	cmd.Flags().StringVar(&req.Digest, "digest", "", "manifest digest it must have; of a channel, the sha256 of the file")
	cmd.Flags().StringVar(&req.Channel, "channel", "", "accept a file of this channel in place of an image")
	cmd.Flags().StringVar(&req.Why, "why", "", "why, for the log")
	return cmd
}

func houseWithdrawCommand(o *options) *cobra.Command {
	var req api.HouseRequest
	cmd := &cobra.Command{
		Use:   "withdraw NAME",
		Short: "Say that what NAME runs is not to be trusted; it is logged and stays",
		Long: "Signs a withdrawal of what NAME runs, or of the accepted image with --digest. A withdrawal can't be taken back: " +
			"the image is never let in again but by force.",
		Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Service = args[0]
			return houseSay(cmd, o, req, o.client().WithdrawHouse, "is withdrawn on this appliance", "castellan status")
		},
	}
	cmd.Flags().StringVar(&req.Digest, "digest", "", "a digest of the image (default: what runs)")
	cmd.Flags().StringVar(&req.Why, "why", "", "why, for the log and the record")
	cmd.Flags().StringVar(&req.Severity, "severity", "", "notify, update or stop (default: notify)")
	return cmd
}

func houseSay(cmd *cobra.Command, o *options, req api.HouseRequest, say func(context.Context, api.HouseRequest) (api.HouseWord, error), what, next string) error {
	w, err := say(cmd.Context(), req)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), w)
	}
	out := cmd.OutOrStdout()
	name := w.Repository + " " + w.Version + " for " + w.Platform
	if w.File != "" {
		name = "channel " + w.Repository
	}
	fmt.Fprintf(out, "%s %s; verification log record %d\n", name, what, w.Seq)
	printDigests(out, w)
	fmt.Fprintln(out, "Next:", next)
	return nil
}

func printDigests(out io.Writer, w api.HouseWord) {
	for _, d := range []struct{ role, digest string }{{"index", w.Index}, {"manifest", w.Manifest}, {"config", w.Config}, {"file", w.File}} {
		if d.digest != "" {
			fmt.Fprintf(out, "  %-8s %s\n", d.role, d.digest)
		}
	}
}

func houseListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show what you have accepted and withdrawn",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().House(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			if list.Publisher == "" {
				fmt.Fprintln(cmd.OutOrStdout(), "this appliance has no house key")
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), "house key", list.Publisher)
			t := newTable(cmd.OutOrStdout(), "WHEN", "WORD", "REPOSITORY", "VERSION", "DIGEST")
			for _, w := range list.Words {
				t.AppendRow([]any{w.Time.Local().Format(time.DateTime), w.Status, w.Repository, w.Version, cmp.Or(w.Manifest, w.File)})
			}
			t.Render()
			return nil
		},
	}
}
