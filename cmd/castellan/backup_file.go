package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// backupFile is what was written, for programs.
type backupFile struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

func backupDownloadCommand(o *options) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "download SLUG",
		Short: "Write a backup into a file, to keep it elsewhere",
		Long: "Writes the file of a backup: a tar archive that standard tools read, but for what is encrypted in it. Without --output it is named " +
			"by its slug, in this folder; what is there is not written over. A file that is not whole is removed.",
		Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := o.client().DownloadBackup(cmd.Context(), args[0])
			if err != nil {
				return withNext(err, "castellan backup list")
			}
			defer body.Close()
			again := "castellan backup download " + quoted(args[0])
			if out == "-" {
				if _, err := io.Copy(cmd.OutOrStdout(), body); err != nil {
					return &exitError{exitFailed, fmt.Errorf("cannot download the backup: %w", err), again}
				}
				return nil
			}
			if out == "" {
				out = filepath.Base(args[0]) + ".tar"
			}
			n, err := writeNew(out, body)
			switch {
			case err != nil:
				return &exitError{exitFailed, fmt.Errorf("cannot download the backup: %w", err), again + " -o another.tar"}
			case o.json:
				return printJSON(cmd.OutOrStdout(), backupFile{out, n})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", plain(out), size(n))
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write, - for the standard output (default SLUG.tar)")
	return cmd
}

// writeNew writes a file that was not there, for its owner alone; what is not whole is removed.
func writeNew(name string, from io.Reader) (n int64, err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(f, from)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, os.Remove(name))
	}
	return n, err
}

func backupUploadCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "upload FILE",
		Short: "Take in a backup that was kept elsewhere",
		Long:  "Takes in the file of a backup of Castellan. It is looked at and listed; castellan backup restore brings back what is in it.",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return usage(fmt.Errorf("cannot read the backup: %w", err), "castellan backup upload --help")
			}
			defer f.Close()
			done, err := o.client().UploadBackup(cmd.Context(), f)
			switch {
			case err != nil:
				return withNext(err, "castellan backup list")
			case o.json:
				return printJSON(cmd.OutOrStdout(), done)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: taken in\nNext: castellan backup show %s\n", plain(done.Slug), plain(done.Slug))
			return nil
		},
	}
}
