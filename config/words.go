package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// yamlError says what the parser found, in the owner's words.
func (s *source) yamlError(err error) error {
	var y yaml.Error
	if !errors.As(err, &y) {
		return s.at(0, 0, "%v", err)
	}
	line, column := 0, 0
	if t := y.GetToken(); t != nil && t.Position != nil {
		line, column = t.Position.Line, t.Position.Column
	}
	var wrongType *yaml.TypeError
	var overflow *yaml.OverflowError
	what := y.GetMessage()
	switch {
	case errors.As(err, &wrongType):
		what = "want " + kindWord(wrongType.DstType) + ", got " + kindWord(wrongType.SrcType)
	case errors.As(err, &overflow):
		what = fmt.Sprintf("%s is out of range for this key", overflow.SrcNum)
	}
	if name, ok := strings.CutPrefix(what, "unknown field "); ok {
		what = "unknown key " + name + suggest(strings.Trim(name, `"`))
	}
	return s.at(line, column, "%s", what)
}

func kindWord(t reflect.Type) string {
	if t == nil {
		return "nothing"
	}
	if t == reflect.TypeFor[time.Duration]() {
		return `a duration such as "30s"`
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindWord(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "keys with values"
	case reflect.Float32, reflect.Float64:
		return "a number with a fraction"
	default:
		return "a whole number"
	}
}

// suggest names the known key that is nearest to a mistyped one.
func suggest(key string) string {
	best, least := "", min(3, len(key)/3+1) // short words are near to everything
	for _, known := range knownKeys(reflect.TypeFor[Config](), nil) {
		if d := distance(key, known, least); d < least {
			best, least = known, d
		}
	}
	if best == "" {
		return "; the known keys are in the manual, castellan.example.yaml"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func knownKeys(t reflect.Type, keys []string) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return knownKeys(t.Elem(), keys)
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(t) {
			if key := f.Tag.Get("yaml"); key != "" {
				keys = knownKeys(f.Type, append(keys, key))
			}
		}
	}
	return keys
}

// distance is the Levenshtein distance of two short texts, or at least limit when it is that much.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit || len(a) > 40 {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
