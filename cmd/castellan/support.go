package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/castellan/castellan/config/durable"
)

// maxPart is how much of one part goes into a bundle, in bytes.
const maxPart = 1 << 20

// bundlePart is one file of a support bundle, or why it is not in there.
type bundlePart struct {
	Name   string `json:"name"`
	What   string `json:"what"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
	Error  string `json:"error,omitempty"`
	data   []byte
}

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
			g := gather(cmd.Context(), o.client(), path)
			switch {
			case cmd.Context().Err() != nil:
				return errors.New("cannot gather the bundle: it was interrupted")
			case preview && o.json:
				return printJSON(cmd.OutOrStdout(), bundleList{Parts: g.parts, Daemon: g.daemon})
			case preview:
				_, err := cmd.OutOrStdout().Write(g.manifest())
				return err
			}
			b, err := g.zip()
			if err == nil {
				err = durable.WriteFile(out, b, 0o600)
			}
			switch {
			case err != nil:
				return &exitError{exitFailed, fmt.Errorf("cannot write the bundle: %w", err), "castellan support-bundle -o FILE, in a folder with room"}
			case o.json:
				return printJSON(cmd.OutOrStdout(), bundleList{File: out, Parts: g.parts, Daemon: g.daemon})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d files, %s; read it before you send it\n", out, len(g.parts)+1, size(int64(len(b))))
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
	File   string       `json:"file,omitempty"`
	Daemon bool         `json:"daemon"` // one answered
	Parts  []bundlePart `json:"parts"`
}

// gathered is what a bundle is made of.
type gathered struct {
	ctx    context.Context
	hide   *redactor
	daemon bool
	parts  []bundlePart
}

// add takes data, which holds no secrets any more.
func (g *gathered) add(name, what string, data []byte, err error) {
	p := bundlePart{Name: name, What: what, data: data}
	if err != nil {
		p.Error = plain(g.hide.text(err.Error()))
	}
	if len(p.data) > maxPart {
		p.data = append(p.data[:maxPart:maxPart], "\n(cut here)\n"...)
	}
	if p.Size = len(p.data); p.Size > 0 {
		p.SHA256 = fmt.Sprintf("%x", sha256.Sum256(p.data))
	}
	g.parts = append(g.parts, p)
}

// manifest says what is in the bundle and what is not.
func (g *gathered) manifest() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Support bundle of castellan %s, %s\n", version, time.Now().UTC().Format(time.RFC3339))
	if !g.daemon {
		fmt.Fprintln(&b, "No daemon answered: this is what the disk and the host tell.")
	}
	fmt.Fprintf(&b, "Hidden: %s are secrets; email-1, lan-1, ip-1, mac-1, hidden-1 stand for one address or word each.\n\n", hiddenText)
	t := newTable(&b, "FILE", "BYTES", "WHAT")
	for _, p := range g.parts {
		what := p.What
		if p.Error != "" {
			what += "; not complete: " + p.Error
		}
		t.AppendRow(table.Row{p.Name, p.Size, what})
	}
	t.Render()
	fmt.Fprintln(&b, "\nsha256:")
	for _, p := range g.parts {
		if p.Size > 0 {
			fmt.Fprintf(&b, "%s  %s\n", p.SHA256, p.Name)
		}
	}
	return b.Bytes()
}

// zip writes everything into one file that any system can open.
func (g *gathered) zip() ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	put := func(name string, data []byte) error {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "castellan-support/" + name, Method: zip.Deflate, Modified: time.Now()})
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	}
	if err := put("MANIFEST", g.manifest()); err != nil {
		return nil, err
	}
	for _, p := range g.parts {
		if p.Size == 0 {
			continue
		}
		if err := put(strings.TrimPrefix(p.Name, "/"), p.data); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}
