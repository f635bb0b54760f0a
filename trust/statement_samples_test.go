package trust

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
)

const sampleLedger = "ledger.example.org/main"

// sampleKey is the key with seed n, the same in every run.
func sampleKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func samplePub(n byte) ed25519.PublicKey { return sampleKey(n).Public().(ed25519.PublicKey) }

func sampleID(n byte) string { return KeyID(samplePub(n)) }

func sampleWorking(seeds ...byte) []PublisherKey {
	var keys []PublisherKey
	for _, n := range seeds {
		keys = append(keys, PublisherKey{KeyID: sampleID(n), Pub: samplePub(n)})
	}
	return keys
}

func sampleDigest(s string) Digest { return DigestOf([]byte(s)) }

func sampleNotarization() Notarization {
	return Notarization{
		UID: 1785585600000000001, Ledger: sampleLedger, Publisher: PublisherID(samplePub(1)), Doc: 1, Kind: KindImage,
		Name: "ghcr.io/home-assistant/core", Version: "2026.8.1", Size: 123456789, Status: Trusted, SignedAt: 1785585600,
		Subjects: []RecordSubject{
			{Name: "ghcr.io/home-assistant/core", Digest: sampleDigest("index"), Role: RoleIndex},
			{Name: "ghcr.io/home-assistant/core", Digest: sampleDigest("m-amd64"), Role: RoleManifest, Platform: "linux/amd64"},
			{Name: "ghcr.io/home-assistant/core", Digest: sampleDigest("c-amd64"), Role: RoleConfig, Platform: "linux/amd64"},
			{Name: "ghcr.io/home-assistant/core", Digest: sampleDigest("m-arm64"), Role: RoleManifest, Platform: "linux/arm64/v8"},
			{Name: "ghcr.io/home-assistant/core", Digest: sampleDigest("c-arm64"), Role: RoleConfig, Platform: "linux/arm64/v8"},
		},
		SBOM:     []SBOMRef{{MediaType: "application/vnd.cyclonedx+json", Digest: sampleDigest("sbom"), Size: 4711}},
		Metadata: map[string]string{"ci.system": "github", "vcs.revision": "5d41402abc4b2a76b9719d911017c592", "ci.url": "https://ci.example.org/run/7"},
	}
}

// samplePublisher is version 1 of the publisher with root key root.
func samplePublisher(root byte, working ...byte) Publisher {
	return Publisher{
		ID: PublisherID(samplePub(root)), Ledger: sampleLedger, Version: 1, Threshold: 1, Root: samplePub(root),
		Keys: sampleWorking(working...), Names: []string{"ghcr.io/home-assistant/*"}, Label: "Home", Contact: "security@example.org",
	}
}

func sampleSigned(t testing.TB, payloadType string, payload []byte, seeds ...byte) Envelope {
	t.Helper()
	var keys []ed25519.PrivateKey
	for _, n := range seeds {
		keys = append(keys, sampleKey(n))
	}
	e, err := Sign(payloadType, payload, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// samplePlaced signs n and puts it at transaction tx.
func samplePlaced(t testing.TB, n Notarization, tx uint64, seeds ...byte) PlacedNotarization {
	t.Helper()
	payload, err := EncodeNotarization(n)
	if err != nil {
		t.Fatal(err)
	}
	return PlacedNotarization{Pos: Position{Tx: tx}, Envelope: sampleSigned(t, NotarizationType, payload, seeds...), Notarization: n}
}

// sampleDocument signs p and puts it at transaction tx.
func sampleDocument(t testing.TB, p Publisher, tx uint64, seeds ...byte) PlacedPublisher {
	t.Helper()
	payload, err := EncodePublisher(p)
	if err != nil {
		t.Fatal(err)
	}
	return PlacedPublisher{Pos: Position{Tx: tx}, Envelope: sampleSigned(t, PublisherType, payload, seeds...), Publisher: p}
}

// sampleAfter is the unchanged successor of d's document, to be altered by the test.
func sampleAfter(d PlacedPublisher) Publisher {
	p := d.Publisher
	p.Version++
	p.Prev = DigestOf(d.Envelope.Payload)
	return p
}

// wantError fails unless err says all of words, or is nil when words is empty.
func wantError(t testing.TB, err error, words ...string) {
	t.Helper()
	if len(words) == 0 {
		if err != nil {
			t.Errorf("unexpected error: %v", err)
		}
		return
	}
	if err == nil {
		t.Errorf("no error, want one that says %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
