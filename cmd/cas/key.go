package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

func keyCommand(a *app) *cobra.Command {
	return group("key", "Make and change keys", newKeyCommand(a), ledgerKeyCommand(a), rotateCommand(a))
}

func newKeyCommand(a *app) *cobra.Command {
	var noPassphrase bool
	c := &cobra.Command{
		Use: "new FILE", Short: "Make an ed25519 key, as for a root document, and print its public half",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			passphrase := ""
			if !noPassphrase {
				var err error
				if passphrase, err = a.newPassphrase(); err != nil {
					return err
				}
			}
			key, err := trust.NewKey()
			if err != nil {
				return err
			}
			if err := saveNewKey(files[0], key, passphrase); err != nil {
				return err
			}
			k := publicKey(key, "")
			pub := base64.StdEncoding.EncodeToString(k.Pub)
			if a.output == "json" {
				return a.printJSON(map[string]string{"kid": k.KeyID, "pub": pub})
			}
			fmt.Fprintln(a.out, pub)
			return nil
		},
	}
	c.Flags().BoolVar(&noPassphrase, "no-passphrase", false, "leave the key in clear")
	return c
}

func ledgerKeyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "ledger ORIGIN FILE", Short: "Make the note key of a new ledger, and print its verifier key",
		Long: "ORIGIN is the ledger's name for ever, as ledger.example.org/main. FILE gets the secret, for `cas serve --key`.\n" +
			"The verifier key, which is printed, goes into the root document and to `cas login --ledger-key`.",
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, list []string) error {
			secret, verifier, err := note.GenerateKey(nil, list[0])
			if err != nil {
				return usagef("cannot make a key for origin %q: %w", list[0], err)
			}
			if _, err := note.NewSigner(secret); err != nil {
				return usagef("%q is not an origin: %w", list[0], err)
			}
			if err := writeNewSecret(list[1], []byte(secret+"\n")); err != nil {
				return err
			}
			if a.output == "json" {
				return a.printJSON(map[string]string{"origin": list[0], "verifier": verifier})
			}
			fmt.Fprintln(a.out, verifier)
			return nil
		},
	}
}

func rotateCommand(a *app) *cobra.Command {
	var compromised, noPassphrase bool
	var cutoff uint64
	c := &cobra.Command{
		Use: "rotate", Short: "Replace the working key, and revoke the old one",
		Long: "Registers a new publisher document, signed by the root key. What the old key signed up to the cut-off stays good:\n" +
			"by default all that is in the ledger now; with --compromised nothing, unless --cutoff vouches for a beginning.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.rotator(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			reason := trust.Superseded
			if compromised {
				reason = trust.Compromised
			} else if !cmd.Flags().Changed("cutoff") {
				if s.ev.syncErr != nil {
					return fmt.Errorf("cannot choose a cut-off: %w; repeat when the ledger answers, or give --cutoff", s.ev.syncErr)
				}
				head, err := s.ev.Head()
				if err != nil {
					return err
				}
				cutoff = head.Count
			}
			return s.rotate(cmd.Context(), trust.Revocation{Reason: reason, Cutoff: cutoff}, noPassphrase)
		},
	}
	c.Flags().BoolVar(&compromised, "compromised", false, "somebody else may have the old key")
	c.Flags().Uint64Var(&cutoff, "cutoff", 0, "last transaction whose records by the old key stay good")
	c.Flags().BoolVar(&noPassphrase, "no-passphrase", false, "leave the new key in clear")
	return c
}

// rotator is a speaker with the root key alone: the working key may be lost.
func (a *app) rotator(ctx context.Context) (*speaker, error) {
	doc, env, err := a.loadPublisher()
	if err != nil {
		return nil, err
	}
	root, err := a.publisherRootKey()
	if err != nil {
		return nil, err
	}
	au, err := a.authority()
	if err != nil {
		return nil, err
	}
	ev, err := a.openEvidence(ctx, au)
	if err != nil {
		return nil, err
	}
	s := &speaker{keys: []ed25519.PrivateKey{root}, ev: ev, app: a}
	s.doc, s.env = ev.newestDocument(doc, env)
	return s, nil
}

