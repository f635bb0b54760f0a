package addons

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Schema is the options language of Home Assistant: which options an add-on has, in the order of its file, and what
// each may be. The zero Schema has no options, so it drops all there are.
type Schema struct {
	open   bool // schema: false, anything goes
	fields []field
}

// Open tells whether the author wrote schema: false: the options are not checked and there is no form.
func (s Schema) Open() bool { return s.open }

// field is one option.
type field struct {
	name string
	element
}

// element says what a value must be: a scalar by its word, a list of one element, or a dictionary.
type element struct {
	text     string // as written: "int(1,5)?"; empty for lists and dictionaries
	word     string // int; "" for an element that matches nothing
	min, max *float64
	arg      string // of match, list and device: what stands in the brackets
	list     []element
	dict     []field
	isList   bool
	isDict   bool
}

// optional tells whether the option may be absent. A dictionary never may, even when all in it may.
func (e element) optional() bool {
	if e.isList && len(e.list) > 0 {
		e = e.list[0]
	}
	return !e.isList && !e.isDict && strings.HasSuffix(e.text, "?")
}

// elementForm is Home Assistant's grammar. One newline may follow: a block scalar (|) leaves it there.
var elementForm = regexp.MustCompile(`^(?:` +
	`|(bool|email|url|port)` +
	`|(device)(?:\(subsystem=([a-z]+)\))?` +
	`|(str|password)(?:\((\d+)?,(\d+)?\))?` +
	`|(int)(?:\((-?\d+)?,(-?\d+)?\))?` +
	`|(float)(?:\((-?\d*\.?\d+)?,(-?\d*\.?\d+)?\))?` +
	`|(match)\((.*)\)` +
	`|(list)\((.+)\)` +
	`)\??\n?$`)

// maxElement is how long one element may be; the longest in use, a list of voices, has nine thousand bytes.
const maxElement = 64 << 10

func parseElement(text string) (element, bool) {
	e := element{text: text}
	if len(text) > maxElement {
		return e, false
	}
	p := elementForm.FindStringSubmatch(text)
	if p == nil {
		return e, false
	}
	e.word = p[1] + p[2] + p[4] + p[7] + p[10] + p[13] + p[15]
	e.arg = p[3] + p[14] + p[16]
	e.min, e.max = bound(p[5]+p[8]+p[11]), bound(p[6]+p[9]+p[12])
	return e, true
}

func bound(s string) *float64 {
	if s == "" {
		return nil
	}
	f, _ := strconv.ParseFloat(s, 64) // the form was checked; what is too large is infinite
	return &f
}

// schema reads the key schema: a dictionary of elements, or false.
func (d *decoder) schema(n *node, where *at) Schema {
	if n.kind == kindBool && !n.yes {
		return Schema{open: true}
	}
	return Schema{fields: d.fields(n, where)}
}

func (d *decoder) fields(n *node, where *at) []field {
	var out []field
	d.dict(n, where, "a dictionary as name: str, or false", func(key string, n *node, where *at) {
		out = append(out, field{key, d.element(n, where, true)})
	})
	return out
}

func (d *decoder) element(n *node, where *at, listToo bool) element {
	switch {
	case n.kind == kindDict:
		return element{isDict: true, dict: d.fields(n, where)}
	case n.kind == kindList && listToo:
		e := element{isList: true}
		for i, item := range n.items {
			e.list = append(e.list, d.element(item, where.index(i), false))
		}
		return e
	case n.kind == kindText:
		e, ok := parseElement(n.text)
		if !ok {
			d.fail(n, where, "%q is no element; want str, int(1,10), list(a|b), … , with ? at the end when the option may be absent", short(n.text))
		}
		return e
	case n.kind == kindList:
		d.fail(n, where, "a list cannot hold a list; put a dictionary in between")
	default:
		d.fail(n, where, "want an element as str or bool?, got %s", n.kind)
	}
	return element{}
}

// plain is the schema as it was written.
func (s Schema) plain() any {
	if s.open {
		return false
	}
	return plainFields(s.fields)
}

func plainFields(fields []field) map[string]any {
	out := make(map[string]any, len(fields))
	for _, f := range fields {
		out[f.name] = f.plain()
	}
	return out
}

func (e element) plain() any {
	switch {
	case e.isDict:
		return plainFields(e.dict)
	case e.isList:
		list := make([]any, len(e.list))
		for i, item := range e.list {
			list[i] = item.plain()
		}
		return list
	}
	return e.text
}

// MarshalJSON writes the schema as its author did, in the order of the file.
func (s Schema) MarshalJSON() ([]byte, error) {
	if s.open {
		return []byte("false"), nil
	}
	return element{isDict: true, dict: s.fields}.appendJSON(nil)
}

func (e element) appendJSON(b []byte) (_ []byte, err error) {
	switch {
	case e.isDict:
		b = append(b, '{')
		for i, f := range e.dict {
			if i > 0 {
				b = append(b, ',')
			}
			name, err := json.Marshal(f.name)
			if err != nil {
				return nil, err
			}
			b = append(append(b, name...), ':')
			if b, err = f.appendJSON(b); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case e.isList:
		b = append(b, '[')
		for i, item := range e.list {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = item.appendJSON(b); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	text, err := json.Marshal(e.text)
	return append(b, text...), err
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Schema) UnmarshalJSON(data []byte) error {
	n, err := readFile("schema.json", data)
	if err != nil {
		return err
	}
	d := &decoder{}
	*s = d.schema(n, root)
	if err := d.err("schema"); err != nil {
		return fmt.Errorf("cannot read a schema: %w", err)
	}
	return nil
}
