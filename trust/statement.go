package trust

import (
	"errors"
	"fmt"
	"strings"
)

// StatementType is the in-toto Statement v1 type URI.
const StatementType = "https://in-toto.io/Statement/v1"

// PredicateBase is what the predicate type URIs of the project begin with. They are names, nothing is served there.
const PredicateBase = "https://castellan.dev/predicate/"

// Predicate types, one per DSSE payload type. A statement is read only when both name the same kind.
const (
	PublisherPredicate    = PredicateBase + "publisher/v1"
	NotarizationPredicate = PredicateBase + "notarization/v1"
	RootPredicate         = PredicateBase + "root/v1"
)

// wireStatement is an in-toto Statement v1 around predicate P.
type wireStatement[P any] struct {
	Type          string        `json:"_type"`
	Subject       []wireSubject `json:"subject"`
	PredicateType string        `json:"predicateType"`
	Predicate     P             `json:"predicate"`
}

// wireSubject is the part of an in-toto ResourceDescriptor that records use.
type wireSubject struct {
	Name        string          `json:"name,omitzero"`
	Digest      wireDigestSet   `json:"digest"`
	Annotations wireAnnotations `json:"annotations,omitzero"`
}

// wireDigestSet is an in-toto DigestSet with exactly one member. SHA-1 and MD5 are left out on purpose: a record
// about a digest that somebody can collide would speak for two files.
type wireDigestSet struct {
	SHA256 string `json:"sha256,omitzero"`
	SHA384 string `json:"sha384,omitzero"`
	SHA512 string `json:"sha512,omitzero"`
}

type wireAnnotations struct {
	Role     string `json:"role,omitzero"`
	Platform string `json:"platform,omitzero"`
}

// decodeStatement reads payload as a statement of one predicate type.
func decodeStatement[P any](payload []byte, predicateType string) (wireStatement[P], error) {
	var s wireStatement[P]
	if err := decodeStrict(payload, &s); err != nil {
		return s, err
	}
	if s.Type != StatementType {
		return s, fieldError("_type", "%.80q, want %q", s.Type, StatementType)
	}
	if s.PredicateType != predicateType {
		return s, fieldError("predicateType", "%.80q, want %q", s.PredicateType, predicateType)
	}
	if len(s.Subject) == 0 || len(s.Subject) > MaxSubjects {
		return s, fieldError("subject", "%d subjects, want 1 to %d", len(s.Subject), MaxSubjects)
	}
	return s, nil
}

// encodeStatement writes a statement, always the same bytes for the same value.
func encodeStatement[P any](subjects []wireSubject, predicateType string, predicate P) ([]byte, error) {
	b, err := encodeDeterministic(wireStatement[P]{
		Type: StatementType, Subject: subjects, PredicateType: predicateType, Predicate: predicate,
	})
	if err != nil {
		return nil, err
	}
	if len(b) > MaxRecordBytes {
		return nil, fmt.Errorf("%d bytes, the limit is %d: split the record", len(b), MaxRecordBytes)
	}
	return b, nil
}

// keySubject makes a key the subject of the document that introduces it: in-toto wants a subject with a digest, and
// what a publisher or root document speaks about is its root keys.
func keySubject(name, keyID string) wireSubject {
	return wireSubject{Name: name, Digest: wireDigestSet{SHA256: keyID}}
}

// checkKeySubjects compares the subjects of a document with those derived from its predicate.
func checkKeySubjects(got, want []wireSubject) error {
	if len(got) != len(want) {
		return fieldError("subject", "%d subjects, the predicate has %d root keys", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			return fieldError("subject", "subject %d is not root key %s named %q", i, want[i].Digest.SHA256, want[i].Name)
		}
	}
	return nil
}

func (w wireDigestSet) digest() (Digest, error) {
	var found Digest
	n := 0
	for _, m := range [...]struct{ alg, hex string }{{"sha256", w.SHA256}, {"sha384", w.SHA384}, {"sha512", w.SHA512}} {
		if m.hex != "" {
			found = Digest(m.alg + ":" + m.hex)
			n++
		}
	}
	if n != 1 {
		return "", fmt.Errorf("%d digests, want exactly one", n)
	}
	return ParseAnyDigest(string(found))
}

func digestSet(d Digest) (wireDigestSet, error) {
	if _, err := ParseAnyDigest(string(d)); err != nil {
		return wireDigestSet{}, err
	}
	switch alg, _, _ := strings.Cut(string(d), ":"); alg {
	case "sha256":
		return wireDigestSet{SHA256: d.Hex()}, nil
	case "sha384":
		return wireDigestSet{SHA384: d.Hex()}, nil
	case "sha512":
		return wireDigestSet{SHA512: d.Hex()}, nil
	}
	return wireDigestSet{}, errors.New("digest algorithm without a place in the digest set")
}

// ParseAnyDigest accepts what package records may carry: "sha256:", "sha384:" or "sha512:" and the digest in
// lower-case hex. Weaker algorithms are refused.
func ParseAnyDigest(s string) (Digest, error) {
	alg, hexPart, _ := strings.Cut(s, ":")
	want := map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}[alg]
	if want == 0 || len(hexPart) != want || !isLowerHex(hexPart) {
		return "", fmt.Errorf("cannot read digest %.140q: want sha256:, sha384: or sha512: and the digest in lower-case hex", s)
	}
	return Digest(s), nil
}
