package addons

import (
	"bytes"
	"path"
	"strings"
	"unicode/utf8"
)

// Limits on one file of a repository. Nodes counts a value again each time an alias repeats it, so a few lines cannot
// grow into gigabytes.
const (
	maxFileBytes = 256 << 10
	maxDepth     = 64
	maxNodes     = 50_000
)

// kind is what a value is after YAML 1.1 looked at it.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInt
	kindFloat
	kindText
	kindList
	kindDict
)

var kindNames = [...]string{"nothing", "a yes or no", "a whole number", "a number", "a text", "a list", "a dictionary"}

func (k kind) String() string { return kindNames[k] }

// node is one value of a file, whichever language it was written in. Nodes are shared by aliases: nobody changes them.
type node struct {
	kind    kind
	line    int
	text    string // a scalar as written, without quotes
	yes     bool
	num     int64
	float   float64
	items   []*node
	entries []entry
	weight  int // nodes below and this one, an alias counted as often as it stands
}

// entry is a key of a dictionary, in the order of the file.
type entry struct {
	key   string
	plain bool // the key is no text for YAML: 80 and on are a number and a yes
	line  int
	value *node
}

// get is the value of a key that is a text, or nil.
func (n *node) get(key string) *node {
	for _, e := range n.entries {
		if e.key == key && !e.plain {
			return e.value
		}
	}
	return nil
}

// value is the value as Go has it: nil, bool, int64, float64, string, []any, map[string]any. A key that is no text
// becomes the text it was written as.
func (n *node) value() any {
	switch n.kind {
	case kindBool:
		return n.yes
	case kindInt:
		return n.num
	case kindFloat:
		return n.float
	case kindText:
		return n.text
	case kindList:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.value()
		}
		return list
	case kindDict:
		dict := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			dict[e.key] = e.value.value()
		}
		return dict
	}
	return nil
}

// readFile makes nodes of a file; the ending of its name says the language. The error is an *[InvalidError].
func readFile(name string, data []byte) (*node, error) {
	if len(data) > maxFileBytes {
		return nil, invalid(name, 0, root, "it is larger than %d KiB; a file of this kind has a few", maxFileBytes>>10)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	line := 1
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return nil, invalid(name, line, root, "byte %#02x is not UTF-8; save the file as UTF-8", rest[0])
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return nil, invalid(name, line, root, "control character %#02x; is this a text file?", rest[0])
		}
		rest = rest[size:]
	}
	if strings.EqualFold(path.Ext(name), ".json") {
		return readJSON(name, data)
	}
	return readYAML(name, data)
}
