package tlscert

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxBytes bounds each file.
const maxBytes = 1 << 20

// takeOwn takes up the owner's files when they are good. Until then what was served stays, and at the beginning a
// self-made certificate stands in.
func (s *Source) takeOwn() error {
	p, err := s.loadOwn()
	if err != nil {
		if old := s.now.Load(); old != nil && !old.selfMade {
			return fmt.Errorf("%w; the one before is in use meanwhile", err)
		}
		return errors.Join(fmt.Errorf("%w; a self-made one is in use meanwhile", err), s.takeSelfMade())
	}
	if p != nil {
		s.now.Store(p)
		s.cfg.Log.Info("a certificate was taken up", "fingerprint", fingerprint(p.cert.Leaf.Raw), "ends", p.cert.Leaf.NotAfter)
	}
	return s.age(s.now.Load())
}

// loadOwn reads the files. It gives nil when they are what is served already.
func (s *Source) loadOwn() (*pair, error) {
	cert, err := read(s.cfg.Cert)
	if err != nil {
		return nil, fmt.Errorf("cannot use the certificate: %w; check cert and who may read it", err)
	}
	key, err := read(s.cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("cannot use the key of the certificate: %w; check key and who may read it", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", len(cert)) // where the one ends
	h.Write(cert)
	h.Write(key)
	sum := [sha256.Size]byte(h.Sum(nil))
	if sum == s.tried {
		return nil, s.wrong
	}
	p, err := s.parseOwn(cert, key)
	// An ended one never replaces a good one. With nothing better it is served: what people see then tells them why.
	if now, old := s.cfg.Now(), s.now.Load(); err == nil && old != nil && !old.selfMade &&
		now.After(p.cert.Leaf.NotAfter) && now.Before(old.cert.Leaf.NotAfter) {
		return nil, ended(s.cfg.Cert, p.cert.Leaf.NotAfter) // by the clock, so it is asked again
	}
	s.tried, s.wrong = sum, err
	return p, err
}

func (s *Source) parseOwn(cert, key []byte) (*pair, error) {
	certs, keys := kinds(cert), kinds(key)
	switch {
	case !strings.Contains(certs, "CERTIFICATE") && strings.Contains(certs, "PRIVATE KEY"):
		return nil, fmt.Errorf("cannot use the certificate %s: it holds a key; are cert and key exchanged?", s.cfg.Cert)
	case !strings.Contains(certs, "CERTIFICATE"):
		return nil, fmt.Errorf("cannot use the certificate %s: it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", s.cfg.Cert)
	case strings.Contains(keys, "ENCRYPTED"):
		return nil, fmt.Errorf("cannot use the key %s: it is under a passphrase; store it without, readable by the daemon alone", s.cfg.Key)
	case !strings.Contains(keys, "PRIVATE KEY"):
		return nil, fmt.Errorf("cannot use the key %s: it holds no key in PEM (-----BEGIN PRIVATE KEY-----)", s.cfg.Key)
	}
	c, err := tls.X509KeyPair(cert, key)
	switch {
	case err != nil && strings.Contains(err.Error(), "does not match"):
		return nil, fmt.Errorf("cannot use the certificate %s: the key %s is of another one; renew both together", s.cfg.Cert, s.cfg.Key)
	case err != nil:
		return nil, fmt.Errorf("cannot use the certificate %s with the key %s: %w", s.cfg.Cert, s.cfg.Key, err)
	}
	return &pair{cert: c}, nil
}

func ended(name string, at time.Time) error {
	return fmt.Errorf("the certificate %s has ended on %s; renew it", name, at.Format(time.DateOnly))
}

// age is the problem that time makes.
func (s *Source) age(p *pair) error {
	now, leaf := s.cfg.Now(), p.cert.Leaf
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate %s begins on %s, and here it is %s; check the clock", s.cfg.Cert, leaf.NotBefore.Format(time.DateTime), now.UTC().Format(time.DateTime))
	case now.After(leaf.NotAfter):
		return ended(s.cfg.Cert, leaf.NotAfter)
	case now.Add(soon).After(leaf.NotAfter):
		return fmt.Errorf("the certificate %s ends on %s; renew it", s.cfg.Cert, leaf.NotAfter.Format(time.DateOnly))
	}
	return nil
}

// kinds are the labels of all PEM blocks, and the word ENCRYPTED for an old form of passphrase.
func kinds(b []byte) string {
	var all []string
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			return strings.Join(all, ",")
		}
		all = append(all, block.Type)
		if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			all = append(all, "ENCRYPTED")
		}
		b = rest
	}
}

func read(name string) ([]byte, error) {
	fi, err := os.Stat(name) // through links, as certificate programs lay them
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular(): // opening a pipe would hang
		return nil, fmt.Errorf("%s is not a file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	b, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxBytes:
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxBytes)
	case len(bytes.TrimSpace(b)) == 0:
		return nil, fmt.Errorf("%s is empty", name)
	}
	return b, nil
}
