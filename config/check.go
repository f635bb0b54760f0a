package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	namePattern      = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]*$`)
	idPattern        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)
	hostPattern      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	imagePattern     = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	tagPattern       = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	digestPattern    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	publisherPattern = regexp.MustCompile(`^p-[a-z2-7]{20}$`)
	envPattern       = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	capPattern       = regexp.MustCompile(`^[A-Z][A-Z_]*$`)
	signalPattern    = regexp.MustCompile(`^(SIG[A-Z0-9+-]+|[0-9]{1,2})$`)
)

// check validates a decoded file; the first mistake is the error.
func (s *source) check(c *Config) error {
	for _, step := range []func(*Config) error{s.general, s.registry, s.trust, s.channel, s.api, s.addons, s.homeAssistant, s.services, s.addonData, s.backup} {
		if err := step(c); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) general(c *Config) error {
	if err := s.folder("$.data_dir", c.DataDir); err != nil {
		return err
	}
	if err := s.folder("$.socket", c.Socket); err != nil {
		return err
	}
	if len(c.Socket) > 100 {
		return s.field("$.socket", "a unix socket's path has at most 100 bytes, this one %d", len(c.Socket))
	}
	if !idPattern.MatchString(c.Appliance.ID) {
		return s.field("$.appliance.id", `%q: use letters, digits, "_", "." and "-", at most 63`, c.Appliance.ID)
	}
	if !namePattern.MatchString(c.Appliance.Machine) {
		return s.field("$.appliance.machine", `%q is not a board name such as "raspberrypi4-64"`, c.Appliance.Machine)
	}
	if err := s.oneOf("$.appliance.arch", c.Appliance.Arch, "auto", "amd64", "arm64"); err != nil {
		return err
	}
	if err := s.oneOf("$.log.level", c.Log.Level, "debug", "info", "warn", "error"); err != nil {
		return err
	}
	if c.Limits.Parallel < 1 || c.Limits.Parallel > 16 {
		return s.field("$.limits.parallel", "%d: want 1 to 16", c.Limits.Parallel)
	}
	kind, rest, ok := strings.Cut(c.Engine.Host, "://")
	_, port, err := net.SplitHostPort(rest)
	if !ok || kind != "unix" && kind != "tcp" || kind == "unix" && !filepath.IsAbs(rest) || kind == "tcp" && (err != nil || !isPort(port)) {
		return s.field("$.engine.host", `%q: want "unix:///path" or "tcp://host:port"`, c.Engine.Host)
	}
	return nil
}

func (s *source) registry(c *Config) error {
	r := c.Registry
	addr, err := netip.ParseAddrPort(r.Listen)
	if err != nil || !addr.Addr().IsLoopback() || addr.Port() == 0 {
		return s.field("$.registry.listen", `%q: want a loopback address with a port, as "127.0.0.1:5599"`, r.Listen)
	}
	if r.RateLimit < 0 || r.RateLimit > 0 && r.RateLimit < 1024 {
		return s.field("$.registry.rate_limit", "%d: want bytes per second, at least 1024, or 0 for no limit", r.RateLimit)
	}
	for host, urls := range sorted(r.Mirrors) {
		at := "$.registry.mirrors." + quoteKey(host)
		if !hostPattern.MatchString(host) {
			return s.field(at, `%q is not a registry host such as "ghcr.io"`, host)
		}
		if len(urls) == 0 {
			return s.field(at, "no mirror is given; add a URL or delete the key")
		}
		for i, u := range urls {
			if err := s.httpURL(fmt.Sprintf("%s[%d]", at, i), u); err != nil {
				return err
			}
		}
	}
	if r.CredentialsFile != "" {
		return s.folder("$.registry.credentials_file", r.CredentialsFile)
	}
	return nil
}

func (s *source) trust(c *Config) error {
	t := c.Trust
	if err := s.folder("$.trust.root_dir", t.RootDir); err != nil {
		return err
	}
	if err := s.oneOf("$.trust.profile", t.Profile, "default", "strict"); err != nil {
		return err
	}
	if err := s.duration("$.trust.poll", t.Poll, minPoll, 7*24*time.Hour); err != nil {
		return err
	}
	for i, d := range t.Deny {
		if !digestPattern.MatchString(d) {
			return s.field(fmt.Sprintf("$.trust.deny[%d]", i), "%.80q is not a digest; want sha256: and 64 lower-case hex digits", d)
		}
	}
	for name, id := range sorted(t.Map) {
		at := "$.trust.map." + quoteKey(name)
		if !namePattern.MatchString(name) {
			return s.field(at, "%q is not a service name", name)
		}
		if !publisherPattern.MatchString(id) {
			return s.field(at, "%.40q is not a publisher ID; want p- and 20 letters or digits, as cas inspect shows it", id)
		}
	}
	if t.House != "" && !publisherPattern.MatchString(t.House) {
		return s.field("$.trust.house", "%.40q is not a publisher ID; want p- and 20 letters or digits, as cas login shows it", t.House)
	}
	return nil
}

func (s *source) channel(c *Config) error {
	ch := c.Channel
	if !namePattern.MatchString(ch.Name) {
		return s.field("$.channel.name", `%q is not a channel name such as "stable"`, ch.Name)
	}
	if err := s.duration("$.channel.poll", ch.Poll, minPoll, 7*24*time.Hour); err != nil {
		return err
	}
	for i, u := range ch.URLs {
		if err := s.httpURL(fmt.Sprintf("$.channel.urls[%d]", i), u); err != nil {
			return err
		}
	}
	return nil
}

// files checks that the files the configuration names are there. The default root folder is checked when it is read.
func (s *source) files(c *Config) error {
	if err := s.secretFile("$.registry.credentials_file", c.Registry.CredentialsFile); err != nil {
		return err
	}
	for i, svc := range c.Services {
		if h := svc.HomeAssistant; h != nil {
			if err := s.secretFile("$.services"+index(i)+".home_assistant.token_file", h.TokenFile); err != nil {
				return err
			}
		}
	}
	if fi, err := os.Stat(c.Trust.RootDir); err != nil {
		return s.field("$.trust.root_dir", "%v; install the root documents there or name their folder", err)
	} else if !fi.IsDir() {
		return s.field("$.trust.root_dir", "%s is not a folder", c.Trust.RootDir)
	}
	return nil
}

// secretFile wants a file that nobody but its owner can read; "" is none.
func (s *source) secretFile(at, name string) error {
	if name == "" {
		return nil
	}
	fi, err := os.Stat(name)
	if err != nil {
		return s.field(at, "%v; write the file or delete the key", err)
	}
	if !fi.Mode().IsRegular() {
		return s.field(at, "%s is not a file", name)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return s.field(at, "%s can be read by others; run chmod 600 %s", name, name)
	}
	return nil
}

// folder wants an absolute, clean path.
func (s *source) folder(at, path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
		return s.field(at, `%q: want an absolute path without "..", "//" or a "/" at its end`, path)
	}
	return nil
}

func (s *source) oneOf(at, got string, allowed ...string) error {
	if slices.Contains(allowed, got) {
		return nil
	}
	return s.field(at, "%.40q: want one of %s", got, strings.Join(allowed, ", "))
}

func (s *source) duration(at string, d, least, most time.Duration) error {
	if d < least || d > most {
		return s.field(at, "%s: want %s to %s", d, least, most)
	}
	return nil
}

// httpURL wants a web address without secrets in it.
func (s *source) httpURL(at, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" {
		return s.field(at, "want a URL that begins with https:// or http:// and names a host")
	}
	if u.User != nil {
		return redact(s.field(at, "a URL must not hold a user or password; use registry.credentials_file"))
	}
	return nil
}

// redact takes the source line out of an error about a secret.
func redact(err error) error {
	if e, ok := err.(*Error); ok {
		e.source = ""
	}
	return err
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && n < 1<<16
}

// index writes a position for a YAML path.
func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// quoteKey writes a map key for a YAML path.
func quoteKey(key string) string { return "'" + strings.ReplaceAll(key, "'", `\'`) + "'" }
