package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/trust"
)

// entry is one record, shown with what its signatures are worth. Nobody has to be accepted to be shown.
type entry struct {
	Record    trust.Position    `json:"record"`
	Status    trust.Status      `json:"status"`
	Publisher string            `json:"publisher"`
	Label     string            `json:"label,omitempty"`
	Signature string            `json:"signature"` // good, good (root key), key revoked, bad
	Kind      string            `json:"kind"`
	Name      string            `json:"name"`
	Version   string            `json:"version,omitempty"`
	UID       string            `json:"uid"`
	SignedAt  time.Time         `json:"signedAt"`
	Severity  trust.Severity    `json:"severity,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Subjects  []subject         `json:"subjects"`
	Metadata  map[string]string `json:"metadata,omitempty"`
}

type subject struct {
	Digest   trust.Digest `json:"digest"`
	Role     string       `json:"role,omitempty"`
	Platform string       `json:"platform,omitempty"`
	Name     string       `json:"name,omitempty"`
}

func inspectCommand(a *app) *cobra.Command {
	var hash string
	c := &cobra.Command{
		Use: "inspect ARTIFACT...", Aliases: []string{"i"}, Short: "Show every record about artifacts, whoever made it",
		RunE: func(cmd *cobra.Command, list []string) error {
			inputs, err := a.inputs(list, hash)
			if err != nil {
				return err
			}
			ev, err := a.inspection(cmd)
			if err != nil {
				return err
			}
			defer ev.Close()
			var found []trust.PlacedNotarization
			for _, in := range inputs {
				art, err := a.resolve(cmd.Context(), in)
				if err != nil {
					return err
				}
				for _, d := range art.Digests() {
					records, err := ev.ByDigest(d)
					if err != nil {
						return err
					}
					found = append(found, slices.DeleteFunc(slices.Clone(records), func(p trust.PlacedNotarization) bool {
						return !slices.ContainsFunc(p.Notarization.Subjects, func(s trust.RecordSubject) bool { return s.Digest == d })
					})...)
				}
			}
			return a.showRecords(ev, found)
		},
	}
	c.Flags().StringVar(&hash, "hash", "", "a sha256 digest in place of an artifact")
	return c
}

func listCommand(a *app) *cobra.Command {
	var kind, name, version string
	c := &cobra.Command{
		Use: "list NAME", Aliases: []string{"ls"}, Short: "Show every record under a name: a repository, a file name, a channel",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error {
			name = list[0]
			ev, err := a.inspection(cmd)
			if err != nil {
				return err
			}
			defer ev.Close()
			records, err := ev.ByName(kind, name, version)
			if err != nil {
				return err
			}
			return a.showRecords(ev, slices.DeleteFunc(slices.Clone(records), func(p trust.PlacedNotarization) bool {
				n := p.Notarization
				return n.Kind != kind || n.Name != name || version != "" && n.Version != version
			}))
		},
	}
	c.Flags().StringVar(&kind, "kind", trust.KindImage, "kind of the records")
	c.Flags().StringVar(&version, "version", "", "only this version")
	return c
}

// inspection opens the replica for reading only.
func (a *app) inspection(cmd *cobra.Command) (*evidence, error) {
	au, err := a.authority()
	if err != nil {
		return nil, err
	}
	ev, err := a.openEvidence(cmd.Context(), au)
	if err != nil {
		return nil, err
	}
	head, err := ev.Head()
	if err == nil && head.Time.IsZero() {
		err = fmt.Errorf("cannot read ledger %s: it was never reached: %w", au.ledger.Origin, ev.syncErr)
	}
	if err != nil {
		return nil, errors.Join(err, ev.Close())
	}
	if ev.syncErr != nil {
		a.warn("the ledger's newest records are not shown: %v", ev.syncErr)
	}
	return ev, nil
}

func (a *app) showRecords(ev *evidence, records []trust.PlacedNotarization) error {
	slices.SortFunc(records, func(x, y trust.PlacedNotarization) int {
		if x.Pos.Before(y.Pos) {
			return -1
		}
		if y.Pos.Before(x.Pos) {
			return 1
		}
		return 0
	})
	records = slices.CompactFunc(records, func(x, y trust.PlacedNotarization) bool { return x.Pos == y.Pos })
	t := a.table("POSITION", "STATUS", "SIGNATURE", "PUBLISHER", "NAME", "VERSION", "SIGNED", "NOTE")
	for _, p := range records {
		e, err := describe(ev, p)
		if err != nil {
			return err
		}
		if a.output == "json" {
			if err := a.printJSON(e); err != nil {
				return err
			}
			continue
		}
		t.AppendRow([]any{fmt.Sprintf("%d/%d", e.Record.Tx, e.Record.Entry), e.Status, e.Signature, strings.TrimSpace(e.Publisher + " " + clean(e.Label)),
			clean(e.Name), clean(e.Version), e.SignedAt.Format("2006-01-02 15:04"), clean(strings.TrimSpace(string(e.Severity) + " " + e.Reason))})
	}
	if a.output != "json" {
		t.Render()
	}
	if len(records) == 0 {
		return &verdictError{exitUnknown}
	}
	return nil
}

func describe(ev *evidence, p trust.PlacedNotarization) (entry, error) {
	n := p.Notarization
	chain, err := ev.PublisherChain(n.Publisher)
	if err != nil {
		return entry{}, err
	}
	e := entry{
		Record: p.Pos, Status: n.Status, Publisher: n.Publisher, Kind: n.Kind, Name: n.Name, Version: n.Version, UID: fmt.Sprint(n.UID),
		SignedAt: time.Unix(n.SignedAt, 0).UTC(), Severity: n.Severity, Reason: n.Reason, Metadata: n.Metadata,
	}
	for _, s := range n.Subjects {
		e.Subjects = append(e.Subjects, subject{s.Digest, s.Role, s.Platform, s.Name})
	}
	if len(chain) > 0 {
		e.Label = chain[len(chain)-1].Publisher.Label
	}
	signers, err := trust.VerifyNotarization(chain, p)
	switch {
	case errors.Is(err, trust.ErrSignerRevoked):
		e.Signature = "key revoked"
	case err != nil:
		e.Signature = "bad"
	case signers.ByRoot:
		e.Signature = "good (root key)"
	default:
		e.Signature = "good"
	}
	return e, nil
}
