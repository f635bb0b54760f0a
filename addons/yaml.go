package addons

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// yamlFile turns the tree of the YAML library into nodes. The library reads YAML 1.2; what a plain scalar means is
// decided here, by the rules of YAML 1.1 that Home Assistant's reader follows (see resolve).
//
// A key that stands twice is refused. Home Assistant silently takes the last one; of its own 24 add-ons none has any,
// and whoever reads the file sees the first.
type yamlFile struct {
	name    string
	anchors map[string]*node
	left    int // nodes that may still be made
}

func readYAML(name string, data []byte) (n *node, err error) {
	defer func() { // the library must not take the daemon down over a stranger's file
		if r := recover(); r != nil {
			n, err = nil, invalid(name, 0, root, "the YAML in it cannot be read; write it more plainly")
		}
	}()
	if line := manyTabs(data); line > 0 {
		return nil, invalid(name, line, root, "too many tabs; write spaces")
	}
	tokens := lexer.Tokenize(string(data))
	if line, what := tooMuch(tokens); line > 0 {
		return nil, invalid(name, line, root, "%s", what)
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntax(name, err)
	}
	f := &yamlFile{name: name, left: maxNodes}
	var body ast.Node
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			return nil, invalid(name, line(d.Body), root, secondDocument)
		}
		body = d.Body
	}
	if body == nil {
		return &node{line: 1, weight: 1}, nil
	}
	return f.node(body, root, 1)
}

// syntax takes the place and the sentence out of the library's error.
func syntax(name string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return invalid(name, 0, root, "%s", short(err.Error()))
	}
	return invalid(name, at.GetToken().Position.Line, root, "%s", short(at.GetMessage()))
}

func line(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

func (f *yamlFile) refuse(n ast.Node, where *at, format string, args ...any) error {
	return invalid(f.name, line(n), where, format, args...)
}

// node makes the node of n, and counts it.
func (f *yamlFile) node(n ast.Node, where *at, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, f.refuse(n, where, "nested more than %d deep", maxDepth)
	}
	made, err := f.make(n, where, depth)
	if err != nil {
		return nil, err
	}
	if f.left -= 1; f.left < 0 {
		return nil, f.refuse(n, where, "more than %d values", maxNodes)
	}
	return made, nil
}

func (f *yamlFile) make(n ast.Node, where *at, depth int) (*node, error) {
	switch n := n.(type) {
	case nil:
		return &node{weight: 1}, nil
	case *ast.MappingNode:
		return f.dict(n, n.Values, where, depth)
	case *ast.MappingValueNode:
		return f.dict(n, []*ast.MappingValueNode{n}, where, depth)
	case *ast.SequenceNode:
		out := &node{kind: kindList, line: line(n), weight: 1, items: make([]*node, 0, len(n.Values))}
		for i, v := range n.Values {
			item, err := f.node(v, where.index(i), depth+1)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, item)
			out.weight += item.weight
		}
		return out, nil
	case *ast.AnchorNode:
		made, err := f.node(n.Value, where, depth+1)
		if err == nil && n.Name != nil {
			if f.anchors == nil {
				f.anchors = map[string]*node{}
			}
			f.anchors[n.Name.GetToken().Value] = made
		}
		return made, err
	case *ast.AliasNode:
		made, ok := f.anchors[n.Value.GetToken().Value]
		if !ok {
			return nil, f.refuse(n, where, "nothing above is named &%s", short(n.Value.GetToken().Value))
		}
		if f.left -= made.weight; f.left < 0 || depth+height(made) > maxDepth {
			return nil, f.refuse(n, where, "its aliases make more than %d values, or more than %d levels", maxNodes, maxDepth)
		}
		return made, nil
	case *ast.MappingKeyNode: // "? key"
		return f.node(n.Value, where, depth+1)
	case *ast.TagNode:
		return f.tagged(n, where, depth)
	case *ast.LiteralNode:
		return &node{kind: kindText, line: line(n), text: n.Value.Value, weight: 1}, nil
	case *ast.StringNode:
		if n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType {
			return &node{kind: kindText, line: line(n), text: n.Value, weight: 1}, nil
		}
		return resolve(n.Value, line(n)), nil
	case ast.ScalarNode:
		return resolve(strings.TrimSpace(n.GetToken().Value), line(n)), nil
	}
	return nil, f.refuse(n, where, "a %s cannot stand here", n.Type())
}

