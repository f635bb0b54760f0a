package config

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// plain refuses YAML that makes one value stand in several places, or several files in one.
func (s *source) plain(file *ast.File) error {
	if len(file.Docs) > 1 {
		for _, d := range file.Docs[1:] {
			if d.Body == nil {
				continue
			}
			pos := d.Body.GetToken().Position
			return s.at(pos.Line, pos.Column, "a second YAML document begins; keep one and delete the line ---")
		}
	}
	v := &aliases{}
	for _, d := range file.Docs {
		if d.Body != nil {
			ast.Walk(v, d.Body)
		}
	}
	if v.found != nil {
		pos := v.found.GetToken().Position
		return s.at(pos.Line, pos.Column, "anchors, aliases and tags are not supported; write the value out")
	}
	return nil
}

// aliases finds the first anchor, alias, merge key or tag.
type aliases struct{ found ast.Node }

// Visit implements ast.Visitor.
func (v *aliases) Visit(n ast.Node) ast.Visitor {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType, ast.TagType:
		if v.found == nil {
			v.found = n
		}
	}
	if v.found != nil {
		return nil
	}
	return v
}

// asText are the keys whose scalars are texts although they look like numbers: YAML reads the version 1.10 as 1.1 and
// the value 0755 as 493. With nested, the same holds for the values below the key.
var asText = map[string]struct{ nested bool }{"version": {}, "env": {true}, "labels": {true}, "headers": {true}}

// durations are the keys whose values are durations.
var durations = durationKeys(reflect.TypeFor[Config](), nil)

func durationKeys(t reflect.Type, keys []string) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return durationKeys(t.Elem(), keys)
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(t) {
			if f.Type == reflect.TypeFor[time.Duration]() {
				keys = append(keys, f.Tag.Get("yaml"))
			}
			keys = durationKeys(f.Type, keys)
		}
	}
	return keys
}

// scalars makes texts of what must be text, and checks durations, whose errors in the decoder have no place.
func (s *source) scalars(body ast.Node) error {
	v := &scalars{s: s}
	ast.Walk(v, body)
	return v.err
}

type scalars struct {
	s   *source
	err error
}

// Visit implements ast.Visitor.
func (v *scalars) Visit(n ast.Node) ast.Visitor {
	if v.err != nil {
		return nil
	}
	m, ok := n.(*ast.MappingValueNode)
	if !ok || m.Key == nil || m.Value == nil || m.Key.GetToken() == nil {
		return v
	}
	key := m.Key.GetToken().Value
	if how, ok := asText[key]; ok && !how.nested {
		toText(m)
	} else if ok {
		switch below := m.Value.(type) {
		case *ast.MappingNode:
			for _, value := range below.Values {
				toText(value)
			}
		case *ast.MappingValueNode:
			toText(below)
		}
	}
	if slices.Contains(durations, key) {
		v.duration(m.Value)
	}
	v.meant(key, m.Value)
	return v
}

// meant refuses what would count as left out although it is written.
func (v *scalars) meant(key string, n ast.Node) {
	t := n.GetToken()
	if v.err != nil || t == nil || t.Position == nil {
		return
	}
	switch {
	case key == "home_assistant" && n.Type() == ast.NullType:
		v.err = v.s.at(t.Position.Line, t.Position.Column, "home_assistant says nothing; write at least its config folder")
	case key == "wait_min_age":
		if d, err := time.ParseDuration(strings.TrimSpace(t.Value)); err == nil && d == 0 {
			v.err = v.s.at(t.Position.Line, t.Position.Column, "want 1m at least; write 1m to wait for nothing")
		}
	}
}

func toText(m *ast.MappingValueNode) {
	switch m.Value.Type() {
	case ast.IntegerType, ast.FloatType, ast.BoolType, ast.InfinityType, ast.NanType:
		if t := m.Value.GetToken(); t != nil {
			m.Value = ast.String(t)
		}
	}
}

func (v *scalars) duration(n ast.Node) {
	t := n.GetToken()
	switch n.Type() {
	case ast.NullType, ast.MappingType, ast.MappingValueType, ast.SequenceType: // the decoder's to refuse
		return
	}
	if t == nil || t.Position == nil {
		return
	}
	text := strings.TrimSpace(t.Value)
	if _, err := time.ParseDuration(text); err == nil && text != "0" {
		return
	}
	if _, err := time.ParseDuration(text + "s"); err == nil {
		v.err = v.s.at(t.Position.Line, t.Position.Column, "%.40q has no unit; write for example %q", text, text+"s")
		return
	}
	v.err = v.s.at(t.Position.Line, t.Position.Column, `%.40q is not a duration; write for example "30s"`, text)
}
