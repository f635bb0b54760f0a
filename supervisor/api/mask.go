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
	if list, ok := v.([]any); ok && field["multiple"] == true {
		out := make([]any, len(list))
		for i, e := range list {
			out[i] = maskOne(e, field)
		}
		return out
	}
	if v == nil {
		return nil
	}
	if field["type"] == "schema" {
		below, ok := v.(map[string]any)
		form, formed := formBelow(field["schema"])
		if ok && formed {
			return mask(below, form)
		}
		return masked
	}
	switch v.(type) {
	case []any, map[string]any: // not what the form says
		return masked
	}
	if typ, _ := field["type"].(string); typ == "" || field["format"] == "password" {
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