// rotate registers the next document with a new working key in place of all old ones. The new key is on disk before
// the document is registered, under a name of its own until then; publisher.json comes last. A rotation that was cut
// off, or whose answer was lost, is finished by the next one: it has the key, and the ledger has the document.
func (s *speaker) rotate(ctx context.Context, how trust.Revocation, noPassphrase bool) error {
	if done, err := s.finishRotation(); done || err != nil {
		return err
	}
	next := s.doc
	next.Version, next.Prev = s.doc.Version+1, trust.DigestOf(s.env.Payload)
	key, err := s.freshKey(next.Version, noPassphrase)
	if err != nil {
		return err
	}
	next.Revoked = slices.Clone(s.doc.Revoked)
	for _, k := range s.doc.Keys {
		next.Revoked = append(next.Revoked, trust.Revocation{KeyID: k.KeyID, Reason: how.Reason, Cutoff: how.Cutoff})
	}
	next.Keys = []trust.PublisherKey{publicKey(key, "")}
	env, err := signDocument(next, s.keys...)
	if err != nil {
		return err
	}
	pos, err := postRecords(ctx, s.ev.ledger, env)
	if err != nil {
		return err
	}
	if err := s.install(next.Version, env); err != nil {
		return err
	}
	if s.app.output == "json" {
		return s.app.printJSON(map[string]any{"publisher": next.ID, "version": next.Version, "key": next.Keys[0].KeyID, "cutoff": how.Cutoff, "record": pos[0]})
	}
	fmt.Fprintf(s.app.out, "publisher  %s\ndocument   version %d, at %d/%d\nold key    revoked, %s, good up to transaction %d\n",
		next.ID, next.Version, pos[0].Tx, pos[0].Entry, how.Reason, how.Cutoff)
	return nil
}

// freshKeyPath is where the key of a document version waits until the document is registered.
func (a *app) freshKeyPath(version int) string {
	return a.path("keys", fmt.Sprintf("working-%d.key", version))
}

// freshKey is the key for a document version: the one that an earlier try left, whose document may have been
// registered without our knowing, or a new one.
func (s *speaker) freshKey(version int, noPassphrase bool) (ed25519.PrivateKey, error) {
	path := s.app.freshKeyPath(version)
	if _, err := os.Stat(path); err == nil {
		return s.app.openKey(path)
	}
	passphrase := ""
	if !noPassphrase {
		var err error
		if passphrase, err = s.app.newPassphrase(); err != nil {
			return nil, err
		}
	}
	key, err := trust.NewKey()
	if err != nil {
		return nil, err
	}
	return key, saveNewKey(path, key, passphrase)
}

// finishRotation puts the key of the newest document in its place when it still waits there.
func (s *speaker) finishRotation() (done bool, err error) {
	path := s.app.freshKeyPath(s.doc.Version)
	if _, err := os.Stat(path); err != nil {
		return false, nil
	}
	key, err := s.app.openKey(path)
	if err != nil {
		return false, err
	}
	id := publicKey(key, "").KeyID
	if !slices.ContainsFunc(s.doc.Keys, func(k trust.PublisherKey) bool { return k.KeyID == id }) {
		return false, fmt.Errorf("cannot rotate: %s is not a key of your newest document, version %d, which another machine registered; move it away",
			path, s.doc.Version)
	}
	if err := s.install(s.doc.Version, s.env); err != nil {
		return false, err
	}
	if s.app.output == "json" {
		return true, s.app.printJSON(map[string]any{"publisher": s.doc.ID, "version": s.doc.Version, "key": id, "finished": true})
	}
	fmt.Fprintf(s.app.out, "publisher  %s\ndocument   version %d, registered by a rotation that was cut off and is finished now\n", s.doc.ID, s.doc.Version)
	return true, nil
}

// install makes the key of a registered document the working key. It can run again wherever it was cut off.
func (s *speaker) install(version int, env trust.Envelope) error {
	working := s.app.path("keys", "working.key")
	if _, err := os.Stat(working); err == nil {
		if err := durable.Rename(working, s.app.path("keys", fmt.Sprintf("working-%d.revoked", version-1))); err != nil {
			return err
		}
	}
	if err := durable.Rename(s.app.freshKeyPath(version), working); err != nil {
		return err
	}
	return s.app.savePublisher(env)
}
