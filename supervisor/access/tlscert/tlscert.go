// Package tlscert holds the certificate that the API shows to the network of the house: one that the appliance made
// for itself, or the owner's own files, which are taken up again when they change.
//
// A connection is more important than a perfect one: whatever is wrong with the owner's files or with the disk, there
// is a certificate to serve, and [Source.Problem] says what is wrong and what to do. What was good before stays in use
// until its successor is good too.
//
// Trust statement: the self-made certificate lies with its key in one file of mode 0600. Who can read it can pretend to
// be this appliance to people who accepted its fingerprint. It is worth nothing else, so a lost or damaged one is made
// anew, and people see another fingerprint.
package tlscert

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// soon is how long before the end of the owner's own certificate its end becomes a problem.
const soon = 14 * 24 * time.Hour

// Config is where the certificate comes from.
type Config struct {
	Dir   string   // of the self-made one; a folder of the daemon alone
	Cert  string   // the owner's own certificate with its chain, PEM; "" = self-made
	Key   string   // its key, PEM, without a passphrase
	Hosts []string // names and addresses of the appliance for the self-made one, at most 64; localhost is always in

	Now func() time.Time // time.Now
	Log *slog.Logger     // nothing
}

// Source is the certificate to serve now. It is safe for concurrent use.
type Source struct {
	cfg   Config
	hosts hosts

	mu      sync.Mutex // of Refresh
	now     atomic.Pointer[pair]
	problem error
	unkept  bool              // the self-made one is in memory only
	tried   [sha256.Size]byte // of the owner's files as they were looked at last
	wrong   error             // with those
}

// pair is a certificate with its key.
type pair struct {
	cert     tls.Certificate
	selfMade bool
}

// Open takes up the certificate. The error says that cfg is none; everything else is a [Source.Problem].
func Open(cfg Config) (*Source, error) {
	if (cfg.Cert == "") != (cfg.Key == "") {
		return nil, errors.New("cannot serve TLS: of certificate and key one is named and the other is not; name both, or none for a self-made one")
	}
	h, err := parseHosts(cfg.Hosts)
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Source{cfg: cfg, hosts: h}
	if err := s.Refresh(); s.now.Load() == nil {
		return nil, err
	}
	return s, nil
}

// Refresh looks at the owner's files again, and renews a self-made certificate that ends within 30 days. It returns
// the problem there is, which is logged when it is a new one. The daemon calls it every minute, and when it is told to
// reload; that costs a look at two small files.
func (s *Source) Refresh() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.problem
	if s.cfg.Cert != "" {
		s.problem = s.takeOwn()
	} else {
		s.problem = s.takeSelfMade()
	}
	if s.problem != nil && (before == nil || before.Error() != s.problem.Error()) {
		s.cfg.Log.Warn("the certificate wants an answer", "error", s.problem)
	}
	return s.problem
}

// Problem says what is wrong with the certificate, with the next step, nil when it is in order.
func (s *Source) Problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// GetCertificate is for [tls.Config].
func (s *Source) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return &s.now.Load().cert, nil
}

// Info is what people compare.
type Info struct {
	SelfMade    bool
	Names       []string // names and addresses it is for
	Issuer      string   // "" for a self-made one
	NotBefore   time.Time
	NotAfter    time.Time
	Fingerprint string // SHA-256 in the form of browsers, AB:CD:…
}

// Info is about the certificate served now.
func (s *Source) Info() Info {
	p := s.now.Load()
	leaf := p.cert.Leaf
	i := Info{SelfMade: p.selfMade, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, Fingerprint: fingerprint(leaf.Raw)}
	i.Names = append(i.Names, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		i.Names = append(i.Names, ip.String())
	}
	if !p.selfMade {
		i.Issuer = leaf.Issuer.String()
	}
	return i
}

func fingerprint(der []byte) string {
	var b strings.Builder
	for i, c := range sha256.Sum256(der) {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", c)
	}
	return b.String()
}
