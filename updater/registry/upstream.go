package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/castellan/castellan/trust"
)

// UpstreamConfig says where images come from.
type UpstreamConfig struct {
	// Mirrors are base URLs by registry host ("ghcr.io": "https://mirror.example/ghcr"), tried in order before the
	// registry itself. A path becomes a prefix of the repository. http:// is spoken only where it is written.
	Mirrors map[string][]string
	// Credentials by host, as written in references and mirror URLs. No other source is asked: not the home folder of
	// root, not the environment, no helper program.
	Credentials map[string]Credential
	// Insecure are registry hosts that are spoken to without TLS. Loopback addresses always may be.
	Insecure []string
	// Timeout is for one manifest or token, with its body, from one mirror; 0 = 15 s.
	Timeout time.Duration
	// Log, nil = silent.
	Log *slog.Logger
}

// Credential is a user name and password or token. It does not print itself.
type Credential struct{ Username, Password string }

// String hides the credential from logs.
func (Credential) String() string { return "(credential)" }

// GoString hides it from %#v.
func (Credential) GoString() string { return "(credential)" }

// Upstream is all registries and mirrors. It is safe for concurrent use.
type Upstream struct {
	cfg     UpstreamConfig
	base    *http.Transport
	mirrors map[string][]source // by canonical registry host; repository is a prefix

	mu        sync.Mutex
	clients   map[string]*http.Client // by source
	demoted   map[string]time.Time    // by source host, until when
	manifests manifestCache
}

// demotion is how long a mirror that sent wrong bytes is asked last.
const demotion = time.Hour

// source is one place that has a repository.
type source struct {
	repo  name.Repository
	plain bool // may be spoken to without TLS
}

func (s source) String() string { return s.repo.RegistryStr() }

// NewUpstream checks the settings and prepares, but speaks to nobody.
func NewUpstream(cfg UpstreamConfig) (*Upstream, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, 15*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	u := &Upstream{
		cfg: cfg, base: newTransport(cfg.Timeout), mirrors: map[string][]source{},
		clients: map[string]*http.Client{}, demoted: map[string]time.Time{},
	}
	for host, list := range cfg.Mirrors {
		reg, err := name.NewRegistry(host)
		if err != nil {
			return nil, fmt.Errorf("cannot use registry.mirrors: %q is not a registry host", host)
		}
		for _, base := range list {
			s, err := parseMirror(base)
			if err != nil {
				return nil, fmt.Errorf("cannot use a mirror of %s: %w; correct registry.mirrors", host, err)
			}
			u.mirrors[reg.RegistryStr()] = append(u.mirrors[reg.RegistryStr()], s)
		}
	}
	return u, nil
}

func parseMirror(base string) (source, error) {
	b, err := url.Parse(base)
	switch {
	case err != nil:
		return source{}, errors.New("it is not a URL")
	case b.User != nil:
		return source{}, errors.New("a URL with a password in it is not taken, put it into the credentials file")
	case b.Scheme != "http" && b.Scheme != "https" || b.Host == "" || b.RawQuery != "" || b.Fragment != "":
		return source{}, fmt.Errorf("%q is not of the form https://host/prefix", b.Redacted())
	}
	reg, err := name.NewRegistry(b.Host)
	if b.Scheme == "http" {
		reg, err = name.NewRegistry(b.Host, name.Insecure)
	}
	if err != nil {
		return source{}, fmt.Errorf("%q is not a registry host", b.Host)
	}
	return source{repo: reg.Repo(strings.Trim(b.Path, "/")), plain: b.Scheme == "http"}, nil
}

// newTransport has a limit on everything but bodies, which their readers watch.
func newTransport(timeout time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: min(timeout, 10*time.Second)}).DialContext,
		TLSHandshakeTimeout:    timeout,
		ResponseHeaderTimeout:  timeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true, // digests are of the bytes as sent
		ForceAttemptHTTP2:      true,
	}
}

// Close drops idle connections.
func (u *Upstream) Close() { u.base.CloseIdleConnections() }

