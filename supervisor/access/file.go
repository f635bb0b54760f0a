package access

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/castellan/castellan/config/durable"
)

// format is the version of the file. An older one is upgraded; a newer one is refused, for an older program would drop
// what it can't read.
//
// 1: tokens had no role of their own. 2: they have.
const format = 2

// maxBytes bounds the file, for reading as for writing.
const maxBytes = 1 << 20

// state is the file.
type state struct {
	Format   int       `json:"format"`
	Mark     time.Time `json:"mark"` // the time of this writing
	Users    []user    `json:"users"`
	Sessions []session `json:"sessions"`
	Tokens   []token   `json:"tokens"`
}

type user struct {
	Name     string       `json:"name"`
	Role     Role         `json:"role"`
	Password string       `json:"password"` // PHC
	Created  time.Time    `json:"created"`
	Known    []netip.Addr `json:"known,omitempty"` // logged in from there, latest first
}

type session struct {
	ID      string     `json:"id"`
	User    string     `json:"user"`
	Hash    digest     `json:"hash"`
	Created time.Time  `json:"created"`
	Seen    time.Time  `json:"seen"`
	From    netip.Addr `json:"from,omitzero"`
	Agent   string     `json:"agent,omitempty"`
}

type token struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Prefix  string    `json:"prefix"`
	Hash    digest    `json:"hash"`
	Created time.Time `json:"created"`
	End     time.Time `json:"end,omitzero"`
	Used    time.Time `json:"used,omitzero"` // the day
}

// digest is a SHA-256, in hex.
type digest [sha256.Size]byte

func (d digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

func (d *digest) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(d)) {
		return errors.New("no SHA-256")
	}
	for _, c := range b {
		if c >= 'A' && c <= 'F' {
			return errors.New("no SHA-256 in lower case")
		}
	}
	_, err := hex.Decode(d[:], b)
	return err
}

func (s state) clone() state {
	s.Users, s.Sessions, s.Tokens = slices.Clone(s.Users), slices.Clone(s.Sessions), slices.Clone(s.Tokens)
	for i := range s.Users {
		s.Users[i].Known = slices.Clone(s.Users[i].Known)
	}
	return s
}

func (s *state) user(name string) *user {
	i := slices.IndexFunc(s.Users, func(u user) bool { return u.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Users[i]
}

func (s *state) admins() (n int) {
	for _, u := range s.Users {
		if u.Role == Admin {
			n++
		}
	}
	return n
}

// disk is what can be cut.
type disk interface {
	// write returns nil once data is durably at name; after an error the old content or data is there.
	write(name string, data []byte) error
	// rename returns nil once the file is durably at to.
	rename(from, to string) error
}

type realDisk struct{}

func (realDisk) write(name string, data []byte) error { return durable.WriteFile(name, data, 0o600) }
func (realDisk) rename(from, to string) error         { return durable.Rename(from, to) }

func readFile(path string) ([]byte, error) {
	fi, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, errors.New("it is not a file")
	case fi.Mode().Perm()&0o077 != 0: // as a careless restore leaves it
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

func encode(s state) ([]byte, error) {
	s.Format = format
	b, err := json.Marshal(s, json.Deterministic(true), json.FormatNilSliceAsNull(false))
	if err != nil {
		return nil, errors.New("its content is no JSON") // the library's error could show some of it
	}
	if len(b) >= maxBytes {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(b), maxBytes)
	}
	return append(b, '\n'), nil
}
