package audit

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
	"golang.org/x/mod/sumdb/note"
)

// origin is the first line of every head and the name of every device key.
const origin = "castellan-log"

// Head says that the log's line Seq has the digest Hash, and with it every line before. Its text is a signed note
// with the lines of a C2SP tlog-checkpoint: origin, seq, base64 of the hash, `time <unix seconds>`.
type Head struct {
	Seq  uint64
	Hash trust.Digest
	Time time.Time
}

// HeadPayload is the payload of a `head` record. The note is about the record just before it.
type HeadPayload struct {
	Note string `json:"note"`
	Key  string `json:"key"` // verifier key of the device, as golang.org/x/mod/sumdb/note writes it
}

func (h Head) text() string {
	sum, _ := hex.DecodeString(h.Hash.Hex()) // a Digest is hex by construction
	return fmt.Sprintf("%s\n%d\n%s\ntime %d\n", origin, h.Seq, base64.StdEncoding.EncodeToString(sum), h.Time.Unix())
}

// OpenHead checks the signature of a head against a device's verifier key and reads it.
func OpenHead(msg, key string) (Head, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return Head{}, fmt.Errorf("cannot read device key: %w", err)
	}
	n, err := note.Open([]byte(msg), note.VerifierList(v))
	if err != nil {
		return Head{}, fmt.Errorf("cannot open head: %w", err)
	}
	return parseHead(n.Text)
}

func parseHead(text string) (Head, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[4] != "" || lines[0] != origin {
		return Head{}, fmt.Errorf("cannot read head: want the lines %q, seq, hash and time", origin)
	}
	seq, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		return Head{}, fmt.Errorf("cannot read head: seq: %w", err)
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(sum) != 32 {
		return Head{}, fmt.Errorf("cannot read head: hash %.60q is not the base64 of 32 bytes", lines[2])
	}
	unix, ok := strings.CutPrefix(lines[3], "time ")
	sec, err := strconv.ParseInt(unix, 10, 64)
	if !ok || err != nil {
		return Head{}, fmt.Errorf("cannot read head: time %.40q is not `time <unix seconds>`", lines[3])
	}
	return Head{Seq: seq, Hash: trust.Digest("sha256:" + hex.EncodeToString(sum)), Time: time.Unix(sec, 0).UTC()}, nil
}

// device is the appliance's log key.
type device struct {
	signer note.Signer
	key    string // verifier key
}

func (d device) sign(h Head) (string, error) {
	msg, err := note.Sign(&note.Note{Text: h.text()}, d.signer)
	if err != nil {
		return "", fmt.Errorf("cannot sign head: %w", err)
	}
	return string(msg), nil
}

// makeDevice writes a new key pair, the secret half last: a folder without it is not initialised.
func makeDevice(dir string) error {
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return fmt.Errorf("cannot make device key: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "device.pub"), []byte(public+"\n"), 0o644); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, "device.key"), []byte(secret+"\n"), 0o600)
}

func loadDevice(dir string) (device, error) {
	name := filepath.Join(dir, "device.key")
	secret, err := os.ReadFile(name)
	if err != nil {
		return device{}, err
	}
	signer, err := note.NewSigner(string(bytes.TrimSpace(secret)))
	if err != nil {
		// The cause may quote the key, so it is not passed on.
		return device{}, fmt.Errorf("cannot read %s: not a note signer key; restore it from a backup", name)
	}
	public, err := os.ReadFile(filepath.Join(dir, "device.pub"))
	if err != nil {
		return device{}, err
	}
	key := string(bytes.TrimSpace(public))
	v, err := note.NewVerifier(key)
	if err != nil || v.KeyHash() != signer.KeyHash() {
		return device{}, fmt.Errorf("cannot use %s: device.pub beside it is not its verifier key; restore both from one backup", name)
	}
	return device{signer, key}, nil
}
