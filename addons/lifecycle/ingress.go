package lifecycle

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrNoPages is the answer about an add-on that has no pages of its own.
var ErrNoPages = errors.New("it has no pages of its own")

// Ingress is where an add-on's own pages are.
type Ingress struct {
	Token string // names the add-on in the addresses of its pages
	Port  uint16 // that it listens on
}

// Ingress says where an installed add-on's pages are. What a record of an earlier version, or a manifest of an earlier
// version of the add-on, did not need is made now and kept.
func (m *Manager) Ingress(slug string) (Ingress, error) {
	man, err := m.Manifest(slug)
	if err != nil {
		return Ingress{}, err
	}
	if !man.Ingress {
		return Ingress{}, ErrNoPages
	}
	var out Ingress
	if err := m.change(slug, func(r *Record) (bool, error) {
		if !r.installed() {
			return false, ErrNotInstalled
		}
		missing := false
		if r.IngressToken == "" {
			r.IngressToken, missing = newIngressToken(), true
		}
		out = Ingress{Token: r.IngressToken, Port: man.IngressPort}
		if out.Port == 0 {
			if r.IngressPort == 0 {
				r.IngressPort, missing = m.pickIngressPort(slug, man), true
			}
			out.Port = r.IngressPort
		}
		return missing, nil
	}); err != nil {
		return Ingress{}, err
	}
	if out.Port == 0 {
		return Ingress{}, fmt.Errorf("cannot tell where the pages of add-on %s are: no port is free for them; remove an add-on that you do not need", slug)
	}
	return out, nil
}

// ByIngress finds the installed add-on whose pages a token names. As [Manager.ByToken], it tells nothing by its time.
func (m *Manager) ByIngress(token string) (slug string, ok bool) {
	given := sha256.Sum256([]byte(token))
	m.mu.Lock()
	defer m.mu.Unlock()
	for s, r := range m.records {
		has := sha256.Sum256([]byte(r.IngressToken))
		if subtle.ConstantTimeCompare(given[:], has[:]) == 1 && r.IngressToken != "" && r.installed() && r.Removing == nil {
			slug, ok = s, true
		}
	}
	return slug, ok
}

// newIngressToken is as long as Home Assistant's.
func newIngressToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
