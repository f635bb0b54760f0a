package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/term"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// workingKey is the key that signs notarizations: --key-file, CAS_KEY with the key itself, or the one of login.
func (a *app) workingKey() (ed25519.PrivateKey, error) {
	if a.keyFile == "" {
		if content := os.Getenv("CAS_KEY"); content != "" {
			key, err := trust.OpenKey([]byte(content), func() (string, error) { return a.passphrase("CAS_KEY") })
			if err != nil {
				return nil, fmt.Errorf("environment variable CAS_KEY: %w", err)
			}
			return key, nil
		}
	}
	path := a.keyFile
	if path == "" {
		path = a.path("keys", "working.key")
	}
	return a.openKey(path)
}

// publisherRootKey is the publisher's root key, which may be kept off line and named by --root-key-file.
func (a *app) publisherRootKey() (ed25519.PrivateKey, error) {
	path := a.rootFile
	if path == "" {
		path = a.path("keys", "root.key")
	}
	return a.openKey(path)
}

func (a *app) openKey(path string) (ed25519.PrivateKey, error) {
	b, err := readSecret(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; run `cas login`, or name the key file", err)
		}
		return nil, fmt.Errorf("cannot open key: %w", err)
	}
	key, err := trust.OpenKey(b, func() (string, error) { return a.passphrase(path) })
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return key, nil
}

// readSecret reads a small file that nobody else may write. A private key that others can read is pointed out by
// its permissions where it is made; CI systems mount secrets with all kinds of them.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s may be written by others; run chmod 600 on it", path)
	}
	const limit = 64 << 10
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if len(b) > limit {
		return nil, fmt.Errorf("%s is too long for a key", path)
	}
	return b, nil
}

// passphrase asks on the terminal, unless the environment has it.
func (a *app) passphrase(what string) (string, error) {
	if s, ok := passphraseFromEnv(); ok {
		return s, nil
	}
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", errors.New("it is sealed: set CAS_KEY_PASSPHRASE, or run on a terminal")
	}
	fmt.Fprintf(a.err, "Passphrase for %s: ", what)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(a.err)
	if err != nil {
		return "", fmt.Errorf("cannot read passphrase: %w", err)
	}
	return string(b), nil
}

// newPassphrase asks twice for a passphrase that seals new keys.
func (a *app) newPassphrase() (string, error) {
	s, err := a.passphrase("the new keys (12 characters or more)")
	if err != nil {
		return "", fmt.Errorf("cannot seal the new keys: %w; or say --no-passphrase", err)
	}
	if len(s) < 12 {
		return "", errors.New("cannot seal the new keys: the passphrase is shorter than 12 characters")
	}
	if _, fromEnv := passphraseFromEnv(); fromEnv {
		return s, nil
	}
	again, err := a.passphrase("the new keys, once more")
	if err != nil {
		return "", err
	}
	if s != again {
		return "", errors.New("cannot seal the new keys: the passphrases differ")
	}
	return s, nil
}

// saveNewKey writes a key that must not exist yet; passphrase "" leaves it in clear.
func saveNewKey(path string, key ed25519.PrivateKey, passphrase string) error {
	encode := func() ([]byte, error) { return trust.SealKey(key, passphrase) }
	if passphrase == "" {
		encode = func() ([]byte, error) { return trust.EncodeKey(key) }
	}
	b, err := encode()
	if err != nil {
		return err
	}
	return writeNewSecret(path, b)
}

func writeNewSecret(path string, b []byte) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("cannot write %s: it exists, and a key is never overwritten; move it away first", path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return durable.WriteFile(path, b, 0o600)
}
