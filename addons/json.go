package addons

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// jsonFile turns JSON into nodes, token by token, so that depth and number are bounded while it reads.
type jsonFile struct {
	name string
	data []byte
	dec  *json.Decoder
	line int
	upto int64 // line is the line of this offset
	left int
}

func readJSON(name string, data []byte) (*node, error) {
	f := &jsonFile{name: name, data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1, left: maxNodes}
	f.dec.UseNumber()
	n, err := f.next(root, 1)
	if err != nil {
		return nil, err
	}
	if _, err := f.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, f.refuse(root, "something follows the closing bracket; delete it")
	}
	return n, nil
}

func (f *jsonFile) refuse(where *at, format string, args ...any) error {
	return invalid(f.name, f.here(), where, format, args...)
}

// here is the line of the last token.
func (f *jsonFile) here() int {
	to := min(f.dec.InputOffset(), int64(len(f.data)))
	f.line += bytes.Count(f.data[f.upto:to], []byte("\n"))
	f.upto = to
	return f.line
}

func (f *jsonFile) token(where *at) (json.Token, error) {
	t, err := f.dec.Token()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, f.refuse(where, "it ends in the middle; is it whole?")
	}
	if err != nil {
		return nil, f.refuse(where, "%s", short(strings.TrimPrefix(err.Error(), "json: ")))
	}
	return t, nil
}

func (f *jsonFile) next(where *at, depth int) (*node, error) {
	t, err := f.token(where)
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, f.refuse(where, "nested more than %d deep", maxDepth)
	}
	if f.left--; f.left < 0 {
		return nil, f.refuse(where, "more than %d values", maxNodes)
	}
	n := &node{line: f.here(), weight: 1}
	switch t := t.(type) {
	case bool:
		n.kind, n.yes, n.text = kindBool, t, strconv.FormatBool(t)
	case string:
		n.kind, n.text = kindText, t
	case json.Number:
		n.text = t.String()
		n.kind, n.num, n.float = numberOf(t)
	case json.Delim:
		if t == '[' {
			return f.list(n, where, depth)
		}
		return f.dict(n, where, depth)
	}
	return n, nil
}

// numberOf tells 1 from 1.0. A whole number that no 64 bits hold is a float, as large as it is.
func numberOf(t json.Number) (k kind, num int64, float float64) {
	if !strings.ContainsAny(t.String(), ".eE") {
		if v, err := t.Int64(); err == nil {
			return kindInt, v, 0
		}
	}
	float, _ = t.Float64() // JSON's own form; what is too large is infinite
	return kindFloat, 0, float
}

func (f *jsonFile) list(n *node, where *at, depth int) (*node, error) {
	n.kind = kindList
	for f.dec.More() {
		item, err := f.next(where.index(len(n.items)), depth+1)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	_, err := f.token(where)
	return n, err
}

func (f *jsonFile) dict(n *node, where *at, depth int) (*node, error) {
	n.kind = kindDict
	seen := map[string]int{}
	for f.dec.More() {
		t, err := f.token(where)
		if err != nil {
			return nil, err
		}
		key, _ := t.(string) // the decoder lets nothing else be a key
		e := entry{key: key, line: f.here()}
		if before, ok := seen[key]; ok {
			return nil, f.refuse(where.key(key), "it stands in line %d already; keep one of the two", before)
		}
		seen[key] = e.line
		if e.value, err = f.next(where.key(key), depth+1); err != nil {
			return nil, err
		}
		n.entries = append(n.entries, e)
	}
	_, err := f.token(where)
	return n, err
}
