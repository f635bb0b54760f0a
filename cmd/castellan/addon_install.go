package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func addonInstallCommand(o *options) *cobra.Command {
	var req api.InstallRequest
	var yes, detach bool
	cmd := &cobra.Command{
		Use:   "install SLUG",
		Short: "Install an add-on, after showing what it may reach",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			slug := args[0]
			info, err := o.client().Addon(cmd.Context(), slug, "")
			if err != nil {
				return addonError(cmd, slug, err)
			}
			if info.Version == "" { // what is installed is the daemon's to refuse
				introduce(cmd, info)
				again := "castellan addon install " + slug + " --yes"
				q := question{text: "Install it?", yes: yes || len(info.Asks) == 0 && !atTerminal(cmd), retry: again, what: "install " + slug}
				if err := ask(cmd, q); err != nil {
					return err
				}
				req.Asks = codes(info.Asks)
			}
			start := req.Start && !detach // followed, so that a start that fails is seen
			req.Start = req.Start && detach
			acc, err := o.client().InstallAddon(cmd.Context(), slug, req)
			if err := followAddon(cmd, o, slug, acc, err, detach, "installed"); err != nil || !start {
				return err
			}
			acc, err = o.client().StartAddon(cmd.Context(), slug)
			return followAddon(cmd, o, slug, acc, err, false, "started")
		},
	}
	cmd.Flags().BoolVar(&req.Start, "start", false, "start it afterwards; with --json that is a document of its own")
	cmd.Flags().BoolVar(&req.AutoUpdate, "auto-update", false, "update it by itself from now on")
	cmd.Flags().BoolVar(&yes, "yes", false, "agree to the rights it asks for")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

// introduce says on the side what is about to be installed: who made it, what is known of it, what it may reach.
func introduce(cmd *cobra.Command, info api.AddonInfo) {
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, "%s %s (%s)\n", plain(info.Name), plain(info.VersionLatest), info.Slug)
	fmt.Fprintf(w, "publisher: %s; image: %s\n", orDash(plain(info.Publisher)), plain(orDash(info.Badge)))
	if info.Evidence != "" {
		fmt.Fprintln(w, plain(info.Evidence))
	}
	if len(info.Asks) == 0 {
		fmt.Fprintln(w, "It reaches its own data and nothing else.")
		return
	}
	fmt.Fprintf(w, "Security rating %d of 8. It may:\n", info.Rating)
	printRights(w, info.Asks)
}

func addonUninstallCommand(o *options) *cobra.Command {
	var req api.UninstallRequest
	var yes, detach bool
	cmd := &cobra.Command{
		Use:   "uninstall SLUG",
		Short: "Remove an add-on; its data stays",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			slug := args[0]
			switch req.Data {
			case api.DataKeep, api.Data30Days:
			case api.DataDelete:
				if err := ask(cmd, question{text: fmt.Sprintf("The data of %s is deleted now, for good.", slug), want: slug, yes: yes,
					retry: "castellan addon uninstall " + slug + " --data delete --yes", what: "uninstall " + slug}); err != nil {
					return err
				}
			default:
				return usage(fmt.Errorf("--data %q: want keep, 30d or delete", req.Data), "castellan addon uninstall "+slug+" --data keep")
			}
			acc, err := o.client().UninstallAddon(cmd.Context(), slug, req)
			return followAddon(cmd, o, slug, acc, err, detach, "removed")
		},
	}
	cmd.Flags().StringVar(&req.Data, "data", api.DataKeep, "what becomes of its data: keep, 30d or delete")
	cmd.Flags().BoolVar(&yes, "yes", false, "delete the data without asking")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

