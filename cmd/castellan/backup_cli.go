package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func backupCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Backups of add-ons, Home Assistant and shared folders",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	key := &cobra.Command{
		Use:   "key",
		Short: "The recovery key that backups are encrypted for",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	key.AddCommand(backupKeyNewCommand(o))
	cmd.AddCommand(backupCreateCommand(o), backupListCommand(o), backupShowCommand(o), backupVerifyCommand(o), backupRestoreCommand(o), backupRemoveCommand(o),
		backupDownloadCommand(o), backupUploadCommand(o), key)
	return cmd
}

// backupParts are the flags that say what a backup, or a restore, is about.
type backupParts struct {
	addons, folders []string
	core, full      bool
	passphrase      string // file
}

func (p *backupParts) flags(cmd *cobra.Command, what string) {
	cmd.Flags().StringSliceVar(&p.addons, "addon", nil, "slugs of add-ons to "+what+"; ALL for all")
	cmd.Flags().StringSliceVar(&p.folders, "folder", nil, "folders to "+what+": "+strings.Join(api.BackupFolders, ", "))
	cmd.Flags().BoolVar(&p.core, "core", false, what+" Home Assistant's configuration")
	cmd.Flags().BoolVar(&p.full, "full", false, what+" everything")
	cmd.Flags().StringVar(&p.passphrase, "passphrase-file", "", "file with the passphrase, - for the standard input")
}

func (p *backupParts) some() bool { return len(p.addons)+len(p.folders) > 0 || p.core }

func (p *backupParts) slugs() (jsontext.Value, error) {
	if len(p.addons) == 0 {
		return nil, nil
	}
	if len(p.addons) == 1 && p.addons[0] == "ALL" {
		return jsontext.Value(`"ALL"`), nil
	}
	b, err := json.Marshal(p.addons)
	return b, err
}

// password reads the file; a line's end is not of it.
func (p *backupParts) password(cmd *cobra.Command) (string, error) {
	if p.passphrase == "" {
		return "", nil
	}
	in := cmd.InOrStdin()
	if p.passphrase != "-" {
		f, err := os.Open(p.passphrase)
		if err != nil {
			return "", usage(fmt.Errorf("cannot read the passphrase: %w", err), cmd.CommandPath()+" --help")
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, 4<<10))
	text := strings.TrimRight(string(b), "\r\n")
	if err == nil && text == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", usage(fmt.Errorf("cannot read the passphrase: %w", err), cmd.CommandPath()+" --help")
	}
	return text, nil
}

func backupCreateCommand(o *options) *cobra.Command {
	var p backupParts
	var name string
	var noDatabase, detach bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a backup",
		Long: "Makes a backup of what is named, or with --full of everything. It is encrypted with the passphrase, else for the recovery key " +
			"where there is one, else not at all. The daemon does the work; leaving stops nothing.",
		Args: argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.full == p.some() {
				return usage(errors.New("say what to save: --full, or --addon, --core and --folder"), "castellan backup create --full")
			}
			pass, err := p.password(cmd)
			if err != nil {
				return err
			}
			full := api.BackupFull{Name: name, Password: pass, ExcludeDatabase: noDatabase, Background: true}
			var done api.BackupDone
			if p.full {
				done, err = o.client().FullBackup(cmd.Context(), full)
			} else {
				r := api.BackupPartial{BackupFull: full, HomeAssistant: p.core, Folders: p.folders}
				if r.Addons, err = p.slugs(); err == nil {
					done, err = o.client().PartialBackup(cmd.Context(), r)
				}
			}
			if err == nil && done.Slug == "" && !detach {
				var j api.JobView
				j, err = followBackup(cmd, o, "backup", done.ID)
				done.Slug, done.Notes = value(j.Reference), notesIn(j)
			}
			switch {
			case err != nil:
				return withNext(err, "castellan backup list")
			case o.json:
				return printJSON(cmd.OutOrStdout(), done)
			case done.Slug == "":
				fmt.Fprintf(cmd.OutOrStdout(), "accepted: %s\n", done.ID)
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: made\n", done.Slug)
			printNotes(cmd.OutOrStdout(), done.Notes)
			return nil
		},
	}
	p.flags(cmd, "save")
	cmd.Flags().StringVar(&name, "name", "", "name of the backup (default of its kind and time)")
	cmd.Flags().BoolVar(&noDatabase, "exclude-database", false, "leave Home Assistant's database out")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

// followBackup shows how far a backup or a restore is, until it is over.
func followBackup(cmd *cobra.Command, o *options, what, id string) (api.JobView, error) {
	stages := cmd.OutOrStdout()
	if o.json {
		stages = io.Discard
	}
	said := func(j api.JobView) string {
		if j.Done == nil || *j.Done {
			return "" // its end is told by who follows it
		}
		return strings.TrimRight(fmt.Sprintf("%s: %s %s", what, jobWord(j), partOf(j)), " ")
	}
	j, err := followJob(cmd.Context(), o.client().Job, id, said, stages, newScreen(stages))
	if err != nil {
		return j, err
	}
	return j, jobEnd(j)
}

// notesIn is what a job tells of its end.
func notesIn(j api.JobView) []string {
	out := []string{}
	notes, _ := j.Extra[api.NotesKey].([]any)
	for _, n := range notes {
		out = append(out, fmt.Sprint(n))
	}
	return out
}

