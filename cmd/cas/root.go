package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

func rootCommand(a *app) *cobra.Command {
	return group("root", "Make, sign and show root documents", rootInitCommand(a), rootSignCommand(a), rootShowCommand(a))
}

// rootFlags describe a root document.
type rootFlags struct {
	keys, pubs, ledgerURLs, core, security, preload []string
	threshold                                       int
	expires, warn, max                              time.Duration
	minimum, resume                                 string
	next                                            bool
}

func rootInitCommand(a *app) *cobra.Command {
	var r rootFlags
	c := &cobra.Command{
		Use: "init DIR", Short: "Make DIR/1.json, or with --next the version after the newest in DIR",
		Long: "The first version says which keys make root documents (--key, and --pub for keys of others), which ledger counts\n" +
			"(--ledger-key with one --url for each mirror) and which publishers (--core, --security, --preload NAME=ID).\n" +
			"With --next all that is not given stays as it was.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, dirs []string) error { return a.rootInit(cmd, dirs[0], r) },
	}
	f := c.Flags()
	f.StringArrayVar(&r.keys, "key", nil, "private root key to sign with; its public half becomes a root key")
	f.StringArrayVar(&r.pubs, "pub", nil, "public root key of somebody else, as `cas key new` prints it")
	f.IntVar(&r.threshold, "threshold", 1, "how many root keys must sign")
	f.DurationVar(&r.expires, "expires-in", 365*24*time.Hour, "how long the document is good")
	f.StringArrayVar(&r.ledgerURLs, "url", nil, "address of the ledger; may be repeated")
	f.StringArrayVar(&r.core, "core", nil, "publisher whose word counts for core, supervisor and channels")
	f.StringArrayVar(&r.security, "security", nil, "publisher whose withdrawals count for everything")
	f.StringArrayVar(&r.preload, "preload", nil, "NAME=PUBLISHER: who must have signed a repository")
	f.StringVar(&r.minimum, "minimum", "", "COUNT,ALH: history that every replica must contain")
	f.StringVar(&r.resume, "resume", "", "COUNT,ALH: where the ledger continues after a break")
	f.DurationVar(&r.warn, "warn-after", 0, "ledger age that warns (default 48h)")
	f.DurationVar(&r.max, "max-age", 0, "ledger age that defers (default 336h)")
	f.BoolVar(&r.next, "next", false, "make the next version")
	return c
}

func (a *app) rootInit(cmd *cobra.Command, dir string, f rootFlags) error {
	var doc trust.Root
	var prev *trust.Root
	if f.next {
		list, err := trust.LoadRoots(dir)
		if err != nil {
			return err
		}
		prev = &list[len(list)-1]
		doc = *prev
	}
	doc.Version++
	doc.Expires = time.Now().Add(f.expires).Truncate(time.Second).UTC()
	var signers []ed25519.PrivateKey
	for _, path := range f.keys {
		key, err := a.openKey(path)
		if err != nil {
			return err
		}
		signers = append(signers, key)
	}
	if len(signers) == 0 {
		return usagef("--key is missing: somebody must sign")
	}
	if err := f.apply(&doc, signers, a.ledgerKey, cmd.Flags().Changed); err != nil {
		return err
	}
	payload, err := trust.EncodeRoot(doc)
	if err != nil {
		return err
	}
	env, err := trust.Sign(trust.RootType, payload, signers...)
	if err != nil {
		return err
	}
	b, err := env.Marshal()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, strconv.Itoa(doc.Version)+".json")
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("cannot write %s: it exists; say --next for a new version", path)
	}
	if complete(prev, b) != nil {
		path += ".unsigned" // an appliance must never meet it before it is complete
	}
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := durable.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return a.reportRoot(path, doc, env)
}

// complete tells whether a root document has all signatures it needs.
func complete(prev *trust.Root, env []byte) error {
	if prev == nil {
		_, err := trust.VerifyFirstRoot(env)
		return err
	}
	_, err := trust.VerifyNextRoot(*prev, env)
	return err
}