func addonConsentCommand(o *options) *cobra.Command {
	var yes, detach bool
	cmd := &cobra.Command{
		Use:   "consent SLUG",
		Short: "Show what the offered version may reach besides, and agree to it",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			slug := args[0]
			info, err := o.client().Addon(cmd.Context(), slug, "")
			if err != nil {
				return addonError(cmd, slug, err)
			}
			if info.Version == "" {
				return &exitError{exitFailed, fmt.Errorf("%s is not installed", slug), "castellan addon install " + slug}
			}
			if len(info.Asks) == 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s %s asks for nothing besides what you agreed to\n", slug, plain(info.VersionLatest))
				return &exitError{code: exitNothing}
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s %s may, besides what you agreed to for %s:\n", plain(info.Name), plain(info.VersionLatest), plain(info.Version))
			printRights(cmd.ErrOrStderr(), info.Asks)
			if err := ask(cmd, question{text: "Agree?", yes: yes, retry: "castellan addon consent " + slug + " --yes", what: "agree to " + slug}); err != nil {
				return err
			}
			acc, err := o.client().ConsentAddon(cmd.Context(), slug, api.ConsentRequest{Version: info.VersionLatest, Asks: codes(info.Asks)})
			return followAddon(cmd, o, slug, acc, err, detach, "agreed\nNext: castellan addon update "+slug)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "agree without asking")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

func addonImportCommand(o *options) *cobra.Command {
	var req api.ImportRequest
	var yes, detach bool
	cmd := &cobra.Command{
		Use:   "import BACKUP SLUG",
		Short: "Install an add-on with its data from one of Home Assistant's backup files",
		Args:  argsRange(2, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			slug := args[1]
			if req.Path, err = filepath.Abs(args[0]); err != nil {
				return fmt.Errorf("cannot find the backup %s: %w", args[0], err)
			}
			acc, err := o.client().ImportAddon(cmd.Context(), slug, req)
			q := question{text: "Import it?", yes: yes, retry: "castellan addon import " + quoted(args[0]) + " " + slug + " --yes", what: "import " + slug}
			if asks, no := agreed(cmd, slug, q, err); no != nil {
				return no
			} else if asks != nil {
				req.Asks = asks
				acc, err = o.client().ImportAddon(cmd.Context(), slug, req)
			}
			return followAddon(cmd, o, slug, acc, err, detach, "imported")
		},
	}
	cmd.Flags().BoolVar(&req.Start, "start", false, "start it afterwards")
	cmd.Flags().BoolVar(&yes, "yes", false, "agree to the rights it asks for")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

// agreed asks for the consent that a call was refused for; asks is nil when it was refused for nothing of the kind.
func agreed(cmd *cobra.Command, slug string, q question, refused error) (asks []string, err error) {
	var known *api.Error
	if !errors.As(refused, &known) || known.Key != api.KeyConsent {
		return nil, nil
	}
	version, rights := known.Asks()
	fmt.Fprintf(cmd.ErrOrStderr(), "%s %s may:\n", slug, plain(version))
	printRights(cmd.ErrOrStderr(), rights)
	if err := ask(cmd, q); err != nil {
		return nil, err
	}
	return codes(rights), nil
}

func addonBuildCommand(o *options) *cobra.Command {
	var yes, detach bool
	cmd := &cobra.Command{
		Use:   "build SLUG",
		Short: "Build the image of an add-on anew from its repository",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			slug := args[0]
			info, err := o.client().Addon(cmd.Context(), slug, "")
			if err != nil {
				return addonError(cmd, slug, err)
			}
			acc, err := o.client().BuildAddon(cmd.Context(), slug, api.BuildRequest{})
			if info.Version == "" { // of what is installed an update's rights are agreed to by a command of their own
				q := question{text: "Build it?", yes: yes, retry: "castellan addon build " + slug + " --yes", what: "build " + slug}
				if asks, no := agreed(cmd, slug, q, err); no != nil {
					return no
				} else if asks != nil {
					acc, err = o.client().BuildAddon(cmd.Context(), slug, api.BuildRequest{Asks: asks})
				}
			}
			return followAddon(cmd, o, slug, acc, err, detach, "built")
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "agree to the rights it asks for")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}
