package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor/support"
)

func supportCommand(o *options) *cobra.Command {
	var out, path string
	var preview bool
	cmd := &cobra.Command{
		Use:   "support-bundle [-o FILE]",
		Short: "Gather what support needs, without secrets, in one zip file",
		Long: "Writes a zip file with the state of this appliance: version, configuration, plan, changes, verdicts, ledgers, add-ons, " +
			"repositories, host, and the daemon's last messages. Passwords, tokens and keys are hidden; e-mail, network and " +
			"hardware addresses get names that are the same throughout. MANIFEST lists each file. Nothing is sent anywhere; " +
			"read it before you do. Without a daemon it holds what can be read from the disk, and says so.",
		Example: "  castellan support-bundle --preview\n  castellan support-bundle -o bundle.zip",
		Args:    argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				out = "castellan-support-" + time.Now().Format("20060102-150405") + ".zip"
			}
			if _, err := os.Lstat(out); !preview && !errors.Is(err, fs.ErrNotExist) {
				return usage(fmt.Errorf("cannot write %s: something is there", out), "castellan support-bundle -o another.zip")
			}
			g := support.Gather(cmd.Context(), support.Config{Client: o.client(), Path: path, Version: version, Facts: hostFacts})
			switch {
			case cmd.Context().Err() != nil:
				return errors.New("cannot gather the bundle: it was interrupted")
			case preview && o.json:
				return printJSON(cmd.OutOrStdout(), bundleList{Parts: g.Parts, Daemon: g.Daemon})
			case preview:
				_, err := cmd.OutOrStdout().Write(g.Manifest())
				return err
			}
			b, err := g.Zip()
			if err == nil {
				err = durable.WriteFile(out, b, 0o600)
			}
			switch {
			case err != nil:
				return &exitError{exitFailed, fmt.Errorf("cannot write the bundle: %w", err), "castellan support-bundle -o FILE, in a folder with room"}
			case o.json:
				return printJSON(cmd.OutOrStdout(), bundleList{File: out, Parts: g.Parts, Daemon: g.Daemon})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d files, %s; read it before you send it\n", out, len(g.Parts)+1, size(int64(len(b))))
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default castellan-support-DATE.zip)")
	cmd.Flags().StringVar(&path, "config", "/etc/castellan/castellan.yaml", "configuration file, where no daemon names it")
	cmd.Flags().BoolVar(&preview, "preview", false, "show what would be in it and write nothing")
	return cmd
}

// bundleList is a bundle for programs.
type bundleList struct {
	File   string         `json:"file,omitempty"`
	Daemon bool           `json:"daemon"` // one answered
	Parts  []support.Part `json:"parts"`
}

// hostFacts are what the kernel tells of the host, and of the disk below dir.
func hostFacts(dir string) map[string]any {
	out := map[string]any{"cpus": runtime.NumCPU(), "os": osName("/etc/os-release"), "memory_total": kilobytes("/proc/meminfo", "MemTotal:"),
		"memory_available": kilobytes("/proc/meminfo", "MemAvailable:")}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		out["kernel"] = unix.ByteSliceToString(uts.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		out["uptime_seconds"] = int64(info.Uptime)
	}
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil {
		out["disk_total"], out["disk_free"] = int64(fs.Blocks)*int64(fs.Bsize), int64(fs.Bavail)*int64(fs.Bsize)
	}
	return out
}
