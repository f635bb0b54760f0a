package support

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hiddenText stands for a secret.
const hiddenText = "********"

// redactor takes out of texts what is nobody else's business. A secret becomes stars; an address gets a name that is the
// same each time, so that a reader still sees what belongs together. It errs on the side of hiding: a long word that
// looks random is taken for a token. It is no proof: whoever sends a bundle reads it first.
type redactor struct {
	literals []string          // texts that are known to be secret, wherever they stand
	host     *regexp.Regexp    // this host's name, nil when it says nothing
	names    map[string]string // pseudonyms
	count    map[string]int    // of each sort
}

func newRedactor() *redactor { return &redactor{names: map[string]string{}, count: map[string]int{}} }

// hostName hides the name of the host, unless it is one that many have: then it says nothing, and stands in other words.
func (r *redactor) hostName(name string) {
	if len(name) > 3 && !slices.Contains([]string{"localhost", "home", "homeassistant", "home-assistant", "raspberrypi", "castellan", "core", "host"}, name) {
		r.host = regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`)
	}
}

// secretKey matches the names of settings that hold secrets.
var secretKey = regexp.MustCompile(`(?i)pass(word|wd|phrase|code|key)?$|passw|pwd|secret|token|api_?-?key|access_?-?key|private_?-?key|auth_?-?key|credential|psk|_pin$|^pin$|cookie|authorization`)

// notSecret ends names of settings that say where a secret is.
var notSecret = regexp.MustCompile(`(?i)_(file|path|dir|id)$`)

func isSecretKey(key string) bool { return secretKey.MatchString(key) && !notSecret.MatchString(key) }

// rules are applied in this order; each replaces what it matches.
var (
	pemBlock   = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]+-----.*?(-----END [A-Z0-9 ]+-----|$)`)
	tokenShape = regexp.MustCompile(`\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*|\bcst_\w{20,}|AGE-SECRET-KEY-[0-9A-Z-]+|\bgh[pousr]_\w{20,}|\bgithub_pat_\w+|\bglpat-[\w-]{10,}|\bxox[a-z]-[\w-]+`)
	schemeWord = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}`)
	userInfo   = regexp.MustCompile(`://[^/\s@"']+@`)
	assignment = regexp.MustCompile(`([A-Za-z][\w.-]*)(\\?["']?\s*[:=]\s*)(\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*'|[^\s,;&}\]{\[][^\s,;&}\]]*)`) // what a brace opens is looked at itself
	flagged    = regexp.MustCompile(`((?:^|[\s"'\[,])--?)([A-Za-z][\w-]*)(\\?["']?(?:\s*,\s*|\s+)\\?["']?)([^\s"',\\\]-][^\s"',\\\]]*)`)
	mailShape  = regexp.MustCompile(`[\w.+%-]+@[\w-]+(?:\.[\w-]+)+`)
	macShape   = regexp.MustCompile(`(?i)\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b`)
	ip4Shape   = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}\b`)
	ip6Shape   = regexp.MustCompile(`(?i)(?:[0-9a-f]{0,4}:){2,}[0-9a-f]{0,4}`)
	changeID   = regexp.MustCompile(`^\d{8}t\d{15}$`) // the first part of one
	mixedWord  = regexp.MustCompile(`[A-Za-z0-9_-]{28,}|[A-Za-z0-9_+/-]{40,}`)
	longWord   = regexp.MustCompile(`(?:sha256:)?[A-Za-z0-9+=]{24,}`)
)

// own is the network that Home Assistant gives add-ons on every appliance; its addresses tell nothing of a house.
var own = netip.MustParsePrefix("172.30.32.0/23")

// text is s without secrets and addresses.
func (r *redactor) text(s string) string {
	for _, l := range r.literals {
		s = strings.ReplaceAll(s, l, hiddenText)
	}
	if r.host != nil {
		s = r.host.ReplaceAllString(s, "this-host")
	}
	s = pemBlock.ReplaceAllString(s, hiddenText)
	s = tokenShape.ReplaceAllString(s, hiddenText)
	s = schemeWord.ReplaceAllString(s, "$1 "+hiddenText)
	s = userInfo.ReplaceAllString(s, "://"+hiddenText+"@")
	s = assignment.ReplaceAllStringFunc(s, func(m string) string {
		p := assignment.FindStringSubmatch(m)
		if !isSecretKey(p[1]) {
			return p[1] + p[2] + r.assigned(p[3])
		}
		return p[1] + p[2] + hiddenText
	})
	s = flagged.ReplaceAllStringFunc(s, func(m string) string {
		p := flagged.FindStringSubmatch(m)
		if !isSecretKey(strings.ReplaceAll(p[2], "-", "_")) {
			return m
		}
		return p[1] + p[2] + p[3] + hiddenText
	})
	s = mailShape.ReplaceAllStringFunc(s, func(m string) string { return r.name("email", m) })
	s = macShape.ReplaceAllStringFunc(s, func(m string) string { return r.name("mac", strings.ToLower(m)) })
	s = ip4Shape.ReplaceAllStringFunc(s, r.address)
	s = ip6Shape.ReplaceAllStringFunc(s, r.address)
	s = mixedWord.ReplaceAllStringFunc(s, func(m string) string {
		if !strings.ContainsAny(m, "0123456789") || strings.ToLower(m) == m || strings.ToUpper(m) == m {
			return m // names are written in one case
		}
		return r.name("hidden", m)
	})
	return longWord.ReplaceAllStringFunc(s, func(m string) string {
		if strings.HasPrefix(m, "sha256:") || !strings.ContainsAny(m, "0123456789") || changeID.MatchString(m) {
			return m
		}
		return r.name("hidden", m)
	})
}

// assigned looks into a value for a setting within it, as msg="token=x".
func (r *redactor) assigned(v string) string {
	if !assignment.MatchString(v) {
		return v
	}
	return assignment.ReplaceAllStringFunc(v, func(m string) string {
		p := assignment.FindStringSubmatch(m)
		if !isSecretKey(p[1]) {
			return m
		}
		quote := ""
		if last := m[len(m)-1]; (last == '"' || last == '\'') && p[3][0] != last {
			quote = string(last)
		}
		return p[1] + p[2] + hiddenText + quote
	})
}

// name is the pseudonym of what.
func (r *redactor) name(sort, what string) string {
	if known, ok := r.names[sort+what]; ok {
		return known
	}
	r.count[sort]++
	r.names[sort+what] = fmt.Sprintf("%s-%d", sort, r.count[sort])
	return r.names[sort+what]
}

func (r *redactor) address(s string) string {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil, a.IsLoopback(), a.IsUnspecified(), own.Contains(a):
		return s
	case a.IsPrivate(), a.IsLinkLocalUnicast():
		return r.name("lan", a.String())
	}
	return r.name("ip", a.String())
}

// know adds texts that are secret. Short ones would hide half of every text.
func (r *redactor) know(texts ...string) {
	for _, t := range texts {
		if t = strings.TrimSpace(t); len(t) >= 4 && t != hiddenText && !slices.Contains(r.literals, t) {
			r.literals = append(r.literals, t, strings.Trim(strconv.Quote(t), `"`)) // as it stands, and as logs write it
		}
	}
	slices.SortFunc(r.literals, func(a, b string) int { return len(b) - len(a) }) // a longer one may hold a shorter one
}

