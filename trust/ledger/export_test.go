package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
)

// What only tests outside of the package need.

// ParseHeadForTest reads a head file and writes it again.
func ParseHeadForTest(b []byte) ([]byte, error) {
	h, err := parseHead(b)
	if err != nil {
		return nil, err
	}
	return h.marshal()
}

// SealHeadForTest gives body the checksum of a head file.
func SealHeadForTest(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append([]byte(headMagic+hex.EncodeToString(sum[:])+"\n"), body...)
}

// ParseIndexForTest reads an index file and writes it again.
func ParseIndexForTest(b []byte, origin string) ([]byte, error) {
	x, err := parseIndex(b, origin)
	if err != nil {
		return nil, err
	}
	return x.marshal(origin)
}

// SealIndexForTest gives body the checksum of an index file.
func SealIndexForTest(body []byte) []byte {
	return binary.BigEndian.AppendUint32(body[:len(body):len(body)], crc32.Checksum(body, castagnoli))
}

// ScanForTest checks the chain of the transactions in r, as a download does, and says how many there are.
func ScanForTest(r io.Reader, width int) (int, error) {
	s := &segmentScan{width: width}
	err := s.take(r, nil)
	return len(s.hashes) - 1, err
}

// IndexBytes is the memory the index in use takes.
func (r *Replica) IndexBytes() int {
	return 4*cap(r.view.offsets) + 16*(cap(r.view.old)+cap(r.view.recent))
}

// ConfigForTest is what r was opened with.
func (r *Replica) ConfigForTest() Config { return r.cfg }
