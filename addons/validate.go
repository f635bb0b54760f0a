package addons

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Outside is what options are checked against besides the schema.
type Outside struct {
	// Secret looks a name up that an option writes as "!secret name"; nil knows none.
	Secret func(name string) (string, bool)
	// Device tells whether a device is present, and in the subsystem when that is not ""; nil takes every path below /dev.
	Device func(path, subsystem string) bool
}

// OptionError says which option is wrong and what it must be, in words for the owner. It never holds a value: that may
// be a secret.
type OptionError struct {
	Path string // "logins[0].password"
	Kind string // null_value missing_option type range pattern enum device secret not_list not_dict schema_error
	What string // "want a whole number from 1 to 10"
}

// Error is one sentence.
func (e *OptionError) Error() string { return fmt.Sprintf("option %s: %s", e.Path, e.What) }

func wrong(path, kind, format string, args ...any) *OptionError {
	return &OptionError{short(path), kind, fmt.Sprintf(format, args...)}
}

// Validate checks options, which are the defaults of the manifest merged with what the owner wrote. Clean is what the
// add-on reads: texts turned into numbers, secrets filled in, unknown options gone; dropped names those. The error is
// an *[OptionError]. Options may come from JSON or YAML: nil, bool, numbers of any kind, json.Number, string, []any,
// map[string]any. A float64 is a number with a fraction even when it is whole, so decode with [ParseOptions] or
// UseNumber. Nothing of clean is shared with options. With schema: false everything is clean.
func (s Schema) Validate(options map[string]any, o Outside) (clean map[string]any, dropped []string, err error) {
	if s.open {
		return Merge(options, nil), nil, nil
	}
	v := &validator{o: o}
	clean, err = v.dict(s.fields, options, "")
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(v.dropped)
	return clean, v.dropped, nil
}

type validator struct {
	o       Outside
	dropped []string
}

// maxDropped is how many unknown options are named.
const maxDropped = 100

func (v *validator) dict(fields []field, in map[string]any, path string) (map[string]any, error) {
	out := make(map[string]any, len(fields))
	known := make(map[string]bool, len(fields))
	for _, f := range fields {
		known[f.name] = true
		value, given := in[f.name]
		below := join(path, f.name)
		if !given {
			if !f.optional() {
				return nil, wrong(below, "missing_option", "it is missing; write %s", f.want())
			}
			continue
		}
		clean, err := v.value(f.element, value, below)
		if err != nil {
			return nil, err
		}
		out[f.name] = clean
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if !known[name] && len(v.dropped) < maxDropped {
			v.dropped = append(v.dropped, short(join(path, name)))
		}
	}
	return out, nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// secretMark is before the name of a secret.
const secretMark = "!secret "

func (v *validator) value(e element, value any, path string) (any, error) {
	switch {
	case e.isDict:
		dict, ok := value.(map[string]any)
		if !ok {
			return nil, wrong(path, "not_dict", "want %s", e.want())
		}
		return v.dict(e.dict, dict, path)
	case e.isList:
		list, ok := value.([]any)
		switch {
		case len(e.list) == 0:
			return nil, wrong(path, "schema_error", "the add-on's schema does not say what this list holds; tell its author")
		case !ok:
			return nil, wrong(path, "not_list", "want %s", e.want())
		}
		out := make([]any, len(list))
		for i, item := range list {
			clean, err := v.value(e.list[0], item, fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return nil, err
			}
			out[i] = clean
		}
		return out, nil
	}
	value, ok := plainNumber(value)
	if !ok {
		return nil, wrong(path, "type", "want %s", e.want())
	}
	if value == nil {
		return nil, wrong(path, "null_value", "it has no value; write %s", e.want())
	}
	if text, ok := value.(string); ok && strings.HasPrefix(text, secretMark) {
		name := strings.TrimPrefix(text, secretMark)
		if v.o.Secret == nil {
			return nil, wrong(path, "secret", "secrets are not known here; write the value")
		}
		if value, ok = v.o.Secret(name); !ok {
			return nil, wrong(path, "secret", "secrets.yaml of Home Assistant Core has no such name; add it there")
		}
	}
	return v.scalar(e, value, path)
}

// plainNumber makes int64 and float64 of the numbers that Go's decoders give; ok is false for what no decoder gives.
func plainNumber(value any) (any, bool) {
	switch n := value.(type) {
	case nil, bool, string, int64, float64, []any, map[string]any:
		return value, true
	case json.Number:
		k, num, float := numberOf(n)
		if k == kindInt {
			return num, true
		}
		return float, true
	case int:
		return int64(n), true
	case uint64:
		if n > 1<<63-1 {
			return float64(n), true
		}
		return int64(n), true
	}
	return nil, false
}