// sources lists where repo can be had, best first.
func (u *Upstream) sources(repo name.Repository) []source {
	host := repo.RegistryStr()
	var out []source
	for _, m := range u.mirrors[host] {
		out = append(out, source{repo: m.repo.Registry.Repo(m.repo.RepositoryStr(), repo.RepositoryStr()), plain: m.plain})
	}
	origin := source{repo: repo, plain: slices.Contains(u.cfg.Insecure, host) || isLoopback(host)}
	if origin.plain {
		if reg, err := name.NewRegistry(host, name.Insecure); err == nil {
			origin.repo = reg.Repo(repo.RepositoryStr())
		}
	}
	out = append(out, origin)
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	slices.SortStableFunc(out, func(a, b source) int {
		return cmp.Compare(btoi(u.demoted[a.String()].After(now)), btoi(u.demoted[b.String()].After(now)))
	})
	return out
}

// demote puts a mirror that sent wrong bytes last for a while.
func (u *Upstream) demote(s source, why error) {
	u.mu.Lock()
	u.demoted[s.String()] = time.Now().Add(demotion)
	u.mu.Unlock()
	u.cfg.Log.Warn("mirror sent wrong bytes; it is asked last for a while", "mirror", s.String(), "error", why)
}

// client is a client that is authorised to read from s. Getting one may take a request or two.
func (u *Upstream) client(ctx context.Context, s source) (*http.Client, error) {
	key := s.repo.Name()
	u.mu.Lock()
	c := u.clients[key]
	u.mu.Unlock()
	if c != nil {
		return c, nil
	}
	auth := authn.Anonymous
	if cred, ok := u.cfg.Credentials[s.repo.RegistryStr()]; ok {
		auth = authn.FromConfig(authn.AuthConfig{Username: cred.Username, Password: cred.Password})
	} else if cred, ok := u.cfg.Credentials["docker.io"]; ok && s.repo.RegistryStr() == name.DefaultRegistry {
		auth = authn.FromConfig(authn.AuthConfig{Username: cred.Username, Password: cred.Password})
	}
	ctx, cancel := context.WithTimeout(ctx, u.cfg.Timeout)
	defer cancel()
	rt, err := transport.NewWithContext(ctx, s.repo.Registry, auth, guard{inner: u.base, plain: s.plain}, []string{s.repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, classify(err)
	}
	c = &http.Client{Transport: rt, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > 5 {
			return errors.New("more than 5 redirects")
		}
		return nil
	}}
	u.mu.Lock()
	u.clients[key] = c
	u.mu.Unlock()
	return c, nil
}

// forget makes the next request authorise anew.
func (u *Upstream) forget(s source) {
	u.mu.Lock()
	delete(u.clients, s.repo.Name())
	u.mu.Unlock()
}

// guard keeps requests on TLS unless the settings say otherwise, whatever a redirect or the client's own guess about
// private addresses wants, and bounds every body but blobs'.
type guard struct {
	inner http.RoundTripper
	plain bool
}

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.plain {
		return nil, fmt.Errorf("%s is not spoken to without TLS", req.URL.Host)
	}
	resp, err := g.inner.RoundTrip(req)
	if err == nil && (!isBlobRequest(req) || resp.StatusCode >= 300) {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxManifest+1), resp.Body}
	}
	return resp, err
}

type blobKey struct{}

func isBlobRequest(req *http.Request) bool { return req.Context().Value(blobKey{}) != nil }

// get asks one source for v2/<repo>/<path>. Any status but 200 and 206 is an error of a kind, and so is everything
// that keeps an answer from coming.
func (u *Upstream) get(ctx context.Context, s source, path string, header http.Header) (*http.Response, error) {
	c, err := u.client(ctx, s)
	if err != nil {
		return nil, err
	}
	target := url.URL{Scheme: s.repo.Scheme(), Host: s.repo.RegistryStr(), Path: "/v2/" + s.repo.RepositoryStr() + "/" + path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, classify(err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		u.forget(s)
	}
	return nil, statusError(resp)
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// manifestCache keeps the newest manifests that were compared with their digests.
type manifestCache struct {
	order []trust.Digest
	bytes map[trust.Digest][]byte
}

const manifestsKept = 32

func (u *Upstream) cached(d trust.Digest) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.manifests.bytes[d]
}

func (u *Upstream) cache(d trust.Digest, b []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	m := &u.manifests
	if m.bytes == nil {
		m.bytes = map[trust.Digest][]byte{}
	}
	if _, ok := m.bytes[d]; !ok {
		m.order = append(m.order, d)
	}
	m.bytes[d] = b
	if len(m.order) > manifestsKept {
		delete(m.bytes, m.order[0])
		m.order = m.order[1:]
	}
}
