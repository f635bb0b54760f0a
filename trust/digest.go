package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest is a content digest in the OCI form "sha256:<64 lower-case hex digits>". The zero value means "none".
// Only sha256 names images; package records (purl) may carry other algorithms, see [ParseAnyDigest].
type Digest string

// DigestOf is the sha256 digest of b.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// ParseDigest accepts exactly "sha256:" and 64 lower-case hex digits.
func ParseDigest(s string) (Digest, error) {
	hexPart, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(hexPart) != 64 || !isLowerHex(hexPart) {
		return "", fmt.Errorf("cannot read digest %.80q: want sha256: and 64 lower-case hex digits", s)
	}
	return Digest(s), nil
}

// Hex is the digest without its algorithm, "" for the zero digest.
func (d Digest) Hex() string {
	_, h, _ := strings.Cut(string(d), ":")
	return h
}

// Short is a form for people: the first 12 hex digits.
func (d Digest) Short() string {
	h := d.Hex()
	if len(h) > 12 {
		return h[:12]
	}
	return h
}

func isLowerHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
