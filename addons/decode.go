package addons

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// decoder reads nodes into a Manifest, a Build or a Translation by the rules of Home Assistant's validator, and
// gathers what is wrong.
type decoder struct {
	problems []Problem
}

func (d *decoder) fail(n *node, where *at, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, Problem{n.line, where.String(), fmt.Sprintf(format, args...)})
	}
}

// err is the error for all problems, or nil.
func (d *decoder) err(name string) error {
	if len(d.problems) == 0 {
		return nil
	}
	return &InvalidError{File: name, Problems: d.problems}
}

func (d *decoder) is(n *node, where *at, want kind, example string) bool {
	if n.kind == want {
		return true
	}
	hint := ""
	switch {
	case want == kindText && n.kind > kindNull && n.kind < kindText:
		hint = fmt.Sprintf("; write it in quotes: %q", short(n.text))
	case example != "":
		hint = "; write " + example
	}
	d.fail(n, where, "want %s, got %s%s", want, n.kind, hint)
	return false
}

// maxText is how long the texts of a manifest may be that end up in names, labels and addresses.
const maxText = 4 << 10

func (d *decoder) text(n *node, where *at) string {
	if !d.is(n, where, kindText, "") {
		return ""
	}
	if len(n.text) > maxText {
		d.fail(n, where, "the text is longer than %d bytes; shorten it", maxText)
		return ""
	}
	return n.text
}

// oneLine is text without the one newline that a block scalar (|) leaves at its end.
func (d *decoder) oneLine(n *node, where *at) string {
	return strings.TrimSuffix(d.text(n, where), "\n")
}

// flag is what Home Assistant takes as yes or no: the words in any case, and for everything else whether it is empty.
func (d *decoder) flag(n *node, where *at) bool {
	v, ok := truth(n.value())
	if !ok {
		d.fail(n, where, "want true or false, got another text")
	}
	return v
}

// truth is whether v counts as yes; ok is false for a text that is none of the words.
func truth(v any) (yes, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		switch strings.ToLower(v) {
		case "1", "true", "yes", "on", "enable":
			return true, true
		case "0", "false", "no", "off", "disable":
			return false, true
		}
		return false, false
	case int64:
		return v != 0, true
	case float64:
		return v != 0, true
	case []any:
		return len(v) > 0, true
	case map[string]any:
		return len(v) > 0, true
	}
	return false, true
}

// whole is a whole number, from a number (cut to it), a yes or no, or a text of digits.
func (d *decoder) whole(n *node, where *at, least, most int64) int64 {
	v, ok := wholeOf(n.value())
	if !ok {
		d.fail(n, where, "want a whole number, got %s", n.kind)
		return 0
	}
	if v < least || v > most {
		d.fail(n, where, "want a number from %d to %d", least, most)
		return 0
	}
	return v
}

func wholeOf(v any) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	case float64:
		if math.IsNaN(v) || math.Abs(v) >= 1<<63 {
			return 0, false
		}
		return int64(v), true
	case string:
		s, ok := digits(strings.TrimSpace(v))
		if !ok {
			return 0, false
		}
		i, err := strconv.ParseInt(s, 10, 64)
		return i, err == nil
	}
	return 0, false
}

// digits takes the underscores out of a number as Python reads it: single ones, between digits.
func digits(s string) (string, bool) {
	if strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return "", false
	}
	for i := range len(s) {
		if s[i] == '_' && (!isDigit(s[i-1]) || !isDigit(s[i+1])) {
			return "", false
		}
	}
	return strings.ReplaceAll(s, "_", ""), true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// list calls read for each item of a list.
func (d *decoder) list(n *node, where *at, example string, read func(n *node, where *at)) {
	if d.is(n, where, kindList, example) {
		for i, item := range n.items {
			read(item, where.index(i))
		}
	}
}

// texts is a list of texts; never nil.
func (d *decoder) texts(n *node, where *at) []string {
	out := []string{}
	d.list(n, where, "a list of texts", func(n *node, where *at) { out = append(out, d.text(n, where)) })
	return out
}

// dict calls read for each entry of a dictionary whose keys are texts.
func (d *decoder) dict(n *node, where *at, example string, read func(key string, n *node, where *at)) {
	if !d.is(n, where, kindDict, example) {
		return
	}
	for _, e := range n.entries {
		switch {
		case e.plain:
			d.fail(&node{line: e.line}, where.number(e.key), "the key must be a text; write it in quotes: %q", short(e.key))
		case len(e.key) > maxText:
			d.fail(&node{line: e.line}, where.key(e.key), "the key is longer than %d bytes; shorten it", maxText)
		default:
			read(e.key, e.value, where.key(e.key))
		}
	}
}

// oneOf is a text out of a list.
func (d *decoder) oneOf(n *node, where *at, words ...string) string {
	if n.kind == kindText {
		for _, w := range words {
			if n.text == w {
				return w
			}
		}
	}
	d.fail(n, where, "want one of %s", strings.Join(words, ", "))
	return ""
}

// version is the text of a version, whatever YAML makes of it: 1.10 stays "1.10". Nothing is "".
func (d *decoder) version(n *node, where *at) string {
	switch n.kind {
	case kindNull:
		return ""
	case kindInt, kindFloat:
		return n.text
	case kindText:
		return d.oneLine(n, where)
	}
	d.fail(n, where, "want a version, got %s; write it in quotes", n.kind)
	return ""
}

// isURL tells whether v has a scheme and a host, as Home Assistant demands of addresses.
func isURL(v string) bool {
	scheme, rest, ok := strings.Cut(v, "://")
	if !ok || scheme == "" || strings.IndexFunc(scheme, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("+-.", r))
	}) >= 0 || !(scheme[0]|0x20 >= 'a' && scheme[0]|0x20 <= 'z') {
		return false
	}
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	return host != "" && strings.Contains(host, "[") == strings.Contains(host, "]")
}
