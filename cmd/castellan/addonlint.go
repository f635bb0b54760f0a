package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/addons"
)

// lintReport is what Home Assistant would make of one config file, under the names of its fields.
type lintReport struct {
	File           string           `json:"file"`
	Valid          bool             `json:"valid"`
	Error          string           `json:"error,omitempty"`
	Problems       []addons.Problem `json:"problems,omitempty"`
	Config         map[string]any   `json:"config,omitzero"`
	Installed      int              `json:"rating_installed,omitempty"`
	Store          int              `json:"rating_store,omitempty"`
	Form           []map[string]any `json:"schema_ui"` // null for schema: false
	DefaultsValid  bool             `json:"default_options_valid"`
	Defaults       map[string]any   `json:"default_options_validated,omitzero"`
	DefaultsError  string           `json:"default_options_error,omitempty"`
	Translations   map[string]bool  `json:"translations,omitzero"`
	Rights         addons.Rights    `json:"rights,omitzero"`
	Options        *lintOptions     `json:"options,omitempty"` // with --options
	manifest       addons.Manifest  // of a valid file
	badTranslation []error
}

// lintOptions is what the add-on would read of the options in --options.
type lintOptions struct {
	Valid     bool           `json:"valid"`
	Validated map[string]any `json:"validated,omitzero"`
	Dropped   []string       `json:"dropped,omitempty"`
	Error     string         `json:"error,omitempty"`
}

func addonLintCommand(o *options) *cobra.Command {
	var optionsFile string
	cmd := &cobra.Command{
		Use:   "lint PATH…",
		Short: "Check the config.yaml of add-ons",
		Long: "Reads config files of add-ons as the daemon and Home Assistant do, and says where they are wrong. PATH is such a " +
			"file, or a folder with config.yaml, .yml or .json at any depth. --json also prints the normalised configuration and " +
			"the form, one object per file. Needs no daemon. Ends with 1 when a file or the options are not valid, with 3 " +
			"when there is no file.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("PATH is missing: name a config.yaml or a folder"), "castellan addon lint --help")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var written map[string]any
			if optionsFile != "" {
				data, err := readBounded(optionsFile)
				if err != nil {
					return fmt.Errorf("cannot read the options: %w", err)
				}
				if written, err = addons.ParseOptions(optionsFile, data); err != nil {
					return err
				}
			}
			files, err := findConfigs(args)
			switch {
			case err != nil:
				return err
			case len(files) == 0:
				return &exitError{exitNothing, fmt.Errorf("no config.yaml, .yml or .json in %s", strings.Join(args, ", ")), ""}
			}
			bad := 0
			for _, file := range files {
				r := lint(file, written, optionsFile != "")
				if !r.Valid || r.Options != nil && !r.Options.Valid {
					bad++
				}
				if o.json {
					if err := printJSON(cmd.OutOrStdout(), r); err != nil {
						return err
					}
				} else {
					r.print(cmd.OutOrStdout())
				}
			}
			if bad > 0 {
				return &exitError{exitFailed, fmt.Errorf("%d of %d not valid", bad, len(files)), ""}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&optionsFile, "options", "", "check these options too: a file in JSON or YAML")
	return cmd
}

// maxLint is how many files one run checks.
const maxLint = 10_000

// findConfigs lists the config files that paths name, as Home Assistant looks for them in a repository: not in hidden
// folders, not in rootfs.
func findConfigs(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("cannot check add-ons: %w", err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			name := d.Name()
			switch {
			case err != nil:
				return err
			case file == path:
			case strings.HasPrefix(name, "."), name == "rootfs":
				if d.IsDir() {
					return fs.SkipDir
				}
			case d.Type().IsRegular() && slices.Contains([]string{"config.yaml", "config.yml", "config.json"}, name):
				if files = append(files, file); len(files) > maxLint {
					return fmt.Errorf("more than %d files; name a smaller folder", maxLint)
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("cannot check add-ons: %w", err)
		}
	}
	return files, nil
}

// readBounded reads no more of a file than tells that it is too large.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

func lint(file string, written map[string]any, withOptions bool) lintReport {
	r := lintReport{File: file}
	data, err := readBounded(file)
	if err == nil {
		r.manifest, err = addons.ParseManifest(file, data)
	}
	if err != nil {
		r.Error = err.Error()
		if invalid := (*addons.InvalidError)(nil); errors.As(err, &invalid) {
			r.Problems = invalid.Problems
		}
		return r
	}
	m := r.manifest
	folder := filepath.Dir(file)
	_, err = os.Stat(filepath.Join(folder, "apparmor.txt"))
	r.Valid, r.Config, r.Rights = true, m.Normalised(), m.Rights()
	r.Installed, r.Store, r.Form = m.Rating(false, err == nil), m.Rating(false, false), m.Schema.Form(nil)
	if r.Defaults, _, err = m.Schema.Validate(m.Options, addons.Outside{}); err != nil {
		r.DefaultsError = err.Error()
	}
	r.DefaultsValid = err == nil
	r.translations(filepath.Join(folder, "translations"))
	if withOptions {
		r.Options = &lintOptions{}
		r.Options.Validated, r.Options.Dropped, err = m.Schema.Validate(addons.Merge(m.Options, written), addons.Outside{})
		if r.Options.Valid = err == nil; err != nil {
			r.Options.Error = err.Error()
		}
	}
	return r
}

func (r *lintReport) translations(folder string) {
	r.Translations = map[string]bool{}
	entries, _ := os.ReadDir(folder) // an add-on without translations has no such folder
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, ext) || !e.Type().IsRegular() {
			continue
		}
		file := filepath.Join(folder, e.Name())
		data, err := readBounded(file)
		if err == nil {
			_, err = addons.ParseTranslation(file, data)
		}
		if err != nil {
			r.badTranslation = append(r.badTranslation, err)
		}
		r.Translations[strings.TrimSuffix(e.Name(), ext)] = err == nil
	}
}

