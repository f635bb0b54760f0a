package addons

import (
	"errors"
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scalar checks one value that is there, and turns it into what the element says.
func (v *validator) scalar(e element, value any, path string) (any, error) {
	bad := func(kind string) (any, error) { return nil, wrong(path, kind, "want %s", e.want()) }
	within := func(n float64) bool { return (e.min == nil || n >= *e.min) && (e.max == nil || n <= *e.max) }
	switch e.word {
	case "str", "password":
		text, ok := value.(string)
		switch {
		case !ok:
			return bad("type")
		case !within(float64(utf8.RuneCountInString(text))):
			return bad("range")
		}
		return text, nil
	case "bool":
		yes, ok := truth(value)
		if !ok {
			return bad("type")
		}
		return yes, nil
	case "int", "port":
		n, ok := wholeOf(value)
		switch {
		case !ok:
			return bad("type")
		case !within(float64(n)) || e.word == "port" && (n < 1 || n > 65535):
			return bad("range")
		}
		return n, nil
	case "float":
		f, ok := floatOf(value)
		switch {
		case !ok:
			return bad("type")
		case !within(f):
			return bad("range")
		}
		return f, nil
	case "email":
		if text, ok := value.(string); !ok || !isEmail(text) {
			return bad("type")
		}
		return value, nil
	case "url":
		if text, ok := value.(string); !ok || !isURL(text) {
			return bad("type")
		}
		return value, nil
	case "match":
		text, ok := asText(value)
		if !ok {
			return bad("type")
		}
		switch err := matchStart(e.arg, text); {
		case errors.Is(err, errNoMatch):
			return bad("pattern")
		case err != nil:
			return nil, wrong(path, "schema_error", "%v", err)
		}
		return text, nil
	case "list":
		text, ok := asText(value)
		if !ok || !member(e.arg, text) {
			return bad("enum")
		}
		return text, nil
	case "device":
		device, ok := value.(string)
		if !ok || !v.device(device, e.arg) {
			return bad("device")
		}
		return device, nil
	}
	return nil, wrong(path, "schema_error", "the add-on's schema does not say what this may be; tell its author")
}

func (v *validator) device(device, subsystem string) bool {
	if v.o.Device != nil {
		return v.o.Device(device, subsystem)
	}
	return strings.HasPrefix(device, "/dev/") && path.Clean(device) == device
}

func member(list, text string) bool {
	for word := range strings.SplitSeq(list, "|") {
		if word == text {
			return true
		}
	}
	return false
}

func floatOf(value any) (float64, bool) {
	switch n := value.(type) {
	case bool:
		if n {
			return 1, true
		}
		return 0, true
	case int64:
		return float64(n), true
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0) // neither can be written to options.json
	case string:
		s, ok := digits(strings.TrimSpace(n))
		if !ok || strings.ContainsAny(s, "xXpPiI") {
			return 0, false
		}
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil && !math.IsNaN(f)
	}
	return 0, false
}

// asText is a scalar as Python writes it.
func asText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return pythonFloat(v), true
	}
	return "", false
}

func pythonFloat(f float64) string {
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		format = 'e'
	}
	s := strconv.FormatFloat(f, format, -1, 64)
	if format == 'f' && !strings.Contains(s, ".") && !math.IsInf(f, 0) && !math.IsNaN(f) {
		s += ".0"
	}
	return s
}

// The forms of an e-mail address that Home Assistant takes.
var (
	emailUser   = regexp.MustCompile("(?i)^[-!#$%&'*+/=?^_`{}|~0-9A-Z]+(?:\\.[-!#$%&'*+/=?^_`{}|~0-9A-Z]+)*$")
	emailDomain = regexp.MustCompile(`(?i)^(?:(?:[A-Z0-9](?:[A-Z0-9-]{0,61}[A-Z0-9])?\.)+(?:[A-Z]{2,6}\.?|[A-Z0-9-]{2,}\.?)|\[(?:25[0-5]|2[0-4]\d|[01]?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|[01]?\d?\d)){3}\])$`)
)

func isEmail(s string) bool {
	i := strings.LastIndexByte(s, '@')
	return i > 0 && emailUser.MatchString(s[:i]) && emailDomain.MatchString(s[i+1:])
}
