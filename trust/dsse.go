package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// KeyID is the name of an ed25519 public key: the sha256 of its 32 bytes in lower-case hex.
func KeyID(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(pub)
	return hex.EncodeToString(sum[:])
}

func isKeyID(s string) bool { return len(s) == 2*sha256.Size && isLowerHex(s) }

// The DSSE v1 JSON form. Unlike DSSE, which ignores fields it does not know, they are refused: nobody signs them.
type wireEnvelope struct {
	Payload     string          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []wireSignature `json:"signatures"`
}

type wireSignature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

// ParseEnvelope reads a DSSE v1 envelope in its JSON form, at most [MaxRecordBytes] long, with 1 to [MaxSignatures]
// ed25519 signatures by different keys. Payload and signatures may be standard or URL-safe base64, padded, as DSSE
// says. No signature is checked.
func ParseEnvelope(b []byte) (Envelope, error) {
	e, err := parseEnvelope(b)
	if err != nil {
		return Envelope{}, fmt.Errorf("cannot read envelope: %w", err)
	}
	return e, nil
}

func parseEnvelope(b []byte) (Envelope, error) {
	var w wireEnvelope
	if err := decodeStrict(b, &w); err != nil {
		return Envelope{}, err
	}
	payload, err := decodeBase64(w.Payload)
	if err != nil {
		return Envelope{}, fieldError("payload", "%w", err)
	}
	e := Envelope{PayloadType: w.PayloadType, Payload: payload}
	for i, s := range w.Signatures {
		if i == MaxSignatures {
			break // check reports the number, below
		}
		sig, err := decodeBase64(s.Sig)
		if err != nil {
			return Envelope{}, fieldError("signatures", "signature %d: %w", i, err)
		}
		e.Signatures = append(e.Signatures, Signature{KeyID: s.KeyID, Sig: sig})
	}
	if len(w.Signatures) > MaxSignatures {
		return Envelope{}, fieldError("signatures", "%d signatures, the limit is %d", len(w.Signatures), MaxSignatures)
	}
	return e, e.check()
}

// Marshal writes the DSSE v1 JSON form that [ParseEnvelope] reads, always the same bytes for the same envelope.
func (e Envelope) Marshal() ([]byte, error) {
	b, err := e.marshal()
	if err != nil {
		return nil, fmt.Errorf("cannot write envelope: %w", err)
	}
	return b, nil
}

func (e Envelope) marshal() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	w := wireEnvelope{Payload: base64.StdEncoding.EncodeToString(e.Payload), PayloadType: e.PayloadType}
	for _, s := range e.Signatures {
		w.Signatures = append(w.Signatures, wireSignature{KeyID: s.KeyID, Sig: base64.StdEncoding.EncodeToString(s.Sig)})
	}
	b, err := encodeDeterministic(w)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxRecordBytes {
		return nil, fmt.Errorf("%d bytes, the limit is %d: split the record", len(b), MaxRecordBytes)
	}
	return b, nil
}

func (e Envelope) check() error {
	if err := checkText("payloadType", e.PayloadType, 255); err != nil {
		return err
	}
	if e.PayloadType == "" || len(e.Payload) == 0 {
		return errors.New("payload or payloadType is missing")
	}
	if n := len(e.Signatures); n == 0 || n > MaxSignatures {
		return fieldError("signatures", "%d signatures, want 1 to %d", n, MaxSignatures)
	}
	for i, s := range e.Signatures {
		if !isKeyID(s.KeyID) {
			return fieldError("signatures", "signature %d: keyid %.80q is not 64 lower-case hex digits", i, s.KeyID)
		}
		if len(s.Sig) != ed25519.SignatureSize {
			return fieldError("signatures", "signature %d: %d bytes, an ed25519 signature has %d", i, len(s.Sig), ed25519.SignatureSize)
		}
		for _, t := range e.Signatures[:i] {
			if t.KeyID == s.KeyID {
				return fieldError("signatures", "keyid %s twice", s.KeyID)
			}
		}
	}
	return nil
}

