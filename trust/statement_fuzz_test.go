package trust

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The promise of every parser here: no input panics, and what is read is written back to something that reads the
// same. A value with two encodings is fine, an encoding with two values is not.

func FuzzParseEnvelope(f *testing.F) {
	for _, payloadType := range []string{NotarizationType, PublisherType, RootType} {
		b, err := sampleSigned(f, payloadType, []byte(`{}`), 1, 2).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"payload":"_w==","payloadType":"t","signatures":[{"keyid":"","sig":""}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEnvelope(b)
		if err != nil {
			return
		}
		again, err := e.Marshal()
		if err != nil {
			if len(b) > MaxRecordBytes/2 {
				return // its escapes made it shorter than what we write
			}
			t.Fatalf("read but not written: %v", err)
		}
		back, err := ParseEnvelope(again)
		if err != nil || !cmp.Equal(e, back) {
			t.Fatalf("%v\n%s", err, cmp.Diff(e, back))
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	n, _ := EncodeNotarization(sampleNotarization())
	p, _ := EncodePublisher(samplePublisher(1, 2))
	for _, e := range []Envelope{sampleSigned(f, NotarizationType, n, 2), sampleSigned(f, PublisherType, p, 1), sampleSigned(f, PublisherType, n, 1)} {
		b, err := e.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err != nil {
			return
		}
		if (r.Notarization == nil) == (r.Publisher == nil) {
			t.Fatal("not exactly one of two kinds")
		}
		if key, err := r.Key(); err != nil || key == "" || r.Ledger() == "" {
			t.Fatalf("Key() = %q, %v; Ledger() = %q", key, err, r.Ledger())
		}
	})
}

// fuzzDocument checks one kind of payload.
func fuzzDocument[T any](f *testing.F, parse func([]byte) (T, error), encode func(T) ([]byte, error), seeds ...T) {
	for _, s := range seeds {
		b, err := encode(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"_type":"` + StatementType + `","subject":[],"predicate":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parse(b)
		if err != nil {
			return
		}
		once, err := encode(v)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		back, err := parse(once)
		if err != nil || !cmp.Equal(v, back) {
			t.Fatalf("%v\n%s", err, cmp.Diff(v, back))
		}
		if twice, err := encode(back); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("written in two ways: %v\n%s\n%s", err, once, twice)
		}
	})
}

func FuzzParseNotarization(f *testing.F) {
	withdrawn := sampleNotarization()
	withdrawn.Status, withdrawn.Severity, withdrawn.Reason = Untrusted, SeverityStop, "backdoor"
	pkgs := sampleNotarization()
	pkgs.Kind, pkgs.Subjects = KindPackage, packages(3)
	fuzzDocument(f, ParseNotarization, EncodeNotarization, sampleNotarization(), withdrawn, pkgs)
}

func FuzzParsePublisher(f *testing.F) {
	second := samplePublisher(1, 2, 3)
	second.Version, second.Prev, second.Revoked = 2, sampleDigest("v1"), []Revocation{{sampleID(4), Compromised, 7}}
	fuzzDocument(f, ParsePublisher, EncodePublisher, samplePublisher(1, 2), second)
}

func FuzzParseRoot(f *testing.F) {
	fuzzDocument(f, ParseRoot, EncodeRoot, sampleRoot(1, 2, 1, 2, 3), sampleRoot(2, 1, 4))
}

func FuzzOpenKey(f *testing.F) {
	plain, _ := EncodeKey(sampleKey(1))
	f.Add(plain)
	f.Add([]byte("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Contains(b, []byte("scrypt")) {
			return // a costly work factor would only make the fuzzer slow
		}
		if key, err := OpenKey(b, word("w")); err == nil && len(key) != ed25519.PrivateKeySize {
			t.Fatalf("a key of %d bytes", len(key))
		}
	})
}

func FuzzNameMatches(f *testing.F) {
	f.Add("ghcr.io/*/a*b", "ghcr.io/x/ab")
	f.Add("*", "")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if NameMatches(pattern, name) && bytes.Count([]byte(pattern), []byte("/")) != bytes.Count([]byte(name), []byte("/")) {
			t.Fatalf("NameMatches(%q, %q) crosses a path segment", pattern, name)
		}
	})
}
