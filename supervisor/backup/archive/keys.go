package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"

	"github.com/castellan/castellan/config/durable"
)

// workFactor is scrypt's cost for a passphrase, as a power of two: 32 MiB and about half a second on a small appliance.
// age's own default takes 256 MiB. maxWorkFactor bounds what a backup may ask of us: 64 MiB.
const workFactor, maxWorkFactor = 15, 16

// minPassphrase is the shortest passphrase in bytes. Whoever has the file can try as many as time allows.
const minPassphrase = 8

// Seal is how a backup is encrypted. The zero value does not encrypt.
type Seal struct {
	how       string // recovery passphrase
	public    string // the recipient
	recipient age.Recipient
}

// How a backup is encrypted, in [Info].
const (
	sealRecovery   = "recovery"
	sealPassphrase = "passphrase"
)

// NewRecoveryKey makes a key pair. The identity ("AGE-SECRET-KEY-1…") is shown to the owner once and kept nowhere; the
// recipient ("age1…") stays on the appliance and can only encrypt.
func NewRecoveryKey() (identity, recipient string, err error) {
	k, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("cannot make a recovery key: %w", err)
	}
	return k.String(), k.Recipient().String(), nil
}

// SealFor encrypts for the holder of a recovery key, by its public half.
func SealFor(recipient string) (Seal, error) {
	r, err := age.ParseX25519Recipient(strings.TrimSpace(recipient))
	if err != nil {
		return Seal{}, errors.New(`cannot use this recovery key: want the public half, "age1" and 58 letters and digits`)
	}
	return Seal{how: sealRecovery, public: r.String(), recipient: r}, nil
}

// SealWith encrypts with a passphrase of at least 8 bytes.
func SealWith(passphrase string) (Seal, error) {
	if len(passphrase) < minPassphrase {
		return Seal{}, fmt.Errorf("cannot use this passphrase: it is shorter than %d bytes; take some words", minPassphrase)
	}
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return Seal{}, errors.New("cannot use this passphrase")
	}
	r.SetWorkFactor(workFactor)
	return Seal{how: sealPassphrase, recipient: r}, nil
}

// Key opens an encrypted backup. The zero value opens none.
type Key struct{ identity age.Identity }

// RecoveryKey is the key whose identity the owner was shown.
func RecoveryKey(identity string) (Key, error) {
	k, err := age.ParseX25519Identity(strings.ToUpper(strings.TrimSpace(identity)))
	if err != nil {
		return Key{}, errors.New(`cannot use this recovery key: want "AGE-SECRET-KEY-1" and 58 letters and digits, as it was shown when it was made`)
	}
	return Key{k}, nil
}

// Passphrase is the key that opens what was encrypted with it.
func Passphrase(p string) (Key, error) {
	k, err := age.NewScryptIdentity(p)
	if err != nil {
		return Key{}, errors.New("cannot use an empty passphrase")
	}
	k.SetMaxWorkFactor(maxWorkFactor)
	return Key{k}, nil
}

// decrypt opens an encrypted part.
func (k Key) decrypt(r io.Reader, how string) (io.Reader, error) {
	if k.identity == nil {
		return nil, ErrKeyNeeded
	}
	out, err := age.Decrypt(r, k.identity)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		if how == sealRecovery {
			return nil, fmt.Errorf("%w: it was made for a recovery key, and this is not that", ErrWrongKey)
		}
		return nil, fmt.Errorf("%w: it was made with a passphrase, and this is not that; mind capitals and spaces", ErrWrongKey)
	}
	if err != nil {
		return nil, refuse(Damaged, "its encryption cannot be understood: %s", plain(err.Error()))
	}
	return out, nil
}

// WriteRecipient keeps the public half of the owner's recovery key. Who can alter the file has later backups encrypted
// for himself, and cannot read the earlier ones.
func WriteRecipient(name, recipient string) error {
	s, err := SealFor(recipient)
	if err != nil {
		return err
	}
	return durable.WriteFile(name, []byte(s.public+"\n"), 0o600)
}

// ReadRecipient reads what WriteRecipient has written; fs.ErrNotExist says that the owner has made no key yet.
func ReadRecipient(name string) (Seal, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return Seal{}, fmt.Errorf("cannot read the recovery key: %w", err)
	}
	s, err := SealFor(string(b))
	if err != nil {
		return Seal{}, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}