// height is how many levels stand below n.
func height(n *node) int {
	most := 0
	for _, item := range n.items {
		most = max(most, height(item)+1)
	}
	for _, e := range n.entries {
		most = max(most, height(e.value)+1)
	}
	return most
}

// tagged is a value whose author says what it is.
func (f *yamlFile) tagged(n *ast.TagNode, where *at, depth int) (*node, error) {
	tag := n.Start.Value
	made, err := f.node(n.Value, where, depth+1)
	if err != nil {
		return nil, err
	}
	switch {
	case tag == "!!str" && made.kind < kindList:
		return &node{kind: kindText, line: made.line, text: made.text, weight: 1}, nil
	case tag == "!!map" && made.kind == kindDict, tag == "!!seq" && made.kind == kindList,
		tag == "!!null" && made.kind == kindNull, tag == "!!bool" && made.kind == kindBool,
		tag == "!!int" && made.kind == kindInt, tag == "!!float" && made.kind == kindFloat:
		return made, nil
	case made.kind == kindText && tag != "!!str" && strings.HasPrefix(tag, "!!"):
		if again := resolve(made.text, made.line); "!!"+yamlNames[again.kind] == tag {
			return again, nil
		}
	}
	return nil, f.refuse(n, where, "the tag %s is not known here; write the value in quotes", short(tag))
}

var yamlNames = [...]string{"null", "bool", "int", "float", "str", "seq", "map"}

// dict makes a dictionary; keys of a merge (<<) stand behind the dictionary's own.
func (f *yamlFile) dict(n ast.Node, values []*ast.MappingValueNode, where *at, depth int) (*node, error) {
	out := &node{kind: kindDict, line: line(n), weight: 1, entries: make([]entry, 0, len(values))}
	seen := make(map[string]int, len(values))
	var merged []entry
	for _, v := range values {
		if _, ok := v.Key.(*ast.MergeKeyNode); ok {
			more, err := f.merge(v.Value, where, depth)
			if err != nil {
				return nil, err
			}
			merged = append(merged, more...)
			continue
		}
		e, err := f.entry(v, where, depth)
		if err != nil {
			return nil, err
		}
		if before, ok := seen[e.key]; ok {
			return nil, invalid(f.name, e.line, where.key(e.key), "it stands in line %d already; keep one of the two", before)
		}
		seen[e.key] = e.line
		out.entries = append(out.entries, e)
		out.weight += e.value.weight
	}
	for _, e := range merged {
		if _, ok := seen[e.key]; !ok {
			seen[e.key] = e.line
			out.entries = append(out.entries, e)
			out.weight += e.value.weight
		}
	}
	return out, nil
}

func (f *yamlFile) entry(v *ast.MappingValueNode, where *at, depth int) (entry, error) {
	key, err := f.node(v.Key, where, depth+1)
	if err != nil {
		return entry{}, err
	}
	if key.kind >= kindList {
		return entry{}, f.refuse(v.Key, where, "a key must be a text, this one is %s", key.kind)
	}
	e := entry{key: key.text, plain: key.kind != kindText, line: key.line}
	below := where.key(e.key)
	if e.plain {
		below = where.number(e.key)
	}
	if e.value, err = f.node(v.Value, below, depth+1); err != nil {
		return entry{}, err
	}
	if e.value.line == 0 {
		empty := *e.value
		empty.line = e.line
		e.value = &empty
	}
	return e, nil
}

// merge is what << brings in: a dictionary or a list of them, the first one first.
func (f *yamlFile) merge(v ast.Node, where *at, depth int) ([]entry, error) {
	from, err := f.node(v, where, depth+1)
	if err != nil {
		return nil, err
	}
	dicts := []*node{from}
	if from.kind == kindList {
		dicts = from.items
	}
	var all []entry
	for _, d := range dicts {
		if d.kind != kindDict {
			return nil, f.refuse(v, where, "<< brings in dictionaries, this is %s", d.kind)
		}
		all = append(all, d.entries...)
	}
	return all, nil
}