// print is the report for people.
func (r lintReport) print(w io.Writer) {
	if !r.Valid {
		fmt.Fprintf(w, "%s: not valid\n", r.File)
		for _, p := range r.Problems {
			fmt.Fprintf(w, "  %s\n", p)
		}
		if len(r.Problems) == 0 {
			fmt.Fprintf(w, "  %s\n", r.Error)
		}
		return
	}
	m := r.manifest
	fmt.Fprintf(w, "%s: valid\n", r.File)
	fmt.Fprintf(w, "  add-on   %s %s (%s) for %s\n", m.Name, orDash(m.Version), m.Slug, orDash(strings.Join(m.Arch, ", ")))
	image := m.Reference("{arch}")
	if image == "" {
		image = "none; it would be built on the appliance, so no ledger can vouch for it"
	}
	fmt.Fprintf(w, "  image    %s\n", image)
	fmt.Fprintf(w, "  rating   %d of 8, %d in the store\n", r.Installed, r.Store)
	for i, right := range r.Rights {
		label := "rights"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(w, "  %-8s %s (%s)\n", label, addons.RightInWords(right), right)
	}
	switch {
	case m.Schema.Open():
		fmt.Fprintln(w, "  options  any (schema: false)")
	case r.DefaultsValid:
		fmt.Fprintf(w, "  options  %d, the defaults are valid\n", len(r.Form))
	default:
		fmt.Fprintf(w, "  options  %d, the owner must fill in: %s\n", len(r.Form), r.DefaultsError)
	}
	for _, err := range r.badTranslation {
		fmt.Fprintf(w, "  skipped  %v\n", err)
	}
	if o := r.Options; o != nil && o.Valid {
		fmt.Fprintln(w, "  --options is valid")
	} else if o != nil {
		fmt.Fprintf(w, "  --options is not valid: %s\n", o.Error)
	}
	if r.Options != nil && len(r.Options.Dropped) > 0 {
		fmt.Fprintf(w, "  --options has options nobody reads: %s\n", strings.Join(r.Options.Dropped, ", "))
	}
}
