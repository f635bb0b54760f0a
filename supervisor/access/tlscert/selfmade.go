package tlscert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/castellan/castellan/config/durable"
)

// FileName is the self-made certificate with its key, in [Config.Dir]: one file, so that a power cut can't part them.
const FileName = "tls.pem"

const (
	life     = 730 * 24 * time.Hour // Apple's systems refuse what lives longer than 825 days
	renew    = 30 * 24 * time.Hour  // before the end
	backdate = 24 * time.Hour       // for clients whose clock is behind
	maxHosts = 64
)

// clockSet is a time that has passed: a clock before it was never set, and nothing is renewed on its word.
var clockSet = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// hosts are who the appliance is.
type hosts struct {
	names []string
	ips   []net.IP
}

var validHost = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$`)

func parseHosts(list []string) (h hosts, err error) {
	if len(list) > maxHosts {
		return h, fmt.Errorf("%d names and addresses, the limit is %d", len(list), maxHosts)
	}
	for _, s := range append(slices.Clone(list), "localhost", "127.0.0.1", "::1") {
		name := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
		bare, _, _ := strings.Cut(name, "%") // a certificate knows no interfaces
		ip := net.ParseIP(bare)
		switch {
		case ip != nil && !slices.ContainsFunc(h.ips, ip.Equal):
			h.ips = append(h.ips, ip)
		case ip != nil || slices.Contains(h.names, name):
		case len(name) > 253 || !validHost.MatchString(name):
			return h, fmt.Errorf("%.80q is no name or address of a computer", s)
		default:
			h.names = append(h.names, name)
		}
	}
	return h, nil
}

// takeSelfMade takes up the file, or makes it when it is missing, damaged, for another name, or at its end.
func (s *Source) takeSelfMade() error {
	if p := s.now.Load(); p != nil && p.selfMade && s.fits(p) == nil {
		return s.keepAgain(p)
	}
	path := filepath.Join(s.cfg.Dir, FileName)
	p, why := load(path)
	if why == nil {
		why = s.fits(p)
	}
	if why == nil {
		s.now.Store(p)
		return nil
	}
	p, err := s.make()
	if err != nil {
		return fmt.Errorf("cannot make a certificate: %w", err)
	}
	err = s.keep(p)
	s.now.Store(p)
	s.cfg.Log.Info("a certificate was made", "why", why, "fingerprint", fingerprint(p.cert.Leaf.Raw), "ends", p.cert.Leaf.NotAfter)
	return err
}

// keepAgain writes what could not be written when it was made.
func (s *Source) keepAgain(p *pair) error {
	if !s.unkept {
		return nil
	}
	return s.keep(p)
}

// load reads the self-made certificate.
func load(path string) (*pair, error) {
	b, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("there was none")
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil { // as a careless restore leaves it
		return nil, err
	}
	c, err := tls.X509KeyPair(b, b)
	if err != nil {
		return nil, fmt.Errorf("the former one is damaged: %w", err)
	}
	return &pair{cert: c, selfMade: true}, nil
}

// fits says why a self-made certificate has to be made anew.
func (s *Source) fits(p *pair) error {
	now, leaf := s.cfg.Now(), p.cert.Leaf
	for _, n := range s.hosts.names {
		if !slices.Contains(leaf.DNSNames, n) {
			return fmt.Errorf("the former one is not for %s", n)
		}
	}
	for _, ip := range s.hosts.ips {
		if !slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			return fmt.Errorf("the former one is not for %s", ip)
		}
	}
	switch {
	case now.Before(clockSet):
		return nil
	case now.Add(renew).After(leaf.NotAfter):
		return fmt.Errorf("the former one ends on %s", leaf.NotAfter.Format(time.DateOnly))
	case now.Before(leaf.NotBefore): // made while the clock was ahead
		return fmt.Errorf("the former one begins on %s", leaf.NotBefore.Format(time.DateOnly))
	}
	return nil
}

func (s *Source) make() (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now().UTC()
	from := now.Add(-backdate)
	t := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: s.hosts.names[0], Organization: []string{"Castellan, made by the appliance"}},
		NotBefore:    from, NotAfter: from.Add(life),
		DNSNames: s.hosts.names, IPAddresses: s.hosts.ips,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, // of no others: who imports it trusts this appliance and nobody else
	}
	if len(t.Subject.CommonName) > 64 { // the limit of X.520; SANs are what counts
		t.Subject.CommonName = "castellan"
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &pair{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, selfMade: true}, nil
}

// keep writes a pair. One that can't be written is served nevertheless.
func (s *Source) keep(p *pair) error {
	key, err := x509.MarshalPKCS8PrivateKey(p.cert.PrivateKey)
	if err == nil {
		err = durable.MkdirAll(s.cfg.Dir, 0o700)
	}
	if err == nil {
		b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Certificate[0]})
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
		err = durable.WriteFile(filepath.Join(s.cfg.Dir, FileName), b, 0o600)
	}
	if s.unkept = err != nil; s.unkept {
		return fmt.Errorf("cannot keep the self-made certificate: %w; until it can be written, its fingerprint is another one after each start", err)
	}
	return nil
}
