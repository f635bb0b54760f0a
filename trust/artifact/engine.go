package artifact

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/castellan/castellan/trust"
)

const (
	defaultDockerHost = "unix:///var/run/docker.sock"
	maxInspectBytes   = 8 << 20
)

// inspect is what we read of the engine's GET /images/{name}/json. Descriptor is there with the containerd image
// store only, where Id is the digest of a manifest or an index; in the classic store Id is that of the configuration.
type inspect struct {
	ID           string `json:"Id"`
	RepoTags     []string
	RepoDigests  []string
	OS           string `json:"Os"`
	Architecture string
	Variant      string
	Size         int64
	Descriptor   *struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
	}
}

// engineImage asks the engine which image ref is. The digest is the engine's word: it hashed the content when it
// stored it, and nobody can hash it again through this API.
func engineImage(ctx context.Context, ref string, o Options) (Artifact, error) {
	in, err := inspectImage(ctx, ref, o)
	if err != nil {
		return Artifact{}, fmt.Errorf("cannot read image %.200q from the Docker engine: %w", ref, err)
	}
	id, err := trust.ParseDigest(in.ID)
	if err != nil {
		return Artifact{}, fmt.Errorf("cannot read image %.200q from the Docker engine: its ID: %w", ref, err)
	}
	a := Artifact{Kind: trust.KindImage, Size: max(in.Size, 0)}
	a.Name, a.Version = nameOf(ref, in)
	s := trust.RecordSubject{Name: a.Name, Digest: id, Role: "config"}
	if d := in.Descriptor; d != nil {
		s.Role = "manifest"
		if strings.Contains(d.MediaType, "index") || strings.Contains(d.MediaType, "manifest.list") {
			s.Role = "index"
		}
	}
	if s.Role != "index" {
		s.Platform = trust.Platform{OS: in.OS, Architecture: in.Architecture, Variant: in.Variant}.String()
	}
	a.Subjects = []trust.RecordSubject{s}
	for _, rd := range in.RepoDigests {
		if _, err := name.NewDigest(rd); err == nil { // anything else is not a reference we could use
			a.Remote = append(a.Remote, rd)
		}
	}
	return a, nil
}

// nameOf chooses repository and version: those of ref when it has them, else the engine's first tag.
func nameOf(ref string, in inspect) (repository, version string) {
	candidates := in.RepoTags
	if r, err := name.ParseReference(ref); err == nil {
		same := func(s string) bool {
			got, err := name.ParseReference(s)
			return err == nil && got.Context().Name() == r.Context().Name()
		}
		if slices.ContainsFunc(in.RepoTags, same) || slices.ContainsFunc(in.RepoDigests, same) {
			candidates = append([]string{ref}, candidates...)
		}
	}
	for _, c := range candidates {
		r, err := name.ParseReference(c)
		if err != nil {
			continue
		}
		if tag, ok := r.(name.Tag); ok && tag.TagStr() != "latest" {
			version = tag.TagStr()
		}
		return r.Context().Name(), version
	}
	return "", ""
}

func inspectImage(ctx context.Context, ref string, o Options) (inspect, error) {
	host := o.DockerHost
	if host == "" {
		host = os.Getenv("DOCKER_HOST")
	}
	if host == "" {
		host = defaultDockerHost
	}
	tr, base, err := dockerTransport(host)
	if err != nil {
		return inspect{}, err
	}
	defer tr.CloseIdleConnections()
	// The path is not versioned: the engine then answers in its own version, and these fields are in all of them.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/images/"+escapePath(ref)+"/json", nil)
	if err != nil {
		return inspect{}, err
	}
	client := http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return inspect{}, fmt.Errorf("%w; is the engine running, and may you use %s?", err, host)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxInspectBytes+1))
	switch {
	case err != nil:
		return inspect{}, err
	case len(body) > maxInspectBytes:
		return inspect{}, fmt.Errorf("the engine's answer is longer than %d bytes", maxInspectBytes)
	case resp.StatusCode == http.StatusNotFound:
		return inspect{}, errors.New("the engine does not have it; pull it first, or name the registry's image without docker://")
	case resp.StatusCode != http.StatusOK:
		return inspect{}, fmt.Errorf("the engine answered %s", resp.Status)
	}
	var in inspect
	if err := json.Unmarshal(body, &in); err != nil {
		return inspect{}, fmt.Errorf("the engine's answer is not readable: %w", err)
	}
	return in, nil
}

// escapePath keeps the slashes of a reference, as the engine's router wants it, and nothing else that means something.
func escapePath(ref string) string {
	parts := strings.Split(ref, "/")
	for i, p := range parts {
		if p == ".." || p == "." {
			p = "%2e"
			parts[i] = p
			continue
		}
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// dockerTransport understands the DOCKER_HOST forms unix:// and tcp:// (with TLS when DOCKER_CERT_PATH and
// DOCKER_TLS_VERIFY are set, as Docker's own client does).
func dockerTransport(host string) (*http.Transport, string, error) {
	scheme, addr, _ := strings.Cut(host, "://")
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	tr := &http.Transport{ResponseHeaderTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10}
	switch scheme {
	case "unix":
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", addr) }
		return tr, "http://docker", nil
	case "tcp":
		tr.DialContext = dialer.DialContext
		if os.Getenv("DOCKER_TLS_VERIFY") == "" {
			return tr, "http://" + addr, nil
		}
		cfg, err := dockerTLS(os.Getenv("DOCKER_CERT_PATH"))
		if err != nil {
			return nil, "", err
		}
		tr.TLSClientConfig = cfg
		return tr, "https://" + addr, nil
	}
	return nil, "", fmt.Errorf("DOCKER_HOST %.80q is not understood; use unix://PATH or tcp://HOST:PORT", host)
}

func dockerTLS(dir string) (*tls.Config, error) {
	if dir == "" {
		return nil, errors.New("DOCKER_TLS_VERIFY is set without DOCKER_CERT_PATH; set it to the folder of ca.pem, cert.pem and key.pem")
	}
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", filepath.Join(dir, "ca.pem"))
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}
