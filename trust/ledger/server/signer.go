package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// ErrRolledBack says that the store does not extend what was signed before. The server must not run: one more
// signature would be a second history.
var ErrRolledBack = errors.New("the ledger store does not continue the history that was signed")

// ErrSignedStateMissing says that a ledger with transactions has no memory of what was signed.
var ErrSignedStateMissing = errors.New("the record of what was last signed is missing")

const signedFile = "signed.json"

// signed is the signer's memory on disk.
type signed struct {
	Format  int           `json:"format"`
	Origin  string        `json:"origin"`
	Last    trust.Anchor  `json:"last"`
	Resumed *trust.Anchor `json:"resumed,omitempty"` // the root's resume that was used last; each is used once
}

// signer decides which heads may be signed. It writes a head down before anybody may see it signed, and refuses a
// head that does not extend the last one: a ledger restored from an old backup stops here instead of forking.
// It is not safe for concurrent use.
type signer struct {
	path  string
	store Store
	state signed
}

// openSigner loads the memory, or makes it for a store without transactions. resume, from a root document, allows one
// declared break: the store must contain it, and the line goes on from there.
func openSigner(dir, origin string, store Store, resume *trust.Anchor) (*signer, error) {
	s := &signer{path: filepath.Join(dir, signedFile), store: store}
	head, err := store.Head()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && head.Count == 0:
		s.state = signed{Format: 1, Origin: origin, Last: head}
		return s, s.save()
	case errors.Is(err, fs.ErrNotExist):
		s.state = signed{Format: 1, Origin: origin}
		err = fmt.Errorf("%w: %s is not there, but the ledger has %d transactions", ErrSignedStateMissing, s.path, head.Count)
	case err != nil:
		return nil, fmt.Errorf("cannot read what was last signed: %w", err)
	default:
		if err := s.decode(b, origin); err != nil {
			return nil, fmt.Errorf("cannot read what was last signed: %s: %w; restore this file, newer is better, or continue with a "+
				"root version that has a `resume` for %s", s.path, err, origin)
		}
		err = s.extends(head)
	}
	if err == nil {
		return s, nil
	}
	if resume == nil || s.state.Resumed != nil && *s.state.Resumed == *resume {
		return nil, fmt.Errorf("%w; restore a newer copy of the ledger folder, or publish a root version whose `resume` for %s names "+
			"where the line continues, as count %d, alh %s", err, origin, head.Count, head.Alh)
	}
	if err := s.contains(*resume, head); err != nil {
		return nil, fmt.Errorf("cannot resume the ledger where the root says: %w", err)
	}
	s.state.Last, s.state.Resumed = *resume, resume
	return s, s.save()
}

func (s *signer) decode(b []byte, origin string) error {
	if err := json.Unmarshal(b, &s.state, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	if s.state.Format != 1 {
		return fmt.Errorf("format %d is not known to this version", s.state.Format)
	}
	if s.state.Origin != origin {
		return fmt.Errorf("it is of ledger %q, not of %q", s.state.Origin, origin)
	}
	_, err := trust.ParseDigest(string(s.state.Last.Alh))
	return err
}

// contains tells whether the history up to head goes through a.
func (s *signer) contains(a, head trust.Anchor) error {
	if a.Count > head.Count {
		return fmt.Errorf("%w: transaction %d was signed, the store ends at %d", ErrRolledBack, a.Count, head.Count)
	}
	alh, err := s.store.Alh(a.Count)
	if err != nil {
		return err
	}
	if alh != a.Alh {
		return fmt.Errorf("%w: transaction %d was signed as %s, the store has %s", ErrRolledBack, a.Count, a.Alh, alh)
	}
	return nil
}

func (s *signer) extends(head trust.Anchor) error { return s.contains(s.state.Last, head) }

// advance makes head the last signed one, durably. When it returns nil, head may be signed and shown.
func (s *signer) advance(head trust.Anchor) error {
	if err := s.extends(head); err != nil {
		return err
	}
	if head == s.state.Last {
		return nil // the same history with a newer time
	}
	before := s.state.Last
	s.state.Last = head
	if err := s.save(); err != nil {
		// The disk may hold either; the older one in memory is the one both extend.
		s.state.Last = before
		return err
	}
	return nil
}

func (s *signer) save() error {
	b, err := json.Marshal(s.state, jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("cannot write down what is signed: %w", err)
	}
	if err := durable.WriteFile(s.path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot write down what is signed: %w", err)
	}
	return nil
}
