package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/trust"
)

func authenticateCommand(a *app) *cobra.Command {
	var b about
	var signers []string
	c := &cobra.Command{
		Use:     "authenticate ARTIFACT...",
		Aliases: []string{"a", "verify", "v"},
		Short:   "Tell whether artifacts are trusted; the exit code says it, too",
		Long: "The publishers whose word counts are those of --root and --signer, or yourself after `cas login`. The answer\n" +
			"comes from a verified replica of the ledger, which is brought up to date first; when that fails and the replica\n" +
			"is recent enough, it answers alone, with a warning.",
		RunE: func(cmd *cobra.Command, args []string) error {
			inputs, err := a.inputs(args, b.hash)
			if err != nil {
				return err
			}
			au, err := a.authority()
			if err != nil {
				return err
			}
			if signers, err = a.acceptedSigners(signers, au); err != nil {
				return err
			}
			ctx := cmd.Context()
			ev, evErr := a.openEvidence(ctx, au)
			if evErr == nil {
				defer ev.Close()
			}
			var list []verdict
			for _, in := range inputs {
				art, err := a.resolve(ctx, in)
				switch {
				case err != nil:
					list = append(list, errorVerdict(in, err))
					continue
				case evErr != nil:
					list = append(list, verdict{Input: in, Status: trust.Unavailable.String(), Exit: exitUnavailable,
						Digest: art.Subjects[0].Digest, Detail: evErr.Error()})
					continue
				}
				v := ev.judge(in, art, signers, time.Now())
				if v.Exit == exitTrusted {
					ev.compare(&v, art, b)
				}
				list = append(list, v)
			}
			return a.finish(list)
		},
	}
	b.flags(c)
	c.Flags().StringSliceVarP(&signers, "signer", "s", nil, "ID of a publisher to accept; may be repeated [CAS_SIGNER]")
	_ = c.Flags().MarkHidden("kind") // a digest is found whatever it is of
	return c
}

// acceptedSigners is the list to accept beside the root's publishers. Nobody at all is a mistake on the command line.
func (a *app) acceptedSigners(signers []string, au authority) ([]string, error) {
	if len(signers) > 0 || au.rooted {
		return signers, nil
	}
	s, err := a.loadSettings()
	if err != nil {
		return nil, err
	}
	if s.Publisher == "" {
		return nil, usagef("nobody is accepted: name publishers with --signer, or give --root")
	}
	return []string{s.Publisher}, nil
}
