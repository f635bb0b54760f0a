package api

import (
	"net/url"
	"regexp"
	"strings"
)

// maxDecodes is how often a part of an address is decoded; what is hidden deeper is refused for that.
const maxDecodes = 5

// attacks are what no path and no query of ours holds: script and SQL, and files of other programs.
var attacks = regexp.MustCompile(`(?i)<\s*/?\s*script|javascript:|\bon(error|load)\s*=|\bunion\b.*\bselect\b|\bselect\b.*\bfrom\b|\binsert\s+into\b|` +
	`\bdrop\s+table\b|\bdelete\s+from\b|\b(concat|sleep|benchmark)\s*\(|'\s*(or|and)\s+['\d]|--\s*$|/etc/passwd|/proc/self`)

// suspicious says why an address is refused unheard, "" when it is not. It is decoded again and again, as a careless
// program further on might.
func suspicious(u *url.URL) string {
	if why := suspiciousPart(u.EscapedPath(), url.PathUnescape); why != "" {
		return "the path " + why
	}
	if why := suspiciousPart(u.RawQuery, url.QueryUnescape); why != "" {
		return "the query " + why
	}
	return ""
}

func suspiciousPart(s string, decode func(string) (string, error)) string {
	for range maxDecodes + 1 {
		if why := odd(s); why != "" {
			return why
		}
		next, err := decode(s)
		if err != nil || next == s { // a percent sign that encodes nothing is a character
			return ""
		}
		s = next
	}
	return "is encoded too often"
}

func odd(s string) string {
	for _, c := range s {
		if c < ' ' || c == 0x7f {
			return "holds a control character"
		}
	}
	for _, part := range strings.FieldsFunc(s, func(c rune) bool { return c == '/' || c == '\\' || c == '=' || c == '&' || c == '?' }) {
		if part == ".." {
			return `holds ".."`
		}
	}
	if attacks.MatchString(s) {
		return "looks like an attack"
	}
	return ""
}
