package api

import "regexp"

// masked stands for a value that only the owner may see.
const masked = "********"

// mask gives options as a reader may see them who is not the owner. Only what the form says is no password, and what is not
// called like one, stays: an option that the form does not know, or all of them when there is no form, may be one.
func mask(options map[string]any, form []map[string]any) map[string]any {
	if options == nil {
		return nil
	}
	known := map[string]map[string]any{}
	for _, f := range form {
		if name, ok := f["name"].(string); ok {
			known[name] = f
		}
	}
	out := make(map[string]any, len(options))
	for name, v := range options {
		out[name] = maskOne(v, known[name])
	}
	return out
}

func maskOne(v any, field map[string]any) any {
	list, ok := v.([]any)
	if !ok || field["multiple"] != true {
		return maskLeaf(v, field)
	}
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = maskLeaf(e, field)
	}
	return out
}

func maskLeaf(v any, field map[string]any) any {
	typ, _ := field["type"].(string)
	switch v := v.(type) {
	case nil:
		return nil
	case map[string]any:
		if form, ok := formBelow(field["schema"]); ok && typ == "schema" {
			return mask(v, form)
		}
		return masked
	case []any: // not what the form says
		return masked
	}
	name, _ := field["name"].(string)
	text, _ := v.(string)
	switch {
	case typ == "", typ == "schema", field["format"] == "password":
		return masked
	case typ == "boolean", typ == "select": // everybody can read in the manifest what it may be
		return v
	case secretName.MatchString(name), secretAddress.MatchString(text):
		return masked
	}
	return v
}

// secretName is how authors call what is a secret, also where their schema says no more than str.
var secretName = regexp.MustCompile(`(?i)pass|pwd|secret|token|cred|auth|psk|private|webhook|keys?$|(^|[^a-z])pins?$`)

// secretAddress is one with a user in it, who has a password, or with a query, which often is one.
var secretAddress = regexp.MustCompile(`://\S*[@?]`)

// formBelow reads the fields of a dictionary, as they are in memory or as JSON was read.
func formBelow(v any) ([]map[string]any, bool) {
	switch form := v.(type) {
	case []map[string]any:
		return form, true
	case []any:
		out := make([]map[string]any, 0, len(form))
		for _, f := range form {
			m, ok := f.(map[string]any)
			if !ok {
				return nil, false
			}
			out = append(out, m)
		}
		return out, true
	}
	return nil, false
}

// Masked gives an add-on's options as somebody else than the owner may see them: only what its form says is no password
// stays.
func Masked(o AddonOptions, form []map[string]any) AddonOptions { return mask(o, form) }
