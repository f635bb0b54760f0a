package trust

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// VerifyFirstRoot reads the first root document of a chain, in its envelope. It is believed because of where it
// lies, in the appliance's package; that a threshold of its own keys has signed it only shows that it is whole.
func VerifyFirstRoot(env []byte) (Root, error) {
	r, e, err := openRoot(env)
	if err != nil {
		return Root{}, err
	}
	if err := r.signed(e); err != nil {
		return Root{}, fmt.Errorf("cannot accept root version %d: %w", r.Version, err)
	}
	return r, nil
}

// VerifyNextRoot reads the root document that follows prev, in its envelope: version prev+1, signed by a threshold
// of prev's keys and by a threshold of its own. It does not ask whether either has expired: an expired root is
// still the one to walk from.
func VerifyNextRoot(prev Root, env []byte) (Root, error) {
	r, e, err := openRoot(env)
	if err != nil {
		return Root{}, err
	}
	if r.Version != prev.Version+1 {
		return Root{}, fmt.Errorf("cannot follow root version %d to %d: want version %d", prev.Version, r.Version, prev.Version+1)
	}
	for _, by := range []Root{prev, r} {
		if err := by.signed(e); err != nil {
			return Root{}, fmt.Errorf("cannot follow root version %d to %d: %w", prev.Version, r.Version, err)
		}
	}
	return r, nil
}

func openRoot(env []byte) (Root, Envelope, error) {
	e, err := ParseEnvelope(env)
	if err != nil {
		return Root{}, Envelope{}, err
	}
	if e.PayloadType != RootType {
		return Root{}, Envelope{}, fmt.Errorf("cannot read root document: %w", fieldError("payloadType", "%.80q, want %q", e.PayloadType, RootType))
	}
	r, err := ParseRoot(e.Payload)
	return r, e, err
}

// signed tells whether a threshold of r's keys has signed e.
func (r Root) signed(e Envelope) error {
	if r.Threshold < 1 {
		return fmt.Errorf("version %d has no threshold", r.Version)
	}
	keys := make(map[string]ed25519.PublicKey, len(r.Keys))
	for _, k := range r.Keys {
		keys[k.KeyID] = k.Pub
	}
	if good := len(e.VerifiedBy(keys)); good < r.Threshold {
		return fmt.Errorf("signed by %d keys of version %d, it wants %d", good, r.Version, r.Threshold)
	}
	return nil
}

// LoadRoots reads the chain of root documents in dir, files 1.json, 2.json and so on without a gap, and verifies it
// from the first to the last. A folder without 1.json is an error ([fs.ErrNotExist]), not an appliance without a
// root; a gap is one too, because stopping there would go back to an older root. The roots before a file that is
// missing or does not verify are returned with the error; whether to go on with those is the caller's decision.
//
// Whoever can write to dir decides what the appliance believes.
func LoadRoots(dir string) ([]Root, error) {
	newest, err := newestRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot load root documents: %w", err)
	}
	var roots []Root
	for version := 1; version <= max(newest, 1); version++ {
		path := filepath.Join(dir, strconv.Itoa(version)+".json")
		r, err := loadRoot(path, roots)
		if err != nil {
			return roots, fmt.Errorf("cannot load root document %s: %w", path, err)
		}
		roots = append(roots, r)
	}
	return roots, nil
}

// newestRoot is the highest N of the files N.json in dir, 0 when there is none.
func newestRoot(dir string) (int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	newest := 0
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		n, err := strconv.Atoi(name)
		if ok && err == nil && strconv.Itoa(n) == name && n <= maxOrdinal {
			newest = max(newest, n)
		}
	}
	return newest, nil
}

func loadRoot(path string, before []Root) (Root, error) {
	env, err := readLimited(path)
	if err != nil {
		return Root{}, err
	}
	if len(before) > 0 {
		return VerifyNextRoot(before[len(before)-1], env)
	}
	r, err := VerifyFirstRoot(env)
	if err == nil && r.Version != 1 {
		return Root{}, fmt.Errorf("cannot begin with root version %d: want version 1", r.Version)
	}
	return r, err
}

// readLimited reads a file of at most MaxRecordBytes.
func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // opened for reading: nothing to lose
	b, err := io.ReadAll(io.LimitReader(f, MaxRecordBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxRecordBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", path, MaxRecordBytes)
	}
	return b, nil
}
