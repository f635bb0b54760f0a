package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/api"
)

// Options as YAML: written in the order of the schema with the author's words as comments, and read by what reads an
// add-on's own files, within the same limits.

// yamlForm is the field with the text.
type yamlForm struct {
	Text  string
	Rows  int
	Error string
	Where string // path of the option that is wrong
}

func newYAML(text string) *yamlForm {
	return &yamlForm{Text: text, Rows: min(max(strings.Count(text, "\n")+2, 10), 40)}
}

// yamlOf writes options.
func yamlOf(options map[string]any, form []map[string]any, names map[string]api.AddonTranslation) string {
	var w yamlWriter
	w.dict(options, form, names, "", 0)
	return w.String()
}

type yamlWriter struct{ strings.Builder }

// dict writes names in the order of the form, then those it does not know.
func (w *yamlWriter) dict(values map[string]any, form []map[string]any, names map[string]api.AddonTranslation, indent string, depth int) {
	known := map[string]map[string]any{}
	var order []string
	for _, f := range form {
		name := asText(f["name"])
		if _, there := values[name]; there && known[name] == nil {
			known[name], order = f, append(order, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if known[name] == nil {
			order = append(order, name)
		}
	}
	for i, name := range order {
		if said := comment(names[name]); said != "" && depth == 0 {
			w.WriteString(indent + "# " + said + "\n")
		}
		if i == 1 { // the first of an item stands behind its dash
			indent = strings.ReplaceAll(indent, "-", " ")
		}
		w.WriteString(indent + yamlScalar(name) + ":")
		w.value(values[name], known[name], names[name].Fields, strings.ReplaceAll(indent, "-", " "), depth)
	}
}

func (w *yamlWriter) value(v any, spec map[string]any, names map[string]api.AddonTranslation, indent string, depth int) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			w.WriteString(" {}\n")
			return
		}
		w.WriteString("\n")
		w.dict(v, formOf(spec["schema"]), names, indent+"  ", depth+1)
	case []any:
		if len(v) == 0 {
			w.WriteString(" []\n")
			return
		}
		w.WriteString("\n")
		for _, one := range v {
			if dict, ok := one.(map[string]any); ok && len(dict) > 0 {
				w.dict(dict, formOf(spec["schema"]), names, indent+"  - ", depth+1)
				continue
			}
			w.WriteString(indent + "  -")
			w.value(one, nil, nil, indent+"  ", depth+1)
		}
	default:
		w.WriteString(" " + yamlScalar(v) + "\n")
	}
}

// comment is what the author says of an option, in one line.
func comment(t api.AddonTranslation) string {
	text := t.Name
	if t.Description != "" {
		text += " – " + t.Description
	}
	text = strings.Join(strings.Fields(tame(text)), " ")
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160]) + "…"
	}
	return text
}

// Texts that need no quotes: no number, no word that YAML takes for something else, nothing with a meaning.
var (
	plainText = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./@-]*( [A-Za-z0-9_./@-]+)*$`)
	otherWord = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null|nan|inf)$`)
)

func yamlScalar(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if plainText.MatchString(v) && !otherWord.MatchString(v) {
			return v
		}
		b, _ := json.Marshal(v) // a text: it can't fail. JSON's quotes are YAML's
		return string(b)
	case map[string]any:
		return "{}"
	case []any:
		return "[]"
	}
	return fmt.Sprint(v)
}

// readYAML reads what somebody wrote.
func readYAML(text string) (map[string]any, error) {
	return addons.ParseOptions("options.yaml", []byte(strings.ReplaceAll(text, "\r\n", "\n")))
}