// knowValue adds a value of a configuration file, unless it is so short that it is most likely a choice.
func (r *redactor) knowValue(v string) {
	if v = strings.Trim(strings.TrimSpace(v), `"'`); len(v) >= 6 {
		r.know(v)
	}
}

// told are fields of the API whose values are hashes that support compares.
var told = []string{"digest", "commit", "head", "manifest", "index", "id", "change"}

// value is v, as JSON was read, without secrets.
func (r *redactor) value(key string, v any) any {
	if isSecretKey(key) {
		switch v.(type) {
		case nil, bool: // whether there is one is no secret
		default:
			return hiddenText
		}
	}
	switch v := v.(type) {
	case string:
		if slices.Contains(told, key) && !strings.ContainsAny(v, " @=") {
			return v
		}
		return r.text(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = r.value("", e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[r.text(k)] = r.value(k, e)
		}
		return out
	}
	return v
}

// yaml is a configuration file without secrets, read line by line so that one with mistakes is shown too. What stands
// below env or below a name that looks secret is hidden altogether.
func (r *redactor) yaml(s string) string {
	var out []string
	hidden := -1 // the indent of the name that hides what is below it
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n")
		bare := strings.TrimLeft(line, " -")
		indent := len(line) - len(bare)
		if hidden >= 0 && (bare == "" || indent > hidden) {
			if name, _, ok := strings.Cut(bare, ":"); ok && !strings.ContainsAny(name, " '\"") && r.text(name) == name {
				r.knowValue(bare[len(name)+1:])
				out = append(out, line[:indent]+name+": "+hiddenText)
			} else if bare != "" {
				r.knowValue(bare)
				out = append(out, line[:indent]+hiddenText)
			}
			continue
		}
		hidden = -1
		name, rest, ok := strings.Cut(bare, ":")
		if name = strings.Trim(name, `"' `); ok && (isSecretKey(name) || name == "env") {
			hidden = indent
			if rest = strings.TrimSpace(rest); rest != "" {
				r.knowValue(rest)
				line = line[:indent] + name + ": " + hiddenText
			}
		}
		out = append(out, r.text(line))
	}
	return strings.Join(out, "\n") + "\n"
}
