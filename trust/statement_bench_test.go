package trust

import "testing"

// BenchmarkParseAndVerifyRecord is what a replica does with one image record of two platforms: decode it strictly and
// check its signature. 83 µs are 12,000 records/s.
func BenchmarkParseAndVerifyRecord(b *testing.B) {
	chain, err := VerifyChain([]PlacedPublisher{sampleDocument(b, samplePublisher(1, 2), 10, 1)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	value, err := samplePlaced(b, sampleNotarization(), 20, 2).Envelope.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := ParseRecord(value)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := VerifyNotarization(chain, PlacedNotarization{Pos: Position{Tx: 20}, Envelope: r.Envelope, Notarization: *r.Notarization}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseRecord is the same without the signature.
func BenchmarkParseRecord(b *testing.B) {
	value, err := samplePlaced(b, sampleNotarization(), 20, 2).Envelope.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRecord(value); err != nil {
			b.Fatal(err)
		}
	}
}
