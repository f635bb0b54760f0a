package trust

import (
	"errors"
	"testing"
)

// The chain: root key 1, working keys 2, 3 and 5 of which two must sign, from 10; version 2 at 50 revokes key 3 past
// 30 and rotates the root key to 4; version 3 at 70 revokes root key 1 past 40.
func signersChain(t testing.TB) []PlacedPublisher {
	p := samplePublisher(1, 2, 3, 5)
	p.Threshold = 2
	v1 := sampleDocument(t, p, 10, 1)
	v2 := altered(t, v1, 50, func(p *Publisher) {
		p.Root, p.Keys, p.Revoked = samplePub(4), sampleWorking(2, 5), []Revocation{{sampleID(3), Compromised, 30}}
	}, 1, 4)
	v3 := altered(t, v2, 70, func(p *Publisher) {
		p.Revoked = append([]Revocation{{sampleID(1), Compromised, 40}}, p.Revoked...)
	}, 4)
	chain, err := VerifyChain([]PlacedPublisher{v1, v2, v3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func TestWhoseSignaturesMakeARecordCount(t *testing.T) {
	chain := signersChain(t)
	const counts, revoked, never = "counts", "revoked", "never"
	for name, c := range map[string]struct {
		status  Status
		tx      uint64
		signers []byte
		want    string
		byRoot  bool
	}{
		"two of three":                            {Trusted, 20, []byte{2, 3}, counts, false},
		"three of three":                          {Trusted, 20, []byte{2, 3, 5}, counts, false},
		"one of two wanted":                       {Trusted, 20, []byte{2}, never, false},
		"one, and a stranger":                     {Trusted, 20, []byte{2, 9}, never, false},
		"two, and a stranger":                     {Trusted, 20, []byte{2, 3, 9}, counts, false},
		"strangers":                               {Untrusted, 20, []byte{8, 9}, never, false},
		"before the publisher":                    {Trusted, 9, []byte{2, 3}, never, false},
		"at the cut-off":                          {Trusted, 30, []byte{2, 3}, counts, false},
		"past the cut-off":                        {Trusted, 31, []byte{2, 3}, revoked, false},
		"past the cut-off, as UNTRUSTED":          {Untrusted, 31, []byte{2, 3}, revoked, false},
		"past it, but enough others":              {Trusted, 31, []byte{2, 3, 5}, counts, false},
		"past it, and never enough":               {Trusted, 31, []byte{3}, never, false},
		"no longer named":                         {Trusted, 60, []byte{2, 3}, never, false},
		"still named":                             {Trusted, 60, []byte{2, 5}, counts, false},
		"root key alone says TRUSTED":             {Trusted, 20, []byte{1}, never, true},
		"root key is no second working key":       {Trusted, 20, []byte{1, 2}, never, true},
		"root key alone says UNTRUSTED":           {Untrusted, 20, []byte{1}, counts, true},
		"root key alone says UNSUPPORTED":         {Unsupported, 20, []byte{1}, counts, true},
		"root key beside working keys":            {Trusted, 20, []byte{1, 2, 5}, counts, true},
		"root key past its cut-off":               {Untrusted, 41, []byte{1}, revoked, false},
		"root key past it, says TRUSTED":          {Trusted, 41, []byte{1}, never, false},
		"root key past it, beside working keys":   {Untrusted, 41, []byte{1, 2, 5}, counts, false},
		"rotated-away root key":                   {Untrusted, 60, []byte{1}, never, false},
		"new root key":                            {Untrusted, 60, []byte{4}, counts, true},
		"new root key before it was the root key": {Untrusted, 20, []byte{4}, never, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := sampleNotarization()
			n.Status = c.status
			placed := samplePlaced(t, n, c.tx, c.signers...)
			s, err := VerifyNotarization(chain, placed)
			got := never
			switch {
			case err == nil:
				got = counts
			case errors.Is(err, ErrSignerRevoked):
				got = revoked
			}
			if got != c.want || s.ByRoot != c.byRoot {
				t.Errorf("%s, by root %v; want %s, %v (%v, %+v)", got, s.ByRoot, c.want, c.byRoot, err, s)
			}
			if SignedByRoot(chain, placed) != c.byRoot {
				t.Errorf("SignedByRoot = %v", !c.byRoot)
			}
		})
	}
}

func TestRecordOutOfPlaceNeverCounts(t *testing.T) {
	chain := signersChain(t)
	good := samplePlaced(t, sampleNotarization(), 20, 1, 2, 3)
	for name, c := range map[string]struct {
		alter func(*PlacedNotarization)
		err   string
	}{
		"good":             {func(*PlacedNotarization) {}, ""},
		"another ledger":   {func(n *PlacedNotarization) { n.Notarization.Ledger = "other" }, "ledger"},
		"another's record": {func(n *PlacedNotarization) { n.Notarization.Publisher = PublisherID(samplePub(9)) }, "publisher"},
		"payload tampered": {func(n *PlacedNotarization) { n.Envelope.Payload = append([]byte(" "), n.Envelope.Payload...) }, "0 of 2"},
		"signed as a publisher document": {func(n *PlacedNotarization) {
			n.Envelope = sampleSigned(t, PublisherType, n.Envelope.Payload, 1, 2, 3)
		}, "payloadType"},
		"signed as one, relabelled": {func(n *PlacedNotarization) {
			n.Envelope = sampleSigned(t, PublisherType, n.Envelope.Payload, 1, 2, 3)
			n.Envelope.PayloadType = NotarizationType
		}, "0 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			n := good
			c.alter(&n)
			s, err := VerifyNotarization(chain, n)
			if c.err == "" {
				wantError(t, err)
				return
			}
			wantError(t, err, "cannot count record", c.err)
			if errors.Is(err, ErrSignerRevoked) || s.ByRoot || SignedByRoot(chain, n) && name != "another ledger" {
				t.Errorf("%v, %+v", err, s)
			}
		})
	}
	if _, err := VerifyNotarization(nil, good); err == nil {
		t.Error("a record of an unknown publisher counts")
	}
	if SignedByRoot(nil, good) {
		t.Error("an unknown publisher has a root key")
	}
}