var stdBase64, urlBase64 = base64.StdEncoding.Strict(), base64.URLEncoding.Strict()

// decodeBase64 accepts the two alphabets DSSE allows. The decoder of encoding/base64 skips line breaks, which would
// give one envelope many spellings.
func decodeBase64(s string) ([]byte, error) {
	if strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 {
		return nil, errors.New("line break in base64")
	}
	enc := stdBase64
	if strings.IndexByte(s, '-') >= 0 || strings.IndexByte(s, '_') >= 0 {
		enc = urlBase64
	}
	b, err := enc.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("not base64: %w", err)
	}
	return b, nil
}

// pae is DSSE's pre-authentication encoding, the bytes that are signed. It binds the payload type, so that no
// signature over one kind of document can be read as one over another kind.
func pae(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len("DSSEv1")+len(payloadType)+len(payload)+24)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// Sign makes an envelope around payload, signed by 1 to [MaxSignatures] different keys.
func Sign(payloadType string, payload []byte, keys ...ed25519.PrivateKey) (Envelope, error) {
	return Envelope{PayloadType: payloadType, Payload: payload}.SignAlso(keys...)
}

// SignAlso is e with further signatures. A key that has signed e already signs it again in place, so that signing
// twice gives the same envelope.
func (e Envelope) SignAlso(keys ...ed25519.PrivateKey) (Envelope, error) {
	message := pae(e.PayloadType, e.Payload)
	signed := e
	signed.Signatures = append([]Signature(nil), e.Signatures...)
	for _, key := range keys {
		if len(key) != ed25519.PrivateKeySize {
			return Envelope{}, fmt.Errorf("cannot sign: private key has %d bytes, an ed25519 one has %d", len(key), ed25519.PrivateKeySize)
		}
		s := Signature{KeyID: KeyID(key.Public().(ed25519.PublicKey)), Sig: ed25519.Sign(key, message)}
		signed.Signatures = placeSignature(signed.Signatures, s)
	}
	if err := signed.check(); err != nil {
		return Envelope{}, fmt.Errorf("cannot sign: %w", err)
	}
	return signed, nil
}

func placeSignature(list []Signature, s Signature) []Signature {
	for i := range list {
		if list[i].KeyID == s.KeyID {
			list[i] = s
			return list
		}
	}
	return append(list, s)
}

// VerifiedBy lists the IDs of the keys, out of keys (by key ID), that have signed e, each once, in the order of the
// signatures. A key filed under an ID that is not its own counts for nothing.
func (e Envelope) VerifiedBy(keys map[string]ed25519.PublicKey) []string {
	var ids []string
	e.eachSigner(func(id string) ed25519.PublicKey { return keys[id] }, func(id string) { ids = append(ids, id) })
	return ids
}

// signedBy tells whether pub has signed e.
func (e Envelope) signedBy(pub ed25519.PublicKey) bool {
	id, found := KeyID(pub), false
	e.eachSigner(func(claimed string) ed25519.PublicKey {
		if claimed == id {
			return pub
		}
		return nil
	}, func(string) { found = true })
	return found
}

// eachSigner calls found for every signature of e that verifies under the key that find returns for its ID.
func (e Envelope) eachSigner(find func(id string) ed25519.PublicKey, found func(id string)) {
	if len(e.Signatures) > MaxSignatures {
		return
	}
	var message []byte
	for i, s := range e.Signatures {
		pub := find(s.KeyID)
		if len(pub) != ed25519.PublicKeySize || KeyID(pub) != s.KeyID || repeated(e.Signatures, i) {
			continue
		}
		if message == nil {
			message = pae(e.PayloadType, e.Payload)
		}
		if ed25519.Verify(pub, message, s.Sig) {
			found(s.KeyID)
		}
	}
}

func repeated(list []Signature, i int) bool {
	for _, s := range list[:i] {
		if s.KeyID == list[i].KeyID {
			return true
		}
	}
	return false
}
