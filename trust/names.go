package trust

import "strings"

// Longest names in records, in bytes.
const (
	maxName    = 512
	maxVersion = 128
	maxText    = 2000
	maxOrigin  = 255
)

// NameMatches tells whether pattern covers a canonical repository name, as "ghcr.io/home-assistant/*" covers
// "ghcr.io/home-assistant/core". "*" stands for any run of characters, none included, within one path segment; every
// other character stands for itself. It never crosses a "/", so a pattern covers exactly the depth it shows.
func NameMatches(pattern, repository string) bool {
	for {
		p, pRest, pMore := strings.Cut(pattern, "/")
		r, rRest, rMore := strings.Cut(repository, "/")
		if pMore != rMore || r == "" || !segmentMatches(p, r) {
			return false
		}
		if !pMore {
			return true
		}
		pattern, repository = pRest, rRest
	}
}

// segmentMatches matches greedily from star to star: linear in memory, and bounded by len(pattern)·len(segment) in
// time, whatever a hostile pattern looks like.
func segmentMatches(pattern, segment string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == segment
	}
	segment, ok := strings.CutPrefix(segment, first)
	if !ok {
		return false
	}
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(segment, part)
		}
		i := strings.Index(segment, part)
		if i < 0 {
			return false
		}
		segment, rest = segment[i+len(part):], more
	}
}

// Covers tells whether p's records may speak for repository. No patterns cover everything: names restrict and never
// grant.
func (p Publisher) Covers(repository string) bool {
	if len(p.Names) == 0 {
		return true
	}
	for _, pattern := range p.Names {
		if NameMatches(pattern, repository) {
			return true
		}
	}
	return false
}

// checkRepository accepts a canonical repository name: lower-case path segments, the first of which may carry a port.
// A tag or digest is refused.
func checkRepository(field, s string) error { return checkPath(field, s, false) }

// checkPattern accepts a repository name with "*" in it.
func checkPattern(field, s string) error { return checkPath(field, s, true) }

func checkPath(field, s string, star bool) error {
	if s == "" || len(s) > maxName {
		return fieldError(field, "a name has 1 to %d bytes, this one %d", maxName, len(s))
	}
	for n, segment := range strings.Split(s, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fieldError(field, "%q has an empty or relative path segment", s)
		}
		for i := 0; i < len(segment); i++ {
			c := segment[i]
			switch {
			case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
			case c == '*' && star:
			case (c == ':' || c == '[' || c == ']') && n == 0 && strings.Contains(s, "/"): // host:port, [::1]:port
			default:
				return fieldError(field, "%q is not a canonical repository name, as \"ghcr.io/home-assistant/core\"", s)
			}
		}
	}
	return nil
}

// checkOrigin accepts a ledger's origin: the first line of its checkpoints and part of a note's key name, hence
// without white space, "+" and control characters.
func checkOrigin(field, s string) error {
	if s == "" || strings.ContainsAny(s, " \t\u00a0+") {
		return fieldError(field, "%.80q is not a ledger origin, as \"ledger.example.org/main\"", s)
	}
	return checkText(field, s, maxOrigin)
}

// checkPlatform accepts the OCI form "linux/arm64/v8" with all its parts lower case.
func checkPlatform(field, s string) error {
	parts, empty := 1, true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '/' && !empty:
			parts, empty = parts+1, true
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
			empty = false
		default:
			return badPlatform(field, s)
		}
	}
	if empty || parts < 2 || parts > 3 || len(s) > 64 {
		return badPlatform(field, s)
	}
	return nil
}

func badPlatform(field, s string) error {
	return fieldError(field, "%.80q is not a platform, as \"linux/arm64\"", s)
}
