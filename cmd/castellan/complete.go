package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor/api/client"
)

// completeWithin is how long a shell is kept waiting for names from the daemon.
const completeWithin = 300 * time.Millisecond

// shells are the shells that completions are made for.
var shells = []string{"bash", "zsh", "fish"}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print the completions for a shell",
		Long: "Prints a script that completes commands, flags, and the names of services and add-ons, which it asks the daemon for. " +
			"Packages bring it along; for bash it is otherwise: castellan completion bash > /etc/bash_completion.d/castellan",
		Args:      argsRange(1, 1),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			}
			return usage(fmt.Errorf("no completions for %.40q: want %s", args[0], strings.Join(shells, ", ")), "castellan completion bash")
		},
	}
}

// names asks the daemon for what can stand in a place of a command line.
type names func(ctx context.Context, c *client.Client) (names []string, err error)

// serviceNames are the names of services, with the add-ons'.
func serviceNames(ctx context.Context, c *client.Client) (out []string, err error) {
	st, err := c.Status(ctx)
	for _, s := range st.Services {
		out = append(out, s.Name+"\t"+plain(s.Version))
	}
	return out, err
}

// addonSlugs are the slugs of installed add-ons, offeredSlugs of all.
func addonSlugs(ctx context.Context, c *client.Client) ([]string, error) { return slugs(ctx, c, false) }
func offeredSlugs(ctx context.Context, c *client.Client) ([]string, error) {
	return slugs(ctx, c, true)
}

func slugs(ctx context.Context, c *client.Client, all bool) (out []string, err error) {
	list, err := c.Addons(ctx, all)
	for _, a := range list.Addons {
		out = append(out, a.Slug+"\t"+plain(a.Name))
	}
	return out, err
}

// repositorySlugs are the repositories that are followed.
func repositorySlugs(ctx context.Context, c *client.Client) (out []string, err error) {
	list, err := c.Repositories(ctx)
	for _, r := range list.Repositories {
		out = append(out, r.Slug+"\t"+plain(r.Name))
	}
	return out, err
}

// userNames are those who may log in.
func userNames(ctx context.Context, c *client.Client) (out []string, err error) {
	list, err := c.Users(ctx)
	for _, u := range list.Users {
		out = append(out, plain(u.Name)+"\t"+plain(u.Role))
	}
	return out, err
}

// backupSlugs, jobIDs and changeIDs are those there are, newest first.
func backupSlugs(ctx context.Context, c *client.Client) (out []string, err error) {
	list, err := c.Backups(ctx)
	for _, b := range list.Backups {
		out = append(out, plain(b.Slug)+"\t"+plain(b.Name))
	}
	return out, err
}

func jobIDs(ctx context.Context, c *client.Client) (out []string, err error) {
	list, err := c.Jobs(ctx)
	for _, j := range list.Jobs {
		out = append(out, j.UUID+"\t"+plain(j.Name+" "+value(j.Reference)))
	}
	return out, err
}

func changeIDs(ctx context.Context, c *client.Client) (out []string, err error) {
	list, err := c.Changes(ctx)
	for _, v := range list.Changes {
		out = append(out, v.ID+"\t"+plain(v.Service+" "+v.To))
	}
	return out, err
}

// completes gives the commands whose first word is a name the names there are.
func completes(o *options, cmd *cobra.Command) {
	words := wordsOf(cmd)
	var ask names
	switch need := strings.Fields(cmd.Use); {
	case words == "addon install" || words == "addon info" || words == "addon build":
		ask = offeredSlugs
	case words == "user add" || words == "token add": // a new name
	case strings.HasPrefix(words, "user "):
		ask = userNames
	case strings.HasPrefix(words, "backup ") && len(need) > 1 && need[1] == "SLUG":
		ask = backupSlugs
	case len(need) > 1 && need[1] == "JOB":
		ask = jobIDs
	case len(need) > 1 && need[1] == "CHANGE":
		ask = changeIDs
	case words == "repo remove" || words == "repo refresh":
		ask = repositorySlugs
	case strings.HasPrefix(words, "addon ") && len(need) > 1 && need[1] == "SLUG":
		ask = addonSlugs
	case len(need) > 1 && (strings.Trim(need[1], "[]") == "NAME" || strings.Trim(need[1], "[]") == "SERVICE"):
		ask = serviceNames
	}
	if ask != nil && cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			return complete(cmd, o, ask, args, begun)
		}
	}
}

// complete is what a shell shows. A daemon that does not answer in time completes nothing.
func complete(cmd *cobra.Command, o *options, ask names, args []string, begun string) (out []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	all, err := ask(ctx, o.client())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp // a shell has no place for a message
	}
	for _, name := range all {
		if strings.HasPrefix(name, begun) {
			out = append(out, name)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages into a folder",
		Long:   "Writes a page for each command, castellan.1, castellan-status.1 and so on, as packages need them.",
		Hidden: true,
		Args:   argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := durable.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("cannot write manual pages: %w", err)
			}
			n, err := writeMan(cmd.Root(), args[0])
			if err != nil {
				return fmt.Errorf("cannot write manual pages: %w", err)
			}
			if jsonWanted, _ := cmd.Flags().GetBool("json"); jsonWanted { // a flag that every command has
				return printJSON(cmd.OutOrStdout(), map[string]int{"pages": n})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d pages in %s\n", n, args[0])
			return nil
		},
	}
}

// writeMan writes the page of cmd and of what is below it.
func writeMan(cmd *cobra.Command, dir string) (n int, err error) {
	if cmd.Hidden || cmd.Name() == "help" {
		return 0, nil
	}
	name := filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")
	if err := os.WriteFile(name, manPage(cmd), 0o644); err != nil { // a build makes it anew
		return 0, err
	}
	n = 1
	for _, sub := range cmd.Commands() {
		more, err := writeMan(sub, dir)
		if n += more; err != nil {
			return n, err
		}
	}
	return n, nil
}
