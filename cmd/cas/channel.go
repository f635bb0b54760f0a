package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/artifact"
)

// maxChannelFile is what a ledger server takes.
const maxChannelFile = 1 << 20

func channelCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "channel NAME FILE", Short: "Make FILE the current file of a channel: notarize it, and upload it to the ledger",
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, list []string) error {
			name, path := list[0], list[1]
			b, err := readChannelFile(path)
			if err != nil {
				return err
			}
			s, err := a.speaker(cmd.Context(), false)
			if err != nil {
				return err
			}
			defer s.close()
			art := artifact.Artifact{Kind: trust.KindChannel, Name: name, Size: int64(len(b)),
				Subjects: []trust.RecordSubject{{Name: name, Digest: trust.DigestOf(b)}}}
			v := s.say(cmd.Context(), path, art, word{status: trust.Trusted})
			if v.Exit == exitTrusted {
				// The record comes first: it is the right to upload. Appliances keep the former file until both are there.
				if _, err := post(cmd.Context(), s.ev.ledger, "/v1/files", b); err != nil {
					return fmt.Errorf("%s is notarized at %d/%d, but not uploaded: %w; run the same command again", path, v.Record.Tx, v.Record.Entry, err)
				}
			}
			return a.finish([]verdict{v})
		},
	}
}

// readChannelFile reads the file once, so that what is uploaded is what was notarized.
func readChannelFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read channel file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxChannelFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read channel file: %w", err)
	}
	if len(b) == 0 || len(b) > maxChannelFile {
		return nil, fmt.Errorf("cannot use channel file %s: it has %d bytes, want 1 to %d", path, len(b), maxChannelFile)
	}
	return b, nil
}
