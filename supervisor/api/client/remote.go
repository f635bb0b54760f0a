package client

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// Remote is a daemon on the network.
type Remote struct {
	URL   string // "https://castellan.local:8480"
	Token string // an API token
	// Fingerprint is the SHA-256 of its certificate, as castellan status on the appliance shows it: "AB:CD:…"; "" = the
	// certificate must be one that this machine trusts.
	Fingerprint string
}

// NewRemote makes a client of a daemon on the network; nothing is opened yet.
func NewRemote(r Remote) (*Client, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("cannot use the address of the daemon: want one as https://castellan.local:8480")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("cannot send the token in the clear over the network: want https://, or http:// on this machine only")
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.Fingerprint != "" {
		want, err := hex.DecodeString(strings.ReplaceAll(r.Fingerprint, ":", ""))
		if err != nil || len(want) != sha256.Size {
			return nil, errors.New("cannot use the fingerprint: want 32 bytes in hexadecimal digits, as castellan status on the appliance shows them")
		}
		if u.Scheme == "http" {
			return nil, errors.New("cannot hold http:// to a fingerprint: want https://")
		}
		conf.InsecureSkipVerify = true // #nosec G402: the certificate must be exactly one, below
		conf.VerifyConnection = func(s tls.ConnectionState) error {
			if got := sha256.Sum256(s.PeerCertificates[0].Raw); string(got[:]) != string(want) {
				return &otherCertificate{got[:]}
			}
			return nil
		}
	}
	c := &Client{at: r.URL, base: u.Scheme + "://" + u.Host, away: true, wait: patience}
	c.http.Transport = bearer{r.Token, &http.Transport{TLSClientConfig: conf, TLSHandshakeTimeout: 15 * time.Second}}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the token is for nobody else
	return c, nil
}

// loopback tells whether a name is this machine's.
func loopback(name string) bool {
	addr, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && addr.IsLoopback()
}

// bearer sends a token with each call.
type bearer struct {
	token string
	http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.RoundTripper.RoundTrip(r)
}

// otherCertificate says that somebody else answers, or the appliance with a new certificate.
type otherCertificate struct{ sum []byte }

func (e *otherCertificate) Error() string {
	return "it shows another certificate, with fingerprint " + fingerprint(e.sum)
}

// fingerprint writes a sum as browsers do.
func fingerprint(sum []byte) string {
	var out []string
	for _, b := range sum {
		out = append(out, fmt.Sprintf("%02X", b))
	}
	return strings.Join(out, ":")
}

// strange says of an error whether it is about the certificate, with what a person does about it.
func strange(err error) error {
	var other *otherCertificate
	var verify *tls.CertificateVerificationError
	const compare = "compare the fingerprint with the one castellan status shows on the appliance; if it is the same, give it with --fingerprint"
	switch {
	case errors.As(err, &other):
		return &api.Error{Key: "certificate", Message: "cannot trust the daemon: " + other.Error(), Next: compare}
	case errors.As(err, &verify):
		sum := sha256.Sum256(firstRaw(verify.UnverifiedCertificates))
		return &api.Error{Key: "certificate", Message: fmt.Sprintf("cannot trust the daemon: %v; its fingerprint is %s", verify.Err, fingerprint(sum[:])), Next: compare}
	}
	return nil
}

func firstRaw(list []*x509.Certificate) []byte {
	if len(list) == 0 {
		return nil
	}
	return list[0].Raw
}
