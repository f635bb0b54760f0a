package web

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// What a form of options sent, read by the same schema that drew it. Texts become what the schema says where they are that;
// otherwise they stay texts, and the API says what they must be.

// formReader reads a form.
type formReader struct {
	sent url.Values
	do   string // "add o3" or "drop o3 1": a list is changed, and nothing is kept
}

// options are all of a form.
func (r formReader) options(form []map[string]any) map[string]any {
	return r.dict(form, "o", 0)
}

func (r formReader) dict(form []map[string]any, id string, depth int) map[string]any {
	out := map[string]any{}
	for i, spec := range form {
		if v, there := r.value(spec, id+strconv.Itoa(i), depth); there {
			out[asText(spec["name"])] = v
		}
	}
	return out
}

// value is what was sent for a field; an optional one without a value is not there.
func (r formReader) value(spec map[string]any, id string, depth int) (v any, there bool) {
	typ, _ := spec["type"].(string)
	multiple, _ := spec["multiple"].(bool)
	optional, _ := spec["optional"].(bool)
	secret := spec["format"] == "password"
	text := r.sent.Get(id)
	switch {
	case depth > mostDepth:
		return text, text != ""
	case typ == "schema" && multiple:
		list := []any{}
		for _, n := range r.items(id) {
			list = append(list, r.dict(formOf(spec["schema"]), id+"["+strconv.Itoa(n)+"].", depth+1))
		}
		return r.grown(list, id, map[string]any{}), true
	case typ == "schema":
		return r.dict(formOf(spec["schema"]), id+".", depth+1), true
	case multiple && secret:
		list := []any{}
		for _, n := range r.items(id) {
			one, _ := r.secret(id + "[" + strconv.Itoa(n) + "]")
			list = append(list, one)
		}
		return r.grown(list, id, ""), true
	case multiple && typ == "select":
		list := []any{}
		for _, one := range r.sent[id] {
			list = append(list, one)
		}
		return list, len(list) > 0 || !optional
	case multiple:
		list := []any{}
		for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
			if line = strings.TrimSpace(line); line != "" {
				list = append(list, asTyped(line, typ))
			}
		}
		return list, len(list) > 0 || !optional
	case secret:
		one, set := r.secret(id)
		return one, set || !optional
	case typ == "boolean" && !optional:
		return text == "on", true
	}
	if typ != "string" {
		text = strings.TrimSpace(text)
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return asTyped(text, typ), text != "" || !optional && typ == "string" || !optional && r.sent.Has(id)
}

// secret is one that was typed, or the one there is when nothing was and it is not to go.
func (r formReader) secret(id string) (v string, set bool) {
	text := r.sent.Get(id)
	switch {
	case text != "":
		return text, true
	case r.sent.Has(id+".set") && !r.sent.Has(id+".drop"):
		return api.AsItIs, true
	}
	return "", false
}

// items are the numbers of the items of a list, without one that was taken away.
func (r formReader) items(id string) []int {
	var out []int
	for _, text := range r.sent[id+".n"] {
		n, err := strconv.Atoi(text)
		if err == nil && n >= 0 && n < mostItems && len(out) < mostItems && r.do != "drop "+id+" "+strconv.Itoa(n) {
			out = append(out, n)
		}
	}
	return out
}

// grown has one item more when that was asked for.
func (r formReader) grown(list []any, id string, empty any) []any {
	if r.do == "add "+id && len(list) < mostItems {
		return append(list, empty)
	}
	return list
}

// Shapes of numbers that JSON takes.
var (
	wholeShape    = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`)
	fractionShape = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?$`)
)

// asTyped is a text as its type, where it is one.
func asTyped(text, typ string) any {
	switch {
	case typ == "integer" && wholeShape.MatchString(text):
		return json.Number(text)
	case typ == "float" && fractionShape.MatchString(text):
		return json.Number(text)
	case typ == "float" && fractionShape.MatchString(strings.Replace(text, ",", ".", 1)):
		return json.Number(strings.Replace(text, ",", ".", 1))
	case typ == "boolean" && slices.Contains([]string{"true", "false"}, text):
		return text == "true"
	}
	return text
}
