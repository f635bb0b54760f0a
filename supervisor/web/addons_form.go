package web

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// The form of an add-on's options, from the schema as the API gives it to Home Assistant's frontend: name, type (string,
// integer, float, boolean, select, schema), format (password, email, url), options, required or optional, multiple. Names,
// descriptions and choices are an author's, values anybody's: they are text. A field's name in the form counts places
// ("o3[1].0") and holds nothing of that; its path ("logins[1].password") is how the API calls it.

// Limits on forms.
const (
	mostItems = 200 // of a list of groups
	mostDepth = 8
)

// optionsForm is the whole form.
type optionsForm struct {
	Fields []*formField
	Error  string // what is wrong and belongs to no field
	Where  string // the path it is about
	Edited bool   // it holds what was typed, not what is in force
}

// formField is one option.
type formField struct {
	ID, Path    string
	Label, Help string
	Kind        string // text, lines, long, secret, switch, choice, choices, group, groups, secrets
	Mode        string // of a keyboard: numeric, decimal, email, url
	Value       string
	On          bool
	Set         bool // a secret is set
	Again       bool // one that was typed has to be typed again: it is not sent back
	Optional    bool
	Choices     []formChoice
	Range       string // what lies between which bounds, in words
	Fields      []*formField
	Items       []formItem
	Error       string

	spec map[string]any
}

// formChoice is one of several.
type formChoice struct {
	Value string
	On    bool
}

// formItem is one group of a list, or one secret.
type formItem struct {
	N      int
	Fields []*formField
}

// Plain tells whether a single label names the field.
func (f *formField) Plain() bool {
	switch f.Kind {
	case "group", "groups", "choices", "secrets":
		return false
	}
	return true
}

// optionsForm makes the form with what is in force.
func (v *visit) optionsForm(info api.AddonInfo) *optionsForm {
	b := formBuilder{v}
	return &optionsForm{Fields: b.fields(info.Schema, veil(info.Options, info.Schema), info.Translation, "o", "", 0)}
}

type formBuilder struct{ v *visit }

func (b formBuilder) fields(form []map[string]any, values map[string]any, names map[string]api.AddonTranslation, id, path string, depth int) []*formField {
	var out []*formField
	for i, spec := range form {
		name, _ := spec["name"].(string)
		sep := "."
		if path == "" {
			sep = ""
		}
		value, there := values[name]
		f := &formField{ID: id + strconv.Itoa(i), Path: path + sep + name, Label: name, spec: spec}
		if t, ok := names[name]; ok {
			f.Label, f.Help = orElse(t.Name, name), t.Description
		}
		b.fill(f, value, there, names[name].Fields, depth)
		out = append(out, f)
	}
	return out
}

func orElse(a, b string) string {
	if strings.TrimSpace(a) == "" {
		return b
	}
	return a
}

// fill makes a field what its schema says, with a value.
func (b formBuilder) fill(f *formField, value any, there bool, names map[string]api.AddonTranslation, depth int) {
	typ, _ := f.spec["type"].(string)
	multiple, _ := f.spec["multiple"].(bool)
	f.Optional, _ = f.spec["optional"].(bool)
	f.Range = b.span(f.spec, typ)
	secret := f.spec["format"] == "password"
	list, _ := value.([]any)
	switch {
	case depth > mostDepth:
		f.Kind, f.Value = "text", asText(value)
	case typ == "schema" && multiple:
		f.Kind = "groups"
		for i, one := range list {
			if i < mostItems {
				f.Items = append(f.Items, b.item(f, i, one, names, depth))
			}
		}
	case typ == "schema":
		f.Kind = "group"
		dict, _ := value.(map[string]any)
		f.Fields = b.fields(formOf(f.spec["schema"]), dict, names, f.ID+".", f.Path, depth+1)
	case multiple && secret:
		f.Kind = "secrets"
		for i, one := range list {
			if i < mostItems {
				f.Items = append(f.Items, b.secret(f, i, asText(one)))
			}
		}
	case multiple && typ == "select":
		f.Kind, f.Choices = "choices", choices(f.spec, list...)
	case multiple:
		var lines []string
		for _, one := range list {
			lines = append(lines, asText(one))
		}
		f.Kind, f.Value = "lines", strings.Join(lines, "\n")
	case secret:
		b.mask(f, value)
	case typ == "boolean" && f.Optional:
		f.Kind = "choice"
		f.Choices = []formChoice{{"", !there}, {"true", truthy(value)}, {"false", there && !truthy(value)}}
	case typ == "boolean":
		f.Kind, f.On = "switch", truthy(value)
	case typ == "select" && len(choices(f.spec)) > 0:
		f.Kind, f.Choices = "choice", choices(f.spec, value)
		if f.Optional || !there {
			f.Choices = append([]formChoice{{"", !there}}, f.Choices...)
		}
	default:
		f.Kind, f.Value = "text", asText(value)
		if strings.Contains(f.Value, "\n") {
			f.Kind = "long"
		}
		f.Mode = map[string]string{"integer": "numeric", "float": "decimal", "email": "email", "url": "url"}[orElse(asText(f.spec["format"]), typ)]
	}
}

