package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func sessionCommand(o *options) *cobra.Command {
	return group("session", "Who is logged in over the network", sessionListCommand(o), sessionEndCommand(o))
}

func sessionListCommand(o *options) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the sessions",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Sessions(cmd.Context(), user)
			if err != nil {
				return withNext(err, accountNext)
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			if len(list.Sessions) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "nobody is logged in")
				return nil
			}
			t := newTable(cmd.OutOrStdout(), "ID", "USER", "SINCE", "LAST USE", "FROM", "WITH")
			for _, s := range list.Sessions {
				t.AppendRow([]any{plain(s.ID), plain(s.User), s.Created.Local().Format(time.DateTime), age(s.Seen), orDash(plain(s.From)), orDash(plain(s.Agent))})
			}
			t.Render()
			return nil
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "of one user only")
	return cmd
}

func sessionEndCommand(o *options) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "end ID | end --user NAME",
		Short: "End a session, or all of a user",
		Args:  argsRange(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			const next = "castellan session list"
			if (len(args) == 0) == (user == "") {
				return usage(errors.New("cannot end a session: want its ID, or --user"), next)
			}
			if user == "" {
				return done(cmd, o, o.client().EndSession(cmd.Context(), args[0]), next, "session %s has ended", plain(args[0]))
			}
			got, err := o.client().EndSessions(cmd.Context(), user)
			if err != nil {
				return withNext(err, next)
			}
			if o.json {
				err = printJSON(cmd.OutOrStdout(), got)
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "%d sessions of %s have ended\n", got.Ended, plain(user))
			}
			if err == nil && got.Ended == 0 {
				return &exitError{code: exitNothing}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "all of this user")
	return cmd
}

func tokenCommand(o *options) *cobra.Command {
	return group("token", "API tokens for programs on the network", tokenListCommand(o), tokenAddCommand(o), tokenRemoveCommand(o))
}

func tokenListCommand(o *options) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the tokens, without what they are known by",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Tokens(cmd.Context(), user)
			if err != nil {
				return withNext(err, accountNext)
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			if len(list.Tokens) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "there are no tokens")
				return nil
			}
			t := newTable(cmd.OutOrStdout(), "ID", "USER", "NAME", "ROLE", "BEGINS", "LAST USE", "ENDS")
			for _, k := range list.Tokens {
				t.AppendRow([]any{plain(k.ID), plain(k.User), plain(k.Name), plain(k.Role), plain(k.Prefix), day(k.Used, "never"), ends(k)})
			}
			t.Render()
			return nil
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "of one user only")
	return cmd
}

func day(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.Local().Format(time.DateOnly)
}

func ends(k api.Token) string {
	if k.Ended {
		return "has ended"
	}
	return day(k.Ends, "-")
}

func tokenAddCommand(o *options) *cobra.Command {
	var r api.TokenRequest
	cmd := &cobra.Command{
		Use:   "add NAME --user USER",
		Short: "Make a token and print it, this once",
		Long: "Makes an API token; NAME says what it is for. The token alone goes to the standard output, so that it can go into a file that " +
			"--token-file reads. It ends with its user, and never may more than he.",
		Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Name = args[0]
			got, err := o.client().AddToken(cmd.Context(), r)
			if err != nil {
				return withNext(err, "castellan token list")
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), got)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "token %s of %s, as %s; it is shown this once:\n", plain(got.ID), plain(got.User), plain(got.Role))
			fmt.Fprintln(cmd.OutOrStdout(), got.Text)
			return nil
		},
	}
	cmd.Flags().StringVar(&r.Role, "role", "viewer", "viewer, operator or admin; at most the user's")
	cmd.Flags().StringVar(&r.User, "user", "", "whose (default: yours; root on the appliance names one)")
	cmd.Flags().IntVar(&r.Days, "days", 0, "it ends after so many days (default: it does not)")
	return cmd
}

func tokenRemoveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a token",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return done(cmd, o, o.client().RemoveToken(cmd.Context(), args[0]), "castellan token list", "token %s is removed", plain(args[0]))
		},
	}
}
