package trust

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxSBOMs bounds the bills of materials one record names.
const maxSBOMs = 16

type wireNotarization struct {
	UID       string            `json:"uid"`
	Ledger    string            `json:"ledger"`
	Publisher string            `json:"publisher"`
	Doc       int64             `json:"doc"`
	Kind      string            `json:"kind"`
	Name      string            `json:"name"`
	Version   string            `json:"version,omitzero"`
	Size      int64             `json:"size,omitzero"`
	Status    string            `json:"status"`
	Severity  string            `json:"severity,omitzero"`
	Reason    string            `json:"reason,omitzero"`
	SignedAt  string            `json:"signedAt"`
	SBOM      []wireSBOM        `json:"sbom,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
}

type wireSBOM struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// ParseNotarization reads the payload of a notarization: an in-toto Statement v1 with [NotarizationPredicate], and
// within all limits of [Notarization.Check]. The caller has seen that the envelope's payload type is
// [NotarizationType]; [ParseRecord] does both.
func ParseNotarization(payload []byte) (Notarization, error) {
	n, err := parseNotarization(payload)
	if err != nil {
		return Notarization{}, fmt.Errorf("cannot read notarization: %w", err)
	}
	return n, nil
}

func parseNotarization(payload []byte) (Notarization, error) {
	s, err := decodeStatement[wireNotarization](payload, NotarizationPredicate)
	if err != nil {
		return Notarization{}, err
	}
	p := s.Predicate
	n := Notarization{
		Ledger: p.Ledger, Publisher: p.Publisher, Doc: int(p.Doc), Kind: p.Kind, Name: p.Name, Version: p.Version,
		Size: p.Size, Status: Status(p.Status), Severity: Severity(p.Severity), Reason: p.Reason,
	}
	if n.UID, err = parseUID(p.UID); err != nil {
		return Notarization{}, err
	}
	if err := checkNumber("doc", p.Doc, 1, maxOrdinal); err != nil {
		return Notarization{}, err
	}
	at, err := parseTime("signedAt", p.SignedAt)
	if err != nil {
		return Notarization{}, err
	}
	n.SignedAt = at.Unix()
	n.Subjects = make([]RecordSubject, len(s.Subject))
	for i, w := range s.Subject {
		d, err := w.Digest.digest()
		if err != nil {
			return Notarization{}, fieldError("subject", "subject %d: %w", i, err)
		}
		n.Subjects[i] = RecordSubject{Name: w.Name, Digest: d, Role: w.Annotations.Role, Platform: w.Annotations.Platform}
	}
	for _, w := range p.SBOM {
		n.SBOM = append(n.SBOM, SBOMRef{MediaType: w.MediaType, Digest: Digest(w.Digest), Size: w.Size})
	}
	if len(p.Metadata) > 0 {
		n.Metadata = p.Metadata
	}
	return n, n.Check()
}

// parseUID reads unix nanoseconds as a decimal string: a JSON number would lose its last digits in most readers.
func parseUID(s string) (uint64, error) {
	uid, err := strconv.ParseUint(s, 10, 63)
	if err != nil || uid == 0 || strconv.FormatUint(uid, 10) != s {
		return 0, fieldError("uid", "%.40q is not a time in unix nanoseconds without leading zeros", s)
	}
	return uid, nil
}

// EncodeNotarization writes the payload that [ParseNotarization] reads. The same value always gives the same bytes.
func EncodeNotarization(n Notarization) ([]byte, error) {
	b, err := encodeNotarization(n)
	if err != nil {
		return nil, fmt.Errorf("cannot write notarization: %w", err)
	}
	return b, nil
}

func encodeNotarization(n Notarization) ([]byte, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	subjects := make([]wireSubject, len(n.Subjects))
	for i, s := range n.Subjects {
		set, err := digestSet(s.Digest)
		if err != nil {
			return nil, fieldError("subject", "subject %d: %w", i, err)
		}
		subjects[i] = wireSubject{Name: s.Name, Digest: set, Annotations: wireAnnotations{Role: s.Role, Platform: s.Platform}}
	}
	p := wireNotarization{
		UID: strconv.FormatUint(n.UID, 10), Ledger: n.Ledger, Publisher: n.Publisher, Doc: int64(n.Doc), Kind: n.Kind,
		Name: n.Name, Version: n.Version, Size: n.Size, Status: string(n.Status), Severity: string(n.Severity),
		Reason: n.Reason, SignedAt: formatTime(time.Unix(n.SignedAt, 0)), Metadata: n.Metadata,
	}
	for _, s := range n.SBOM {
		p.SBOM = append(p.SBOM, wireSBOM{MediaType: s.MediaType, Digest: string(s.Digest), Size: s.Size})
	}
	return encodeStatement(subjects, NotarizationPredicate, p)
}

// Check tells what keeps n from being a valid record: the first field that is out of range, misplaced or malformed.
func (n Notarization) Check() error {
	if n.UID == 0 || n.UID > math.MaxInt64 {
		return fieldError("uid", "%d is not a time in unix nanoseconds", n.UID)
	}
	if err := checkOrigin("ledger", n.Ledger); err != nil {
		return err
	}
	if !isPublisherID(n.Publisher) {
		return fieldError("publisher", "%.80q is not a publisher ID", n.Publisher)
	}
	if err := checkNumber("doc", int64(n.Doc), 1, maxOrdinal); err != nil {
		return err
	}
	if err := checkNumber("size", n.Size, 0, maxNumber); err != nil {
		return err
	}
	if err := checkTime("signedAt", time.Unix(n.SignedAt, 0)); err != nil {
		return err
	}
	for _, check := range []func() error{n.checkName, n.checkStatus, n.checkSubjects, n.checkSBOM, n.checkMetadata} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (n Notarization) checkName() error {
	if err := checkText("version", n.Version, maxVersion); err != nil {
		return err
	}
	switch n.Kind {
	case KindImage:
		return checkRepository("name", n.Name)
	case KindChannel, KindFile, KindDir, KindGit, KindPackage, KindSupervisor:
		if n.Name == "" {
			return fieldError("name", "is missing")
		}
		return checkText("name", n.Name, maxName)
	}
	return fieldError("kind", "%.40q is not one of image, channel, file, dir, git, package, supervisor", n.Kind)
}

func (n Notarization) checkStatus() error {
	switch n.Status {
	case Trusted:
		if n.Severity != "" || n.Reason != "" {
			return fieldError("severity", "severity and reason belong to UNTRUSTED and UNSUPPORTED, not to TRUSTED")
		}
	case Untrusted, Unsupported:
		switch n.Severity {
		case "", SeverityNotify, SeverityUpdate, SeverityStop:
		default:
			return fieldError("severity", "%.40q is not one of notify, update, stop", n.Severity)
		}
	default:
		return fieldError("status", "%.40q is not one of TRUSTED, UNTRUSTED, UNSUPPORTED", string(n.Status))
	}
	return checkText("reason", n.Reason, maxText)
}

func (n Notarization) checkSBOM() error {
	if len(n.SBOM) > maxSBOMs {
		return fieldError("sbom", "%d bills of materials, the limit is %d", len(n.SBOM), maxSBOMs)
	}
	for i, s := range n.SBOM {
		if s.MediaType == "" {
			return fieldError("sbom", "entry %d has no mediaType", i)
		}
		if err := checkText("sbom", s.MediaType, 255); err != nil {
			return err
		}
		if _, err := ParseDigest(string(s.Digest)); err != nil {
			return fieldError("sbom", "entry %d: %w", i, err)
		}
		if err := checkNumber("sbom", s.Size, 0, maxNumber); err != nil {
			return err
		}
	}
	return nil
}

// metadataKeys is the allow-list. Copying a whole CI environment into a public, append-only ledger is how job tokens
// and passwords got published for ever.
var metadataKeys = []string{
	"ci.build", "ci.job", "ci.system", "ci.url", "ci.workflow", "vcs.ref", "vcs.repository", "vcs.revision",
}

// secretMarks begin well-known kinds of credentials. The list is a net under the allow-list, not a proof.
var secretMarks = []string{
	"ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "glcbt-", "AKIA", "AGE-SECRET-KEY-", "-----BEGIN ", "Bearer ",
}

// MetadataKeys lists the keys that [Notarization.Metadata] may have, sorted: facts about the build, none of them
// secret. Values have at most 512 bytes; URLs among them carry no user name, password or query.
func MetadataKeys() []string { return slices.Clone(metadataKeys) }

func (n Notarization) checkMetadata() error {
	for _, k := range sortedKeys(n.Metadata) {
		v := n.Metadata[k]
		if !slices.Contains(metadataKeys, k) {
			return fieldError("metadata", "key %.80q is not one of %s", k, strings.Join(metadataKeys, ", "))
		}
		if v == "" {
			return fieldError("metadata", "key %q has no value", k)
		}
		if err := checkText("metadata", v, maxName); err != nil {
			return err
		}
		for _, mark := range secretMarks {
			if strings.Contains(v, mark) {
				return fieldError("metadata", "key %q looks like a secret (%q): records are public for ever", k, mark)
			}
		}
		if strings.Contains(v, "://") {
			// The value stays out of the error: it may be the very secret.
			if u, err := url.Parse(v); err != nil || u.User != nil || u.RawQuery != "" || u.Host == "" {
				return fieldError("metadata", "key %q: a URL here has no user name, password or query", k)
			}
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
