package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/castellan/castellan/config/durable"
)

// The index file: magic, origin, count, alh, statistics (JSON), offsets and pairs, each list with its length before
// it, all big endian; a CRC-32C of everything at the end. It guards against decay, not against its owner.
const (
	indexName  = "index"
	indexMagic = "castellan ledger index v3\n"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (x *index) marshal(origin string) ([]byte, error) {
	stats, err := json.Marshal(x.stats)
	if err != nil {
		return nil, err
	}
	pairs := mergePairs(x.old, x.recent)
	b := make([]byte, 0, len(indexMagic)+len(origin)+len(stats)+64+4*len(x.offsets)+16*len(pairs))
	b = append(b, indexMagic...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(origin)))
	b = append(b, origin...)
	b = binary.BigEndian.AppendUint64(b, x.Count)
	b = append(b, x.Alh[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(stats)))
	b = append(b, stats...)
	for _, o := range x.offsets {
		b = binary.BigEndian.AppendUint32(b, o)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(pairs)))
	for _, p := range pairs {
		b = binary.BigEndian.AppendUint64(b, p.word)
		b = binary.BigEndian.AppendUint64(b, uint64(p.at))
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

// parseIndex reads an index of origin. Every length is compared with what is there before memory is taken for it.
func parseIndex(b []byte, origin string) (*index, error) {
	if len(b) < 4 {
		return nil, errors.New("too short")
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return nil, errors.New("its checksum does not fit")
	}
	in := input(body)
	if magic, ok := in.take(len(indexMagic)); !ok || string(magic) != indexMagic {
		return nil, errors.New("not an index of this version")
	}
	if o, ok := in.sized(1); !ok || string(o) != origin {
		return nil, fmt.Errorf("it is of another ledger than %s", origin)
	}
	x := &index{}
	count, ok1 := in.take(8)
	alh, ok2 := in.take(len(x.Alh))
	stats, ok3 := in.sized(1)
	if !ok1 || !ok2 || !ok3 {
		return nil, errors.New("truncated")
	}
	x.Count = binary.BigEndian.Uint64(count)
	copy(x.Alh[:], alh)
	if err := json.Unmarshal(stats, &x.stats, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if x.Count > uint64(len(in)/4) {
		return nil, errors.New("truncated offsets")
	}
	offsets, _ := in.take(int(x.Count) * 4)
	x.offsets = make([]uint32, x.Count)
	for i := range x.offsets {
		x.offsets[i] = binary.BigEndian.Uint32(offsets[4*i:])
		if first := i%SegmentTxs == 0; first != (x.offsets[i] == 0) || !first && x.offsets[i] <= x.offsets[i-1] {
			return nil, fmt.Errorf("offset of transaction %d is out of order", i+1)
		}
	}
	pairs, ok := in.sized(16)
	if !ok || len(in) != 0 {
		return nil, errors.New("truncated pairs")
	}
	x.old = make([]pair, len(pairs)/16)
	for i := range x.old {
		p := pair{binary.BigEndian.Uint64(pairs[16*i:]), place(binary.BigEndian.Uint64(pairs[16*i+8:]))}
		if pos := p.at.position(); pos.Tx < 1 || pos.Tx > x.Count || pos.Entry >= MaxTransactionEntries {
			return nil, fmt.Errorf("pair %d names no place", i)
		}
		x.old[i] = p
	}
	if !slices.IsSortedFunc(x.old, comparePairs) {
		return nil, errors.New("pairs are out of order")
	}
	return x, nil
}

// sized takes a uint32 and that many items of size bytes.
func (in *input) sized(size int) ([]byte, bool) {
	n, ok := in.uint32()
	if !ok || uint64(n)*uint64(size) > uint64(len(*in)) {
		return nil, false
	}
	return in.take(int(n) * size)
}

func readIndex(dir, origin string) (*index, error) {
	b, err := os.ReadFile(filepath.Join(dir, indexName))
	if err != nil {
		return nil, err
	}
	x, err := parseIndex(b, origin)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", filepath.Join(dir, indexName), err)
	}
	return x, nil
}

func writeIndex(dir, origin string, x *index) error {
	b, err := x.marshal(origin)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, indexName), b, 0o640)
}
