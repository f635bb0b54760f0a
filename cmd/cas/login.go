package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

func loginCommand(a *app) *cobra.Command {
	var label, contact, origin string
	var names []string
	var noPassphrase bool
	c := &cobra.Command{
		Use:   "login",
		Short: "Become a publisher: make keys, and register with a ledger",
		Long: "Makes a root key (keep it off line), a working key (for CI), both sealed with a passphrase, and the publisher\n" +
			"document that binds them. With --ledger it is registered there. Run again, it registers what is there already.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.loadSettings()
			if err != nil {
				return err
			}
			ledger := trust.RootLedger{Origin: origin}
			if au, err := a.authority(); err == nil {
				ledger = au.ledger
			} else if origin == "" {
				return err
			}
			doc, env, err := a.loadPublisher()
			if errors.Is(err, fs.ErrNotExist) {
				doc = trust.Publisher{Ledger: ledger.Origin, Names: names, Label: label, Contact: contact}
				doc, env, err = a.becomePublisher(doc, noPassphrase)
			}
			if err != nil {
				return err
			}
			if doc.Ledger != ledger.Origin {
				return usagef("your publisher document is for ledger %q, this is %q; use another --home for another ledger", doc.Ledger, ledger.Origin)
			}
			s.Publisher = doc.ID
			if len(ledger.URLs) > 0 {
				s.Ledger = ledger.URLs[0]
			}
			if len(ledger.NoteKeys) > 0 {
				s.LedgerKey = ledger.NoteKeys[0]
			}
			if err := a.saveSettings(s); err != nil {
				return err
			}
			return a.register(cmd.Context(), ledger, doc, env)
		},
	}
	f := c.Flags()
	f.StringVar(&label, "label", "", "name for people")
	f.StringVar(&contact, "contact", "", "where to reach you")
	f.StringVar(&origin, "origin", "", "the ledger's origin, when its key is not known yet")
	f.StringSliceVar(&names, "name", nil, `repositories you speak for, as "ghcr.io/you/*" (default: no restriction)`)
	f.BoolVar(&noPassphrase, "no-passphrase", false, "leave the keys in clear: whoever reads the files is you")
	return c
}

// becomePublisher makes keys and version 1 of the publisher document. The document is written last: a cut before it
// leaves key files that are pointed out the next time, and nobody knows a publisher that has no keys.
func (a *app) becomePublisher(doc trust.Publisher, noPassphrase bool) (trust.Publisher, trust.Envelope, error) {
	fail := func(err error) (trust.Publisher, trust.Envelope, error) {
		return trust.Publisher{}, trust.Envelope{}, err
	}
	passphrase := ""
	if !noPassphrase {
		var err error
		if passphrase, err = a.newPassphrase(); err != nil {
			return fail(err)
		}
	}
	if err := durable.MkdirAll(a.path("keys"), 0o700); err != nil {
		return fail(fmt.Errorf("cannot make the key folder: %w", err))
	}
	keys := map[string]ed25519.PrivateKey{}
	for _, name := range []string{"root", "working"} {
		key, err := trust.NewKey()
		if err != nil {
			return fail(err)
		}
		if err := saveNewKey(a.path("keys", name+".key"), key, passphrase); err != nil {
			return fail(err)
		}
		keys[name] = key
	}
	pub := keys["root"].Public().(ed25519.PublicKey)
	doc.ID, doc.Version, doc.Threshold, doc.Root = trust.PublisherID(pub), 1, 1, pub
	doc.Keys = []trust.PublisherKey{publicKey(keys["working"], "")}
	env, err := signDocument(doc, keys["root"])
	if err != nil {
		return fail(err)
	}
	return doc, env, a.savePublisher(env)
}

func publicKey(key ed25519.PrivateKey, note string) trust.PublisherKey {
	pub := key.Public().(ed25519.PublicKey)
	return trust.PublisherKey{KeyID: trust.KeyID(pub), Pub: pub, Note: note}
}

func signDocument(doc trust.Publisher, keys ...ed25519.PrivateKey) (trust.Envelope, error) {
	payload, err := trust.EncodePublisher(doc)
	if err != nil {
		return trust.Envelope{}, err
	}
	return trust.Sign(trust.PublisherType, payload, keys...)
}

func (a *app) savePublisher(env trust.Envelope) error {
	b, err := env.Marshal()
	if err != nil {
		return err
	}
	return durable.WriteFile(a.path("publisher.json"), append(b, '\n'), 0o644)
}

// register sends the document when the ledger's address is known, and says who you are.
func (a *app) register(ctx context.Context, l trust.RootLedger, doc trust.Publisher, env trust.Envelope) error {
	var pos trust.Position
	if len(l.URLs) > 0 {
		list, err := postRecords(ctx, l, env)
		if err != nil {
			return fmt.Errorf("you are publisher %s, but not registered: %w", doc.ID, err)
		}
		pos = list[0]
	}
	if a.output == "json" {
		return a.printJSON(map[string]any{
			"publisher": doc.ID, "version": doc.Version, "ledger": doc.Ledger, "record": pos, "registered": len(l.URLs) > 0,
			"key": doc.Keys[len(doc.Keys)-1].KeyID,
		})
	}
	fmt.Fprintf(a.out, "publisher  %s\nledger     %s\n", doc.ID, doc.Ledger)
	if len(l.URLs) > 0 {
		fmt.Fprintf(a.out, "document   version %d, at %d/%d\n", doc.Version, pos.Tx, pos.Entry)
	} else {
		fmt.Fprintf(a.out, "not registered: run `cas login --ledger URL` when the ledger is up\n")
	}
	if _, err := os.Stat(a.path("keys", "root.key")); err == nil && a.rootFile == "" {
		fmt.Fprintf(a.out, "move %s off line; it is needed for key changes and --by-root only\n", a.path("keys", "root.key"))
	}
	return nil
}
