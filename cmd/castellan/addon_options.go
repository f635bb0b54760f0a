package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/api"
)

// maxOptionsFile bounds a file of options, in bytes.
const maxOptionsFile = 1 << 20

func addonOptionsCommand(o *options) *cobra.Command {
	var get, reset bool
	var set []string
	var file string
	cmd := &cobra.Command{
		Use:   "options SLUG [--get | --set KEY=VALUE… | --file FILE | --reset]",
		Short: "Show or set the options of an add-on",
		Long: "Without a flag, or with --get, the options in force are printed; they can be changed and read again with --file. " +
			"--set changes single ones: a.b=c is the option b within a, and VALUE is read as YAML: 80 is a number, on a text, " +
			"true a truth, '80' in quotes a text, [a, b] a list. --file, in YAML or by its ending in JSON, takes the place of all " +
			"you set before; - is the standard input. --reset goes back to the author's. They count from the next start on.",
		Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			slug := args[0]
			var options json.RawMessage
			var err error
			switch {
			case reset: // null
			case file != "":
				options, err = optionsFile(cmd.InOrStdin(), file)
			case len(set) > 0:
				options, err = optionsSet(cmd, o, slug, set)
			default:
				return optionsGet(cmd, o, slug)
			}
			if err != nil {
				return withNext(err, "castellan addon options "+slug+" --get")
			}
			kept, err := o.client().SetAddonOptions(cmd.Context(), slug, options)
			if err != nil {
				return withNext(err, "castellan addon options "+slug+" --get")
			}
			return printKept(cmd, o, slug, kept)
		},
	}
	cmd.Flags().BoolVar(&get, "get", false, "print the options in force")
	cmd.Flags().StringArrayVar(&set, "set", nil, "KEY=VALUE, may be repeated")
	cmd.Flags().StringVar(&file, "file", "", "file with all options, - = standard input")
	cmd.Flags().BoolVar(&reset, "reset", false, "go back to the author's options")
	return exclusive(cmd, "get", "set", "file", "reset")
}

// exclusive refuses two of the flags at once, with our exit code.
func exclusive(cmd *cobra.Command, flags ...string) *cobra.Command {
	positional := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		var given []string
		for _, f := range flags {
			if cmd.Flags().Changed(f) {
				given = append(given, "--"+f)
			}
		}
		if len(given) > 1 {
			return usage(fmt.Errorf("%s exclude each other", strings.Join(given, " and ")), cmd.CommandPath()+" --help")
		}
		return positional(cmd, args)
	}
	return cmd
}

func optionsGet(cmd *cobra.Command, o *options, slug string) error {
	info, err := o.client().Addon(cmd.Context(), slug, "")
	if err != nil {
		return addonError(cmd, slug, err)
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), struct {
			Options   api.AddonOptions `json:"options"`
			Overrides api.AddonOptions `json:"overrides"`
		}{info.Options, info.Overrides})
	}
	return printJSON(cmd.OutOrStdout(), info.Options) // JSON is YAML too
}

func optionsFile(stdin io.Reader, name string) (json.RawMessage, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read the options: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxOptionsFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the options in %s: %w", name, err)
	case len(b) > maxOptionsFile:
		return nil, fmt.Errorf("cannot read the options in %s: larger than %d bytes", name, maxOptionsFile)
	}
	options, err := addons.ParseOptions(name, b)
	if err != nil {
		return nil, fmt.Errorf("cannot read the options: %w", err)
	}
	return addons.MarshalOptions(options)
}

// optionsSet lays single options over what the owner set before.
func optionsSet(cmd *cobra.Command, o *options, slug string, set []string) (json.RawMessage, error) {
	info, err := o.client().Addon(cmd.Context(), slug, "")
	if err != nil {
		return nil, err
	}
	out := map[string]any(info.Overrides)
	if out == nil {
		out = map[string]any{}
	}
	for _, s := range set {
		key, text, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return nil, usage(fmt.Errorf("--set %q: want KEY=VALUE", s), "castellan addon options --help")
		}
		v, err := optionValue(text)
		if err != nil {
			return nil, usage(fmt.Errorf("--set %s: %w", key, err), "castellan addon options --help")
		}
		if err := place(out, info.Options, strings.Split(key, "."), v); err != nil {
			return nil, usage(fmt.Errorf("--set %s: %w", key, err), "castellan addon options "+slug+" --get")
		}
	}
	return addons.MarshalOptions(out)
}

// place puts v into out at path. now are the options in force, which say what is a dictionary.
func place(out, now map[string]any, path []string, v any) error {
	name := path[0]
	if len(path) == 1 {
		out[name] = v
		return nil
	}
	if name == "" || path[1] == "" {
		return errors.New("a name is missing beside a dot")
	}
	current, isSet := now[name]
	inner, isDict := current.(map[string]any)
	if isSet && current != nil && !isDict {
		return fmt.Errorf("%s is no dictionary; set the whole of it, or use --file", name)
	}
	below, ok := out[name].(map[string]any)
	if !ok {
		below = map[string]any{}
		out[name] = below
	}
	return place(below, inner, path[1:], v)
}

// optionValue reads text as YAML where that loses nothing: what only begins like a value ("1 # x", "- a") is text.
func optionValue(text string) (any, error) {
	fenced := text != "" && strings.ContainsRune(`"'[{`, rune(text[0]))
	if !fenced && strings.ContainsAny(text, "#\n\r&*!|>") {
		return text, nil
	}
	read, err := addons.ParseOptions("value.yaml", []byte("value: "+text))
	switch {
	case err != nil && fenced:
		return nil, fmt.Errorf("cannot read %.80q: %w", text, err)
	case err != nil, len(read) != 1:
		return text, nil
	}
	switch v := read["value"].(type) {
	case bool, int64, float64:
		return v, nil
	case nil:
		if text == "null" || text == "~" {
			return nil, nil
		}
		return text, nil
	default:
		if fenced {
			return v, nil
		}
		return text, nil
	}
}

// printKept says what became of a setting.
func printKept(cmd *cobra.Command, o *options, slug string, k api.Kept) error {
	if o.json {
		return printJSON(cmd.OutOrStdout(), k)
	}
	w := cmd.OutOrStdout()
	for _, name := range k.Dropped {
		fmt.Fprintf(w, "%s: there is no option %s; it was left out\n", slug, plain(name))
	}
	fmt.Fprintf(w, "%s: set\n", slug)
	if k.Restart {
		fmt.Fprintf(w, "It counts from the next start on.\nNext: castellan addon restart %s\n", slug)
	}
	return nil
}
