package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// app is what all sub-commands share: streams, global flags, and the home folder.
//
// The home folder belongs to one person. keys/ holds his private keys, sealed unless he said otherwise; config.json
// and publisher.json are public, but whoever can write them chooses the ledger he signs for. ledgers/ holds replicas.
type app struct {
	in       io.Reader
	out, err io.Writer

	home, output      string
	ledgerURL         string
	ledgerKey         string
	rootPath          string
	keyFile, rootFile string
	plainHTTP         bool
}

// envFlags are the flags that an environment variable may set: CAS_ and the flag's name in capitals.
var envFlags = []string{"home", "output", "ledger", "ledger-key", "root", "key-file", "root-key-file", "signer", "plain-http"}

func (a *app) globalFlags(f *pflag.FlagSet) {
	f.StringVar(&a.home, "home", "", "folder of keys and replicas [CAS_HOME] (default: cas in the user's configuration folder)")
	f.StringVarP(&a.output, "output", "o", "table", "table, or json: one JSON object a line [CAS_OUTPUT]")
	f.StringVar(&a.ledgerURL, "ledger", "", "address of the ledger [CAS_LEDGER] (default: the one of login, or the root's)")
	f.StringVar(&a.ledgerKey, "ledger-key", "", "the ledger's verifier key, as `cas key ledger` prints it [CAS_LEDGER_KEY]")
	f.StringVar(&a.rootPath, "root", "", "root document, or folder of them, that says which ledgers and publishers count [CAS_ROOT]")
	f.StringVar(&a.keyFile, "key-file", "", "working key; CAS_KEY may hold the key itself [CAS_KEY_FILE] (default: the one of login)")
	f.StringVar(&a.rootFile, "root-key-file", "", "the publisher's root key [CAS_ROOT_KEY_FILE] (default: the one of login)")
	f.BoolVar(&a.plainHTTP, "plain-http", false, "speak http, not https, to image registries [CAS_PLAIN_HTTP]")
}

// prepare fills flags from the environment and checks the global ones.
func (a *app) prepare(cmd *cobra.Command) error {
	for _, name := range envFlags {
		f := cmd.Flags().Lookup(name)
		env := "CAS_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		v, ok := os.LookupEnv(env)
		if f == nil || f.Changed || !ok || v == "" {
			continue
		}
		if err := cmd.Flags().Set(name, v); err != nil {
			return usagef("environment variable %s: %w", env, err)
		}
	}
	if !slices.Contains([]string{"table", "json"}, a.output) {
		return usagef("--output %q is neither table nor json", a.output)
	}
	if a.home == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("cannot find a home for keys: %w; set CAS_HOME", err)
		}
		a.home = filepath.Join(dir, "cas")
	}
	return nil
}

// settings is config.json in the home folder, written by login.
type settings struct {
	Ledger    string `json:"ledger,omitzero"` // address
	LedgerKey string `json:"ledgerKey,omitzero"`
	Publisher string `json:"publisher,omitzero"`
}

func (a *app) path(parts ...string) string {
	return filepath.Join(append([]string{a.home}, parts...)...)
}

func (a *app) loadSettings() (settings, error) {
	var s settings
	b, err := os.ReadFile(a.path("config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s, json.RejectUnknownMembers(true))
	}
	if err != nil {
		return s, fmt.Errorf("cannot read settings %s: %w; correct it, or remove it and log in again", a.path("config.json"), err)
	}
	return s, nil
}

func (a *app) saveSettings(s settings) error {
	b, err := json.Marshal(s, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return durable.WriteFile(a.path("config.json"), append(b, '\n'), 0o600)
}

// authority is whom an answer rests on: a ledger, and the root document that names it, if one does.
type authority struct {
	ledger trust.RootLedger
	root   trust.Root
	rooted bool
	mirror string // asked for in place of the root's, "" = none
}

// authority finds the ledger from flags, environment, root document and login, in this order.
func (a *app) authority() (authority, error) {
	s, err := a.loadSettings()
	if err != nil {
		return authority{}, err
	}
	var au authority
	if a.rootPath != "" {
		if au.root, err = readRoot(a.rootPath); err != nil {
			return au, err
		}
		au.rooted = true
		if au.ledger, err = ledgerOfRoot(au.root, a.ledgerKey); err != nil {
			return au, err
		}
		if a.ledgerURL != "" {
			au.ledger.URLs, au.mirror = []string{a.ledgerURL}, a.ledgerURL
		}
		return au, nil
	}
	key, url := a.ledgerKey, a.ledgerURL
	if key == "" {
		key = s.LedgerKey
	}
	if url == "" {
		url = s.Ledger
	}
	if key == "" {
		return au, usagef("no ledger is known: give --root, or --ledger and --ledger-key, or run `cas login` first")
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		return au, usagef("--ledger-key %.100q is not a verifier key: %w", key, err)
	}
	au.ledger = trust.RootLedger{Origin: v.Name(), NoteKeys: []string{key}}
	if url != "" {
		au.ledger.URLs = []string{url}
	}
	return au, nil
}

// readRoot reads a folder of root documents to its newest, or a single first one.
func readRoot(path string) (trust.Root, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return trust.Root{}, fmt.Errorf("cannot read root document: %w", err)
	}
	if fi.IsDir() {
		list, err := trust.LoadRoots(path)
		if err != nil {
			return trust.Root{}, err
		}
		return list[len(list)-1], nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return trust.Root{}, fmt.Errorf("cannot read root document: %w", err)
	}
	r, err := trust.VerifyFirstRoot(b)
	if err != nil {
		return r, fmt.Errorf("cannot believe root document %s: %w", path, err)
	}
	return r, nil
}

// ledgerOfRoot is the ledger that key belongs to, or the first of the root.
func ledgerOfRoot(r trust.Root, key string) (trust.RootLedger, error) {
	for _, l := range r.Ledgers {
		if key == "" || slices.Contains(l.NoteKeys, key) {
			return l, nil
		}
	}
	return trust.RootLedger{}, usagef("root version %d names no ledger with this --ledger-key", r.Version)
}

// replicaDir is the folder of a ledger's replica: beside the keys when a home was named, else in the user's cache.
func (a *app) replicaDir(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	name := hex.EncodeToString(sum[:8])
	if os.Getenv("CAS_HOME") == "" {
		if cache, err := os.UserCacheDir(); err == nil {
			if config, err := os.UserConfigDir(); err == nil && a.home == filepath.Join(config, "cas") {
				return filepath.Join(cache, "cas", "ledgers", name)
			}
		}
	}
	return a.path("ledgers", name)
}