func printNotes(w io.Writer, notes []string) {
	for _, n := range notes {
		fmt.Fprintf(w, "  %s\n", plain(n))
	}
}

func backupListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the backups",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Backups(cmd.Context())
			switch {
			case err != nil:
				return withNext(err, "castellan status")
			case o.json:
				return printJSON(cmd.OutOrStdout(), list)
			}
			t := newTable(cmd.OutOrStdout(), "SLUG", "MADE", "KIND", "SIZE", "ENCRYPTED", "NAME")
			for _, b := range list.Backups {
				locked := "no"
				if b.Protected {
					locked = "yes"
				}
				t.AppendRow([]any{plain(b.Slug), age(b.Date), plain(b.Type), size(b.SizeBytes), locked, plain(b.Name)})
			}
			t.Render()
			return nil
		},
	}
}

func backupShowCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "show SLUG",
		Short: "Show what is in a backup",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := o.client().Backup(cmd.Context(), args[0])
			switch {
			case err != nil:
				return withNext(err, "castellan backup list")
			case o.json:
				return printJSON(cmd.OutOrStdout(), b)
			}
			w := cmd.OutOrStdout()
			fmt.Fprintf(w, "%s  %s, %s, made %s by Castellan %s\n", plain(b.Slug), plain(b.Name), plain(b.Type), age(b.Date), plain(b.SupervisorVersion))
			seal := "not encrypted"
			if b.Protected {
				seal = fmt.Sprintf("encrypted (%s)", plain(fmt.Sprint(b.Extra["seal"])))
			}
			fmt.Fprintf(w, "%s, %s\n", size(b.SizeBytes), seal)
			if b.HomeAssistant != nil {
				fmt.Fprintf(w, "Home Assistant %s\n", orDash(plain(*b.HomeAssistant)))
			}
			for _, a := range b.Addons {
				fmt.Fprintf(w, "%s %s  %s\n", plain(a.Slug), plain(a.Version), plain(a.Name))
			}
			for _, f := range b.Folders {
				fmt.Fprintf(w, "%s/\n", plain(f))
			}
			return nil
		},
	}
}

func backupVerifyCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "verify SLUG",
		Short: "Read a backup to its end and compare its checksums",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return backupSaid(cmd, o, args[0], "whole", o.client().VerifyBackup(cmd.Context(), args[0]))
		},
	}
}

func backupRemoveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "remove SLUG",
		Short: "Delete a backup",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return backupSaid(cmd, o, args[0], "removed", o.client().RemoveBackup(cmd.Context(), args[0]))
		},
	}
}

func backupSaid(cmd *cobra.Command, o *options, slug, said string, err error) error {
	switch {
	case err != nil:
		return withNext(err, "castellan backup list")
	case o.json:
		return printJSON(cmd.OutOrStdout(), struct{}{})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", slug, said)
	return nil
}

func backupRestoreCommand(o *options) *cobra.Command {
	var p backupParts
	var detach bool
	cmd := &cobra.Command{
		Use:   "restore SLUG",
		Short: "Bring back everything in a backup, or what is named",
		Long: "Restores what is named, or everything in the backup. What is not installed is installed first, on the word of the ledger as ever. " +
			"Services rest while their data is exchanged. The passphrase may be the recovery key. What is there now in these places is lost: " +
			"make a backup before.",
		Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.full && p.some() {
				return usage(errors.New("--full is everything; name nothing besides"), "castellan backup show "+args[0])
			}
			pass, err := p.password(cmd)
			if err != nil {
				return err
			}
			var done api.RestoreDone
			if !p.some() {
				done, err = o.client().RestoreFull(cmd.Context(), args[0], api.RestoreFull{Password: pass, Background: true})
			} else {
				r := api.RestorePartial{RestoreFull: api.RestoreFull{Password: pass, Background: true}, HomeAssistant: p.core, Folders: p.folders}
				if r.Addons, err = p.slugs(); err == nil {
					done, err = o.client().RestorePartial(cmd.Context(), args[0], r)
				}
			}
			if err == nil && !detach {
				var j api.JobView
				j, err = followBackup(cmd, o, "restore", done.ID)
				done.Notes = notesIn(j)
			}
			switch {
			case err != nil:
				return withNext(err, "castellan backup show "+args[0])
			case o.json:
				return printJSON(cmd.OutOrStdout(), done)
			case detach:
				fmt.Fprintf(cmd.OutOrStdout(), "accepted: %s\n", done.ID)
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: restored\n", args[0])
			printNotes(cmd.OutOrStdout(), done.Notes)
			return nil
		},
	}
	p.flags(cmd, "restore")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return cmd
}

func backupKeyNewCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "new",
		Short: "Make a recovery key: shown once, kept nowhere",
		Long: "Makes a recovery key. From now on backups are encrypted for it, also those that come by themselves. Write it down: the appliance " +
			"keeps only the half that can't open them. Earlier backups still want the key they were made for.",
		Args: argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := o.client().NewBackupKey(cmd.Context())
			switch {
			case err != nil:
				return withNext(err, "castellan status")
			case o.json:
				return printJSON(cmd.OutOrStdout(), k)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n\nThis is the recovery key. It is not shown again. Write it down and keep it away from the appliance.\nBackups are encrypted for %s\n", k.Identity, k.Recipient)
			return nil
		},
	}
}
