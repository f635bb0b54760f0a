package trusttest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/castellan/castellan/trust"
)

// Key is an ed25519 key made from a name, the same in every run.
func Key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("castellan test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Public is the public half of a key.
func Public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// PublisherKey is key as documents list it.
func PublisherKey(key ed25519.PrivateKey) trust.PublisherKey {
	return trust.PublisherKey{KeyID: trust.KeyID(Public(key)), Pub: Public(key)}
}

// Publisher is somebody who signs records. Its zero value is of no use; see [NewPublisher].
type Publisher struct {
	ID   string
	Root ed25519.PrivateKey
	Key  ed25519.PrivateKey // working key
	Doc  trust.Publisher    // newest document

	tb  testing.TB
	uid uint64
}

// NewPublisher is a publisher for the ledger origin, with keys made from its name, one working key and threshold 1.
func NewPublisher(tb testing.TB, origin, name string) *Publisher {
	tb.Helper()
	p := &Publisher{Root: Key(name + " root"), Key: Key(name + " working"), tb: tb, uid: 1_700_000_000_000_000_000}
	p.ID = trust.PublisherID(Public(p.Root))
	p.Doc = trust.Publisher{
		ID: p.ID, Ledger: origin, Version: 1, Threshold: 1,
		Root: Public(p.Root), Keys: []trust.PublisherKey{PublisherKey(p.Key)}, Label: name,
	}
	return p
}

// Document is the envelope of the newest document, signed by the root key.
func (p *Publisher) Document() []byte {
	p.tb.Helper()
	payload, err := trust.EncodePublisher(p.Doc)
	if err != nil {
		p.tb.Fatal(err)
	}
	return Seal(p.tb, trust.PublisherType, payload, p.Root)
}

// Succeed makes the next document by change, and is its envelope. A new root key is put into p.Root by the caller
// before; old is then the one it replaces, which signs too.
func (p *Publisher) Succeed(change func(*trust.Publisher), old ...ed25519.PrivateKey) []byte {
	p.tb.Helper()
	payload, err := trust.EncodePublisher(p.Doc)
	if err != nil {
		p.tb.Fatal(err)
	}
	p.Doc.Version, p.Doc.Prev = p.Doc.Version+1, trust.DigestOf(payload)
	change(&p.Doc)
	next, err := trust.EncodePublisher(p.Doc)
	if err != nil {
		p.tb.Fatal(err)
	}
	return Seal(p.tb, trust.PublisherType, next, append([]ed25519.PrivateKey{p.Root}, old...)...)
}

// Notarize is the envelope of a TRUSTED notarization of s, signed by the working key; change alters it first. Each has
// a higher uid than those before.
func (p *Publisher) Notarize(s trust.Subject, change ...func(*trust.Notarization)) []byte {
	p.tb.Helper()
	p.uid++
	n := trust.Notarization{
		UID: p.uid, Ledger: p.Doc.Ledger, Publisher: p.ID, Doc: p.Doc.Version, Kind: trust.KindImage,
		Name: s.Repository, Version: s.Version, Status: trust.Trusted, SignedAt: int64(p.uid / 1_000_000_000),
		Subjects: Subjects(s),
	}
	for _, c := range change {
		c(&n)
	}
	return p.Sign(n, p.Key)
}

// Sign is the envelope of any notarization under any keys.
func (p *Publisher) Sign(n trust.Notarization, keys ...ed25519.PrivateKey) []byte {
	p.tb.Helper()
	payload, err := trust.EncodeNotarization(n)
	if err != nil {
		p.tb.Fatal(err)
	}
	return Seal(p.tb, trust.NotarizationType, payload, keys...)
}

// Withdraw makes a notarization say UNTRUSTED.
func Withdraw(n *trust.Notarization) {
	n.Status, n.Severity, n.Reason = trust.Untrusted, trust.SeverityUpdate, "withdrawn in a test"
}

// Seal is the DSSE envelope around payload, whatever that is.
func Seal(tb testing.TB, payloadType string, payload []byte, keys ...ed25519.PrivateKey) []byte {
	tb.Helper()
	e, err := trust.Sign(payloadType, payload, keys...)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := e.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Image is a core image of one platform whose digests follow from its name and version; salt makes another image of
// the same name. [Manifests] has the bytes behind them.
func Image(repository, version, salt string) trust.Subject {
	raw := Manifests(repository, version, salt)
	return trust.Subject{
		Component: "core", Class: trust.ClassCore, Repository: repository, Version: version,
		Platform: trust.Platform{OS: "linux", Architecture: "arm64"},
		Index:    trust.DigestOf(raw.Index), Manifest: trust.DigestOf(raw.Manifest),
		Config: configOf(repository, version, salt),
	}
}

// Manifests are the index and manifest of [Image].
func Manifests(repository, version, salt string) trust.Raw {
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":%q},"layers":[]}`, configOf(repository, version, salt))
	return trust.Raw{
		Manifest: manifest,
		Index: fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"digest":%q,"platform":{"os":"linux","architecture":"arm64"}}]}`,
			trust.DigestOf(manifest)),
	}
}

func configOf(repository, version, salt string) trust.Digest {
	return trust.DigestOf([]byte("config " + repository + ":" + version + "/" + salt))
}

// Subjects are the in-toto subjects of an image of one platform.
func Subjects(s trust.Subject) []trust.RecordSubject {
	platform := s.Platform.String()
	return []trust.RecordSubject{
		{Name: s.Repository, Digest: s.Index, Role: "index"},
		{Name: s.Repository, Digest: s.Manifest, Role: "manifest", Platform: platform},
		{Name: s.Repository, Digest: s.Config, Role: "config", Platform: platform},
	}
}
