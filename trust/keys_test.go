package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
)

func word(s string) func() (string, error) { return func() (string, error) { return s, nil } }

func TestSealedKeyOpensWithItsPassphraseOnly(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := SealKey(key, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !KeySealed(sealed) || bytes.Contains(sealed, []byte(pemType)) {
		t.Fatalf("not sealed:\n%s", sealed)
	}
	got, err := OpenKey(sealed, word("correct horse"))
	if err != nil || !got.Equal(key) {
		t.Errorf("OpenKey: %v", err)
	}
	if _, err = OpenKey(sealed, word("battery staple")); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "battery") {
		t.Errorf("the error tells the passphrase: %v", err)
	}
	hidden := errors.New("no terminal")
	if _, err := OpenKey(sealed, func() (string, error) { return "", hidden }); !errors.Is(err, hidden) {
		t.Errorf("%v", err)
	}
}

// What this package seals any age opens, and the other way round.
func TestSealedKeyIsAnOrdinaryAgeFile(t *testing.T) {
	sealed, err := SealKey(sampleKey(1), "w")
	if err != nil {
		t.Fatal(err)
	}
	identity, _ := age.NewScryptIdentity("w")
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(sealed)), identity)
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := io.ReadAll(r)
	block, _ := pem.Decode(plain)
	if block == nil {
		t.Fatal("no PEM inside")
	}
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil || !sampleKey(1).Equal(k) {
		t.Errorf("%v", err)
	}
}

func TestPlainKeyAsksForNoPassphrase(t *testing.T) {
	plain, err := EncodeKey(sampleKey(1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenKey(plain, func() (string, error) { t.Error("asked"); return "", nil })
	if err != nil || !got.Equal(sampleKey(1)) {
		t.Errorf("%v", err)
	}
}

func TestKeyFilesRefused(t *testing.T) {
	plain, _ := EncodeKey(sampleKey(1))
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, _ := x509.MarshalPKCS8PrivateKey(ec)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":         {nil, "PEM"},
		"HTML":          {[]byte("<html>"), "PEM"},
		"two keys":      {append(bytes.Clone(plain), plain...), "one PEM block"},
		"public key":    {bytes.ReplaceAll(plain, []byte("PRIVATE"), []byte("PUBLIC")), "PEM"},
		"garbage":       {pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: []byte("x")}), "PKCS #8"},
		"another kind":  {pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), "ed25519"},
		"too long":      {make([]byte, maxKeyFile+1), "too long"},
		"age cut short": {[]byte(armor.Header + "\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n"), "cannot open key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenKey(c.file, word("w"))
			wantError(t, err, "cannot open key", c.want)
		})
	}
	_, err := SealKey(sampleKey(1), "")
	wantError(t, err, "passphrase")
	_, err = EncodeKey(nil)
	wantError(t, err, "0 bytes")
}