// item is one group of a list.
func (b formBuilder) item(f *formField, i int, value any, names map[string]api.AddonTranslation, depth int) formItem {
	dict, _ := value.(map[string]any)
	at := fmt.Sprintf("[%d]", i)
	return formItem{N: i, Fields: b.fields(formOf(f.spec["schema"]), dict, names, f.ID+at+".", f.Path+at, depth+1)}
}

// secret is one of several secrets.
func (b formBuilder) secret(f *formField, i int, value string) formItem {
	at := fmt.Sprintf("[%d]", i)
	one := &formField{ID: f.ID + at, Path: f.Path + at, Label: fmt.Sprintf("%s %d", f.Label, i+1)}
	b.mask(one, value)
	return formItem{N: i, Fields: []*formField{one}}
}

// mask makes a field one of a secret. The name of a secret of Home Assistant is none itself and is shown.
func (b formBuilder) mask(f *formField, value any) {
	f.Kind, f.Set, f.Value = "secret", value == api.AsItIs, secretRef(value)
	if f.Again = !f.Set && f.Value == "" && asText(value) != ""; f.Again {
		f.Error = b.v.say("addons.secret_again")
	}
}

// secretRef is the name of a secret of Home Assistant, which is none itself. Any other text is not shown again.
func secretRef(value any) string {
	if text, _ := value.(string); strings.HasPrefix(text, "!secret ") {
		return text
	}
	return ""
}

// span says between which bounds a value lies.
func (b formBuilder) span(spec map[string]any, typ string) string {
	least, most := asText(spec["lengthMin"]), asText(spec["lengthMax"])
	kind := "length"
	if typ == "integer" || typ == "float" {
		kind = "number"
	}
	switch {
	case least != "" && most != "":
		return b.v.say("addons.span_"+kind, least, most)
	case least != "":
		return b.v.say("addons.least_"+kind, least)
	case most != "":
		return b.v.say("addons.most_"+kind, most)
	}
	return ""
}

// choices are those of a select; what is in force is one of them, also when it can't be chosen any more.
func choices(spec map[string]any, now ...any) []formChoice {
	var out []formChoice
	on := map[string]bool{}
	for _, one := range now {
		if text := asText(one); text != "" {
			on[text] = true
		}
	}
	options, _ := spec["options"].([]any)
	for _, o := range options {
		text := asText(o)
		out = append(out, formChoice{text, on[text]})
		delete(on, text)
	}
	for _, one := range now {
		if text := asText(one); on[text] {
			out = append(out, formChoice{text, true})
		}
	}
	return out
}

// formOf reads the fields of a group.
func formOf(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, one := range list {
		if m, ok := one.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// asText is a value as it stands in a field.
func asText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any, []any:
		b, _ := api.AddonOptions{"": v}.MarshalJSON() // of what JSON was read from
		return string(b)
	}
	return fmt.Sprint(v)
}

func truthy(v any) bool {
	switch strings.ToLower(asText(v)) {
	case "true", "on", "yes", "1", "y":
		return true
	}
	return false
}

// secretName is how authors call a secret where no schema says what is one.
var secretName = regexp.MustCompile(`(?i)pass|pwd|secret|token|credential|psk|private`)

// veil puts a mask in the place of what nobody should read over a shoulder: passwords, and where no schema tells, what is
// called like one. The API takes a mask for the value as it is.
func veil(options map[string]any, form []map[string]any) map[string]any {
	known := map[string]map[string]any{}
	for _, f := range form {
		known[asText(f["name"])] = f
	}
	out := make(map[string]any, len(options))
	for name, v := range options {
		spec := known[name]
		out[name] = veilOne(v, spec, spec == nil && secretName.MatchString(name) || spec["format"] == "password")
	}
	return out
}

func veilOne(v any, spec map[string]any, secret bool) any {
	switch v := v.(type) {
	case map[string]any:
		return veil(v, formOf(spec["schema"]))
	case []any:
		out := make([]any, len(v))
		for i, one := range v {
			out[i] = veilOne(one, spec, secret)
		}
		return out
	}
	if text := asText(v); secret && text != "" && !strings.HasPrefix(text, "!secret ") {
		return api.AsItIs
	}
	return v
}