// apply puts what was given into the document.
func (f rootFlags) apply(doc *trust.Root, signers []ed25519.PrivateKey, ledgerKey string, given func(string) bool) error {
	if doc.Version == 1 || len(f.pubs) > 0 {
		doc.Keys = nil
		for _, k := range signers {
			doc.Keys = append(doc.Keys, publicKey(k, ""))
		}
		for _, s := range f.pubs {
			pub, err := base64.StdEncoding.DecodeString(s)
			if err != nil || len(pub) != ed25519.PublicKeySize {
				return usagef("--pub %.60q is not a public key", s)
			}
			if k := (trust.PublisherKey{KeyID: trust.KeyID(pub), Pub: pub}); !slices.ContainsFunc(doc.Keys, func(o trust.PublisherKey) bool { return o.KeyID == k.KeyID }) {
				doc.Keys = append(doc.Keys, k)
			}
		}
	}
	if doc.Version == 1 || given("threshold") {
		doc.Threshold = f.threshold
	}
	if len(f.core) > 0 {
		doc.Core = f.core
	}
	if len(f.security) > 0 {
		doc.Security = f.security
	}
	if f.warn > 0 {
		doc.Warn = f.warn
	}
	if f.max > 0 {
		doc.Max = f.max
	}
	for _, s := range f.preload {
		name, id, ok := strings.Cut(s, "=")
		if !ok {
			return usagef("--preload %q: want NAME=PUBLISHER", s)
		}
		doc.Preload = append(slices.DeleteFunc(slices.Clone(doc.Preload), func(p trust.Preload) bool { return p.Name == name }),
			trust.Preload{Name: name, Publisher: id})
	}
	return f.applyLedger(doc, ledgerKey)
}

func (f rootFlags) applyLedger(doc *trust.Root, key string) error {
	doc.Ledgers = slices.Clone(doc.Ledgers)
	if key != "" {
		v, err := note.NewVerifier(key)
		if err != nil {
			return usagef("--ledger-key %.100q is not a verifier key: %w", key, err)
		}
		i := slices.IndexFunc(doc.Ledgers, func(l trust.RootLedger) bool { return l.Origin == v.Name() })
		if i < 0 {
			doc.Ledgers = append(doc.Ledgers, trust.RootLedger{Origin: v.Name()})
			i = len(doc.Ledgers) - 1
		}
		if !slices.Contains(doc.Ledgers[i].NoteKeys, key) {
			doc.Ledgers[i].NoteKeys = append(slices.Clone(doc.Ledgers[i].NoteKeys), key)
		}
		// The flags below speak of the ledger whose key was given.
		doc.Ledgers[0], doc.Ledgers[i] = doc.Ledgers[i], doc.Ledgers[0]
	}
	if len(doc.Ledgers) == 0 {
		return usagef("--ledger-key is missing: a root names at least one ledger")
	}
	l := &doc.Ledgers[0]
	if len(f.ledgerURLs) > 0 {
		l.URLs = f.ledgerURLs
	}
	if f.minimum != "" {
		a, err := parseAnchor("--minimum", f.minimum)
		if err != nil {
			return err
		}
		l.Minimum = a
	}
	if f.resume != "" {
		a, err := parseAnchor("--resume", f.resume)
		if err != nil {
			return err
		}
		l.Resume = &a
	}
	return nil
}

func parseAnchor(flag, s string) (trust.Anchor, error) {
	count, alh, ok := strings.Cut(s, ",")
	n, err := strconv.ParseUint(count, 10, 64)
	d, digestErr := trust.ParseDigest(alh)
	if !ok || errors.Join(err, digestErr) != nil {
		return trust.Anchor{}, usagef("%s %q: want COUNT,sha256:HEX", flag, s)
	}
	return trust.Anchor{Count: n, Alh: d}, nil
}

