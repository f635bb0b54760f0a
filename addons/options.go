package addons

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
)

// ParseOptions reads options that an owner wrote, in JSON or, by the ending of name, in YAML, within the limits of
// [ParseManifest]. Whole numbers are int64, others float64. The error is an *[InvalidError].
func ParseOptions(name string, data []byte) (map[string]any, error) {
	n, err := readFile(name, data)
	if err != nil {
		return nil, err
	}
	d := &decoder{}
	if n.kind == kindNull {
		return map[string]any{}, nil
	}
	if !d.is(n, root, kindDict, "a dictionary of options") {
		return nil, d.err(name)
	}
	options, _ := n.value().(map[string]any)
	return options, nil
}

// MarshalOptions writes validated options as the add-on finds them in options.json: a number with a fraction keeps it,
// 1.0 does not become 1.
func MarshalOptions(options map[string]any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(pythonNumbers(options)); err != nil {
		return nil, fmt.Errorf("cannot write options: %w", err)
	}
	return b.Bytes(), nil
}

func pythonNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = pythonNumbers(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = pythonNumbers(item)
		}
		return out
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return json.Number(pythonFloat(v))
		}
	}
	return v
}
