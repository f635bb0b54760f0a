package api

// masked stands for a value that only the owner may see.
const masked = "********"

// mask gives options as a reader may see them who is not the owner. Only what the form says is no password stays: an
// option that the form does not know, or all of them when there is no form, may be one.
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
	if typ == "" || typ == "schema" || field["format"] == "password" {
		return masked
	}
	return v
}

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
