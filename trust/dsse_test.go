package trust

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The vector is the one of the DSSE v1 specification.
func TestSignedBytesAreThoseOfDSSE(t *testing.T) {
	got := string(pae("http://example.com/HelloWorld", []byte("hello world")))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("pae = %q, want %q", got, want)
	}
}

func TestEnvelopeReadsBackAsWritten(t *testing.T) {
	e := sampleSigned(t, NotarizationType, []byte("payload"), 1, 2)
	b, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseEnvelope(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, got); d != "" {
		t.Error(d)
	}
	again, _ := got.Marshal()
	if !bytes.Equal(b, again) {
		t.Errorf("second Marshal differs:\n%s\n%s", b, again)
	}
}

func TestEnvelopeReadsBothAlphabetsOfBase64(t *testing.T) {
	payload := []byte("\xfb\xff\xfe payload ~~~???")
	e := sampleSigned(t, RootType, payload, 1)
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		in := fmt.Sprintf(`{"payload":%q,"payloadType":%q,"signatures":[{"keyid":%q,"sig":%q}]}`,
			enc.EncodeToString(payload), RootType, e.Signatures[0].KeyID, enc.EncodeToString(e.Signatures[0].Sig))
		got, err := ParseEnvelope([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if !got.signedBy(samplePub(1)) {
			t.Error("signature lost")
		}
	}
}

func TestEnvelopeRefusesWhatIsNotExactlyOne(t *testing.T) {
	kid, sig := sampleID(1), base64.StdEncoding.EncodeToString(make([]byte, 64))
	one := fmt.Sprintf(`{"keyid":%q,"sig":%q}`, kid, sig)
	nine := make([]string, 9)
	for i := range nine {
		nine[i] = fmt.Sprintf(`{"keyid":%q,"sig":%q}`, sampleID(byte(i)), sig)
	}
	for name, c := range map[string]struct{ payload, payloadType, signatures, want string }{
		"good":                {"YQ==", "t", one, ""},
		"no signature":        {"YQ==", "t", "", "0 signatures"},
		"nine signatures":     {"YQ==", "t", strings.Join(nine, ","), "9 signatures"},
		"one key twice":       {"YQ==", "t", one + "," + one, "twice"},
		"no payload":          {"", "t", one, "missing"},
		"no payload type":     {"YQ==", "", one, "missing"},
		"unpadded":            {"YQ", "t", one, "base64"},
		"loose last bits":     {"YR==", "t", one, "base64"},
		"line break":          {`YQ\n==`, "t", one, "line break"},
		"mixed alphabets":     {"+-==", "t", one, "base64"},
		"short signature":     {"YQ==", "t", fmt.Sprintf(`{"keyid":%q,"sig":"YQ=="}`, kid), "1 bytes"},
		"upper-case key ID":   {"YQ==", "t", fmt.Sprintf(`{"keyid":%q,"sig":%q}`, strings.ToUpper(kid), sig), "keyid"},
		"no key ID":           {"YQ==", "t", fmt.Sprintf(`{"sig":%q}`, sig), "keyid"},
		"unsigned field":      {"YQ==", "t", fmt.Sprintf(`{"keyid":%q,"sig":%q,"cert":"x"}`, kid, sig), "unknown"},
		"control in the type": {"YQ==", `t\u0007`, one, "payloadType"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseEnvelope(fmt.Appendf(nil, `{"payload":"%s","payloadType":"%s","signatures":[%s]}`, c.payload, c.payloadType, c.signatures))
			if c.want == "" {
				wantError(t, err)
				return
			}
			wantError(t, err, "cannot read envelope", c.want)
		})
	}
}

func TestEnvelopeTooLongIsNotWritten(t *testing.T) {
	e := sampleSigned(t, NotarizationType, make([]byte, MaxRecordBytes*3/4), 1)
	_, err := e.Marshal()
	wantError(t, err, "limit", "split")
}

func TestSignatureCountsForItsPayloadTypeOnly(t *testing.T) {
	e := sampleSigned(t, NotarizationType, []byte("payload"), 1)
	for _, other := range []string{PublisherType, RootType, NotarizationType + " "} {
		f := e
		f.PayloadType = other
		if f.signedBy(samplePub(1)) {
			t.Errorf("a signature over %s verifies as one over %s", e.PayloadType, other)
		}
	}
}

func TestVerifiedByCountsEachGoodKeyOnce(t *testing.T) {
	keys := map[string]ed25519.PublicKey{sampleID(1): samplePub(1), sampleID(2): samplePub(2)}
	good := sampleSigned(t, NotarizationType, []byte("payload"), 1, 2, 3)
	for name, c := range map[string]struct {
		alter func(*Envelope)
		keys  map[string]ed25519.PublicKey
		want  []string
	}{
		"two of three known": {func(*Envelope) {}, keys, []string{sampleID(1), sampleID(2)}},
		"payload altered":    {func(e *Envelope) { e.Payload = []byte("Payload") }, keys, nil},
		"signature altered":  {func(e *Envelope) { e.Signatures[0].Sig[5] ^= 1 }, keys, []string{sampleID(2)}},
		"signature cut":      {func(e *Envelope) { e.Signatures[0].Sig = e.Signatures[0].Sig[:63] }, keys, []string{sampleID(2)}},
		"signature empty":    {func(e *Envelope) { e.Signatures[0].Sig = nil }, keys, []string{sampleID(2)}},
		"label swapped": {func(e *Envelope) {
			e.Signatures[0].KeyID, e.Signatures[1].KeyID = e.Signatures[1].KeyID, e.Signatures[0].KeyID
		}, keys, nil},
		"one key repeated": {func(e *Envelope) { e.Signatures[1] = e.Signatures[0] }, keys, []string{sampleID(1)}},
		"key filed under another ID": {func(*Envelope) {}, map[string]ed25519.PublicKey{
			sampleID(1): samplePub(2), sampleID(2): nil, "": samplePub(1)}, nil},
		"more signatures than allowed": {func(e *Envelope) {
			e.Signatures = slices.Concat(e.Signatures, e.Signatures, e.Signatures)
		}, keys, nil},
		"no keys": {func(*Envelope) {}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := good.Marshal()
			e, _ := ParseEnvelope(b)
			c.alter(&e)
			if d := cmp.Diff(c.want, e.VerifiedBy(c.keys)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestSigningTwiceGivesTheSameEnvelope(t *testing.T) {
	once := sampleSigned(t, RootType, []byte("payload"), 1, 2)
	twice, err := once.SignAlso(sampleKey(2), sampleKey(1))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(once, twice); d != "" {
		t.Error(d)
	}
	three, err := once.SignAlso(sampleKey(3))
	if err != nil || len(three.Signatures) != 3 || len(once.Signatures) != 2 {
		t.Errorf("SignAlso: %d signatures, %d in the original, %v", len(three.Signatures), len(once.Signatures), err)
	}
}

func TestSignWantsUsableKeys(t *testing.T) {
	_, err := Sign(RootType, []byte("p"))
	wantError(t, err, "0 signatures")
	_, err = Sign(RootType, []byte("p"), sampleKey(1)[:10])
	wantError(t, err, "10 bytes")
}
