package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// Key files. The plain form is PKCS #8 in PEM, as openssl writes it; the sealed form is that PEM encrypted with age
// and a passphrase, armored, so that `age -d` opens it without us.
const (
	pemType = "PRIVATE KEY"

	// sealWork is OWASP's scrypt setting, N = 2^17: about half a second and 128 MiB each time a key is opened.
	sealWork = 17
	// maxSealWork keeps a foreign key file from asking for more than 1 GiB.
	maxSealWork = 20

	maxKeyFile = 64 << 10
)

// ErrWrongPassphrase is what [OpenKey] returns when the passphrase does not open the key.
var ErrWrongPassphrase = errors.New("wrong passphrase")

// NewKey makes an ed25519 key.
func NewKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	return key, nil
}

// EncodeKey writes key as PKCS #8 in PEM, in clear.
func EncodeKey(key ed25519.PrivateKey) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("cannot write key: %d bytes, an ed25519 private key has %d", len(key), ed25519.PrivateKeySize)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot write key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// SealKey writes key encrypted with a passphrase, which must not be empty.
func SealKey(key ed25519.PrivateKey, passphrase string) ([]byte, error) {
	plain, err := EncodeKey(key)
	if err != nil {
		return nil, err
	}
	sealed, err := seal(plain, passphrase)
	if err != nil {
		return nil, fmt.Errorf("cannot seal key: %w", err)
	}
	return sealed, nil
}

func seal(plain []byte, passphrase string) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(sealWork)
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := armored.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// KeySealed tells whether a key file wants a passphrase.
func KeySealed(file []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(file), []byte(armor.Header))
}

// OpenKey reads a key file, sealed or plain. passphrase is called only for a sealed one. Neither key nor passphrase
// enters an error.
func OpenKey(file []byte, passphrase func() (string, error)) (ed25519.PrivateKey, error) {
	key, err := openKey(file, passphrase)
	if err != nil {
		return nil, fmt.Errorf("cannot open key: %w", err)
	}
	return key, nil
}

func openKey(file []byte, passphrase func() (string, error)) (ed25519.PrivateKey, error) {
	if len(file) > maxKeyFile {
		return nil, fmt.Errorf("%d bytes is too long for a key file", len(file))
	}
	if KeySealed(file) {
		word, err := passphrase()
		if err != nil {
			return nil, err
		}
		if file, err = unseal(file, word); err != nil {
			return nil, err
		}
	}
	block, rest := pem.Decode(file)
	if block == nil || block.Type != pemType || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("want one PEM block %q, in clear or sealed by age", pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the PEM block holds no PKCS #8 private key")
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("want an ed25519 key, this is another kind")
	}
	return key, nil
}

func unseal(file []byte, passphrase string) ([]byte, error) {
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(maxSealWork)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(file)), identity)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, ErrWrongPassphrase
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxKeyFile))
}
