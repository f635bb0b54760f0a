package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

// accountNext is the next step after a mistake about an account.
const accountNext = "castellan user list"

func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: onlyCommands, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(commands...)
	return cmd
}

// done says that something was done; with --json, as an object.
func done(cmd *cobra.Command, o *options, err error, next, format string, args ...any) error {
	if err != nil {
		return withNext(err, next)
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), struct {
			Changed bool `json:"changed"`
		}{true})
	}
	fmt.Fprintf(cmd.OutOrStdout(), format+"\n", args...)
	return nil
}

func setupCodeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "setup-code",
		Short: "Show the code that the first login over the network needs",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.client().SetupCode(cmd.Context())
			if err != nil {
				return withNext(err, accountNext)
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), c)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\nNext: type it at the first login, or: castellan user add NAME --role admin\n", c.Code)
			return nil
		},
	}
}

func userCommand(o *options) *cobra.Command {
	return group("user", "Who may log in over the network", userListCommand(o), userAddCommand(o), userRemoveCommand(o), userRoleCommand(o),
		userPasswordCommand(o), userLetInCommand(o), userResetCommand(o))
}

func userListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the users",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Users(cmd.Context())
			if err != nil {
				return withNext(err, "castellan status")
			}
			out := cmd.OutOrStdout()
			if o.json {
				return printJSON(out, list)
			}
			if len(list.Users) == 0 {
				fmt.Fprintln(out, "there are no users\nNext: castellan setup-code")
				return nil
			}
			t := newTable(out, "NAME", "ROLE", "SINCE", "SESSIONS", "TOKENS")
			for _, u := range list.Users {
				t.AppendRow([]any{plain(u.Name), plain(u.Role), u.Created.Local().Format(time.DateOnly), u.Sessions, u.Tokens})
			}
			t.Render()
			return nil
		},
	}
}

func userAddCommand(o *options) *cobra.Command {
	r := api.UserRequest{}
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user; the password is asked for",
		Long: "Adds a user. viewer sees, operator does the daily work within what trust admits, admin decides about trust and users too. The " +
			"password is asked for at the terminal, or read as a line from the standard input. The first user must be admin, and root makes him.",
		Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.Name = args[0]
			if r.Password, err = newSecrets(cmd).fresh(); err != nil {
				return err
			}
			return done(cmd, o, o.client().AddUser(cmd.Context(), r), accountNext, "%s may log in as %s", plain(r.Name), plain(r.Role))
		},
	}
	cmd.Flags().StringVar(&r.Role, "role", "viewer", "viewer, operator or admin")
	return cmd
}

func userRemoveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a user with sessions and tokens",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return done(cmd, o, o.client().RemoveUser(cmd.Context(), args[0]), accountNext, "%s is removed, with sessions and tokens", plain(args[0]))
		},
	}
}

func userRoleCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "role NAME viewer|operator|admin",
		Short: "Give a user another role",
		Args:  argsRange(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return done(cmd, o, o.client().SetRole(cmd.Context(), args[0], args[1]), accountNext, "%s is %s now", plain(args[0]), plain(args[1]))
		},
	}
}

func userPasswordCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "password NAME",
		Short: "Set a user's password; it is asked for",
		Long: "Sets a password, which is asked for at the terminal, or read as a line from the standard input. Who sets his own over the network " +
			"gives the current one first. The user's sessions end.",
		Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := o.client()
			me, err := c.Me(cmd.Context())
			if err != nil {
				return withNext(err, "castellan status")
			}
			var r api.PasswordRequest
			in := newSecrets(cmd)
			if me.Kind != "local" && strings.EqualFold(me.Name, args[0]) {
				if r.Current, err = in.read("Current password"); err != nil {
					return err
				}
			}
			if r.Password, err = in.fresh(); err != nil {
				return err
			}
			return done(cmd, o, c.SetPassword(cmd.Context(), args[0], r), accountNext, "the password of %s is set; sessions with the old one have ended", plain(args[0]))
		},
	}
}

func userLetInCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "let-in NAME ADDRESS",
		Short: "Let a user log in from an address while others guess at the name",
		Long: "While somebody guesses at a user's name, logins with it wait, but from places the user came from before. This makes ADDRESS such " +
			"a place; the password is asked for all the same.",
		Args: argsRange(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.client().KnowPlace(cmd.Context(), args[0], args[1])
			return done(cmd, o, err, accountNext, "%s may log in from %s at once", plain(args[0]), plain(args[1]))
		},
	}
}

func userResetCommand(o *options) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Begin anew without users, as before the first login",
		Long: "Puts the register of users aside, with all sessions and tokens, and shows a new setup code. It is the way in when nobody knows an " +
			"admin's password, or when the register is damaged. castellan user password keeps more.",
		Args: argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := question{text: "All users, sessions and tokens end.", want: "reset", yes: yes, retry: "castellan user reset --yes", what: "reset the users"}
			if err := ask(cmd, q); err != nil {
				return err
			}
			got, err := o.client().ResetUsers(cmd.Context())
			if err != nil {
				return withNext(err, "castellan status")
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), got)
			}
			if got.Aside != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "the old register is in %s\n", got.Aside)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "setup code: %s\nNext: type it at the first login, or: castellan user add NAME --role admin\n", got.Code)
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
