package main

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/artifact"
)

// about are the flags of every command that says something about artifacts.
type about struct {
	hash, kind, name, version string
}

func (b *about) flags(c *cobra.Command) {
	c.Flags().StringVar(&b.hash, "hash", "", "a sha256 digest in place of an artifact")
	c.Flags().StringVar(&b.kind, "kind", "", "kind of a digest given by hand: image or file")
	c.Flags().StringVar(&b.name, "name", "", "name in place of the artifact's own")
	c.Flags().StringVar(&b.version, "version", "", "version in place of the artifact's own")
}

// inputs are the artifacts of a command line: its arguments, "-" for one a line on standard input, and --hash.
func (a *app) inputs(args []string, hash string) ([]string, error) {
	var list []string
	for _, arg := range args {
		if arg != "-" {
			list = append(list, arg)
			continue
		}
		in := bufio.NewScanner(a.in)
		for in.Scan() {
			if line := strings.TrimSpace(in.Text()); line != "" {
				list = append(list, line)
			}
		}
		if err := in.Err(); err != nil {
			return nil, fmt.Errorf("cannot read artifacts from standard input: %w", err)
		}
	}
	if hash != "" {
		d, err := artifact.FromDigest(hash)
		if err != nil {
			return nil, usagef("--hash: %w", err)
		}
		list = append(list, string(d.Subjects[0].Digest))
	}
	if len(list) == 0 {
		return nil, usagef("no artifact is named")
	}
	return list, nil
}

func (a *app) resolve(ctx context.Context, input string) (artifact.Artifact, error) {
	return artifact.Resolve(ctx, input, artifact.Options{PlainHTTP: a.plainHTTP})
}

func notarizeCommand(a *app) *cobra.Command {
	var b about
	var ci bool
	c := &cobra.Command{
		Use:     "notarize ARTIFACT...",
		Aliases: []string{"n", "sign", "s"},
		Short:   "Say that artifacts are TRUSTED",
		Long: "An ARTIFACT is an image reference, docker://REF for an image of the local engine, file://PATH or a path,\n" +
			"sha256:HEX with --name, or - to read them from standard input.",
		RunE: func(cmd *cobra.Command, args []string) error {
			w := word{status: trust.Trusted}
			if ci {
				w.metadata = ciMetadata()
			}
			return a.sayAll(cmd.Context(), args, b, w, false)
		},
	}
	b.flags(c)
	c.Flags().BoolVar(&ci, "ci", false, "add where it was built, from a short list of public CI variables")
	return c
}

// sayAll says one word about all inputs.
func (a *app) sayAll(ctx context.Context, args []string, b about, w word, byRoot bool) error {
	inputs, err := a.inputs(args, b.hash)
	if err != nil {
		return err
	}
	if b.kind != "" && !slices.Contains([]string{trust.KindImage, trust.KindFile}, b.kind) {
		return usagef("--kind %q is neither image nor file", b.kind)
	}
	if len(inputs) > 1 && b.name != "" {
		return usagef("--name goes with one artifact, there are %d", len(inputs))
	}
	w.kind, w.name, w.version = b.kind, b.name, b.version
	s, err := a.speaker(ctx, byRoot)
	if err != nil {
		return err
	}
	defer s.close()
	var list []verdict
	for _, in := range inputs {
		art, err := a.resolve(ctx, in)
		if err != nil {
			list = append(list, errorVerdict(in, err))
			continue
		}
		list = append(list, s.say(ctx, in, art, w))
	}
	return a.finish(list)
}
