package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func repoCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "repo",
		Aliases: []string{"store", "repos"}, // as the ha command says
		Short:   "The repositories that add-ons come from",
		Args:    onlyCommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(repoListCommand(o), repoAddCommand(o), repoRemoveCommand(o), repoRefreshCommand(o))
	return cmd
}

func repoListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the repositories",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Repositories(cmd.Context())
			return printRepositories(cmd, o, list, withNext(err, "castellan status"))
		},
	}
}

func repoAddCommand(o *options) *cobra.Command {
	var req api.AddRepositoryRequest
	cmd := &cobra.Command{
		Use:   "add URL",
		Short: "Follow a repository: a git URL, with #branch or without",
		Long: "Follows a repository. One that names a ledger of its own is followed when --ledger names the fingerprint of that " +
			"ledger's key: compare it with what the repository's owner published at another place.",
		Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Repository = args[0]
			repo, err := o.client().AddRepository(cmd.Context(), req)
			switch {
			case err != nil:
				return withNext(err, "castellan repo list")
			case o.json:
				return printJSON(cmd.OutOrStdout(), repo)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s offers %d add-ons\n", repo.Slug, plain(repo.Name), repo.Addons)
			return nil
		},
	}
	cmd.Flags().StringVar(&req.Ledger, "ledger", "", "fingerprint of the repository's own ledger, as you compared it")
	return cmd
}

func repoRemoveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "remove SLUG",
		Short: "Stop following a repository",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.client().RemoveRepository(cmd.Context(), args[0])
			switch {
			case err != nil:
				return withNext(err, "castellan repo list")
			case o.json:
				return printJSON(cmd.OutOrStdout(), struct{}{})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: removed\n", args[0])
			return nil
		},
	}
}

func repoRefreshCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "refresh [SLUG]",
		Short: "Look for new add-ons and versions now",
		Args:  argsRange(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			slug := ""
			if len(args) == 1 {
				slug = args[0]
			}
			list, err := o.client().RefreshRepositories(cmd.Context(), slug)
			if err := printRepositories(cmd, o, list, withNext(err, "castellan repo list")); err != nil {
				return err
			}
			for _, r := range list.Repositories {
				if r.Trouble != "" {
					return &exitError{exitFailed, fmt.Errorf("cannot refresh %s: %s", r.Slug, plain(r.Trouble)), "castellan repo refresh " + r.Slug}
				}
			}
			return nil
		},
	}
}

func printRepositories(cmd *cobra.Command, o *options, list api.RepositoryList, err error) error {
	w := cmd.OutOrStdout()
	switch {
	case err != nil:
		return err
	case o.json:
		return printJSON(w, list)
	}
	t := newTable(w, "SLUG", "NAME", "ADD-ONS", "INSTALLED", "READ", "SOURCE")
	for _, r := range list.Repositories {
		t.AppendRow([]any{r.Slug, plain(r.Name), r.Addons, r.Installed, age(r.Refreshed), plain(r.Source)})
	}
	t.Render()
	printTroubles(w, list.Repositories)
	return nil
}

func printTroubles(w io.Writer, list []api.Repository) {
	for _, r := range list {
		if r.Trouble != "" {
			fmt.Fprintf(w, "! %s: %s\n", r.Slug, plain(r.Trouble))
		}
		for _, p := range r.Problems {
			fmt.Fprintf(w, "%s: %s\n", r.Slug, plain(p))
		}
	}
}