func rootSignCommand(a *app) *cobra.Command {
	var keys []string
	c := &cobra.Command{
		Use: "sign FILE", Short: "Add signatures to a root document; N.json.unsigned becomes N.json when they are enough",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(keys) == 0 {
				return usagef("--key is missing")
			}
			return a.rootSign(files[0], keys)
		},
	}
	c.Flags().StringArrayVar(&keys, "key", nil, "private root key; may be repeated")
	return c
}

func (a *app) rootSign(path string, keys []string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read root document: %w", err)
	}
	env, err := trust.ParseEnvelope(b)
	if err != nil || env.PayloadType != trust.RootType {
		return errors.Join(fmt.Errorf("cannot sign %s: it is not a root document", path), err)
	}
	doc, err := trust.ParseRoot(env.Payload)
	if err != nil {
		return err
	}
	for _, k := range keys {
		key, err := a.openKey(k)
		if err != nil {
			return err
		}
		if env, err = env.SignAlso(key); err != nil {
			return err
		}
	}
	if b, err = env.Marshal(); err != nil {
		return err
	}
	if err := durable.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return err
	}
	if final, ok := strings.CutSuffix(path, ".unsigned"); ok {
		var prev *trust.Root
		if doc.Version > 1 {
			list, err := trust.LoadRoots(filepath.Dir(path))
			if err != nil {
				return err
			}
			prev = &list[len(list)-1]
		}
		if complete(prev, b) == nil {
			if err := durable.Rename(path, final); err != nil {
				return err
			}
			path = final
		}
	}
	return a.reportRoot(path, doc, env)
}

func (a *app) reportRoot(path string, doc trust.Root, env trust.Envelope) error {
	done := !strings.HasSuffix(path, ".unsigned")
	if a.output == "json" {
		return a.printJSON(map[string]any{"file": path, "version": doc.Version, "signatures": len(env.Signatures), "threshold": doc.Threshold, "complete": done})
	}
	fmt.Fprintf(a.out, "%s: version %d, %d signatures, threshold %d\n", path, doc.Version, len(env.Signatures), doc.Threshold)
	if !done {
		fmt.Fprintf(a.out, "not complete: the other holders run `cas root sign %s --key FILE`\n", path)
	}
	return nil
}

func rootShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show FILE|DIR", Short: "Verify and print a root document, or the newest of a folder",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error {
			doc, err := readRoot(list[0])
			if err != nil {
				return err
			}
			payload, err := trust.EncodeRoot(doc)
			if err != nil {
				return err
			}
			if a.output == "json" {
				_, err = fmt.Fprintf(a.out, "%s\n", bytes.TrimSpace(payload))
				return err
			}
			a.showRoot(doc)
			return nil
		},
	}
}

func (a *app) showRoot(doc trust.Root) {
	t := a.table("FIELD", "VALUE")
	row := func(field, format string, args ...any) {
		t.AppendRow([]any{field, clean(fmt.Sprintf(format, args...))})
	}
	row("version", "%d", doc.Version)
	row("expires", "%s", doc.Expires.Format(time.RFC3339))
	row("threshold", "%d of %d keys", doc.Threshold, len(doc.Keys))
	for _, k := range doc.Keys {
		row("key", "%s %s", k.KeyID, k.Note)
	}
	for _, l := range doc.Ledgers {
		row("ledger", "%s", l.Origin)
		for _, k := range l.NoteKeys {
			row("  key", "%s", k)
		}
		for _, u := range l.URLs {
			row("  url", "%s", u)
		}
		if l.Minimum.Count > 0 {
			row("  minimum", "%d,%s", l.Minimum.Count, l.Minimum.Alh)
		}
		if l.Resume != nil {
			row("  resume", "%d,%s", l.Resume.Count, l.Resume.Alh)
		}
	}
	for _, id := range doc.Core {
		row("core", "%s", id)
	}
	for _, id := range doc.Security {
		row("security", "%s", id)
	}
	for _, p := range doc.Preload {
		row("preload", "%s = %s", p.Name, p.Publisher)
	}
	for _, tr := range doc.Transfers {
		row("transfer", "%s from version %d", tr.Publisher, tr.Version)
	}
	t.Render()
}
