package store

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// source is where a repository comes from, as its owner wrote it.
type source struct {
	text   string // URL with "#branch"
	url    string
	branch string // "" = the remote's default
	slug   string
}

const (
	localSlug = "local"
	coreSlug  = "core"
)

var builtins = map[string]source{
	"core":            {text: "https://github.com/home-assistant/addons", url: "https://github.com/home-assistant/addons", slug: coreSlug},
	"community":       builtinSource("https://github.com/hassio-addons/repository"),
	"esphome":         builtinSource("https://github.com/esphome/home-assistant-addon"),
	"music_assistant": builtinSource("https://github.com/music-assistant/home-assistant-addon"),
	"local":           {text: localSlug, slug: localSlug},
}

func builtinSource(s string) source { return source{text: s, url: s, slug: slugOf(s)} }

// slugOf is Home Assistant's: the text counts as it is written, with branch and trailing slash, but not its case.
func slugOf(text string) string {
	sum := sha1.Sum([]byte(strings.ToLower(text))) // an identifier that add-ons already carry, no protection
	return hex.EncodeToString(sum[:])[:8]
}

var branchName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]*$`)

// parseSource reads "https://host/path" or "https://host/path#branch".
func parseSource(text string) (source, error) {
	text = strings.TrimSpace(text)
	address, branch, hasBranch := strings.Cut(text, "#")
	if hasBranch && (len(branch) > 200 || !branchName.MatchString(branch) || strings.Contains(branch, "..") || strings.HasSuffix(branch, "/")) {
		return source{}, fmt.Errorf("%w: %q is not a branch; write https://host/path#branch", ErrSource, clean(branch))
	}
	if err := checkAddress(address); err != nil {
		return source{}, err
	}
	return source{text: text, url: address, branch: branch, slug: slugOf(text)}, nil
}

// checkAddress accepts git over https, and over http on this machine. It never repeats a password.
func checkAddress(address string) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s; write https://host/path", ErrSource, fmt.Sprintf(format, args...))
	}
	if address == "" || len(address) > 500 {
		return bad("it has %d characters, want 1 to 500", len(address))
	}
	for _, r := range address {
		if r <= ' ' || r > '~' || r == '\\' {
			return bad("it has blanks, control or foreign characters")
		}
	}
	u, err := url.Parse(address)
	switch {
	case err != nil && strings.Contains(address, "@"), err == nil && u.User != nil:
		return bad("credentials and ssh addresses are not supported, the repository must be public")
	case err != nil:
		return bad("%q is no URL", clean(address))
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return bad("http can be altered by anybody on the way")
	case u.Scheme != "https" && u.Scheme != "http":
		return bad("%q is not git over https; for a folder on this appliance use the local add-ons", clean(address))
	case u.Hostname() == "" || strings.Trim(u.Path, "/") == "":
		return bad("%q names no repository", clean(address))
	case u.RawQuery != "" || u.ForceQuery || u.Opaque != "":
		return bad("%q has a query", clean(address))
	}
	for _, part := range strings.Split(u.Path, "/") {
		if part == ".." || part == "." {
			return bad("%q has relative parts", clean(address))
		}
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// submoduleAddress resolves a submodule's URL, which may be relative to the repository's.
func submoduleAddress(parent, address string) (string, error) {
	if strings.HasPrefix(address, "./") || strings.HasPrefix(address, "../") {
		base, err := url.Parse(strings.TrimRight(parent, "/") + "/")
		if err != nil {
			return "", err
		}
		ref, err := url.Parse(address)
		if err != nil || ref.Host != "" {
			return "", fmt.Errorf("%w: %q", ErrSource, clean(address))
		}
		address = strings.TrimRight(base.ResolveReference(ref).String(), "/")
	}
	return address, checkAddress(address)
}
