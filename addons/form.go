package addons

import "strings"

// Form is the schema as the form of Home Assistant's frontend wants it, in the order of the file; nil for an open
// schema. Devices are the paths that an option of type device may be, for all subsystems alike.
func (s Schema) Form(devices []string) []map[string]any {
	return s.FormFor(func(string) []string { return devices })
}

// FormFor is Form with the devices of each subsystem; "" asks for all.
func (s Schema) FormFor(devices func(subsystem string) []string) []map[string]any {
	if s.open {
		return nil
	}
	return formOf(s.fields, devices)
}

func formOf(fields []field, devices func(subsystem string) []string) []map[string]any {
	out := make([]map[string]any, 0, len(fields))
	for _, f := range fields {
		e, multiple := f.element, false
		if e.isList {
			if len(e.list) == 0 {
				continue
			}
			e, multiple = e.list[0], true
		}
		if e.isDict {
			out = append(out, map[string]any{"name": f.name, "type": "schema", "optional": true, "multiple": multiple, "schema": formOf(e.dict, devices)})
			continue
		}
		out = append(out, e.form(f.name, multiple, devices))
	}
	return out
}

// formTypes are the form's words for the schema's.
var formTypes = map[string]string{"str": "string", "password": "string", "email": "string", "url": "string", "match": "string",
	"int": "integer", "port": "integer", "float": "float", "bool": "boolean", "list": "select", "device": "select"}

func (e element) form(name string, multiple bool, devices func(subsystem string) []string) map[string]any {
	out := map[string]any{"name": name}
	if multiple {
		out["multiple"] = true
	}
	if strings.HasSuffix(e.text, "?") {
		out["optional"] = true
	} else {
		out["required"] = true
	}
	if e.min != nil {
		out["lengthMin"] = *e.min
	}
	if e.max != nil {
		out["lengthMax"] = *e.max
	}
	if t := formTypes[e.word]; t != "" {
		out["type"] = t
	}
	switch e.word {
	case "password", "email", "url":
		out["format"] = e.word
	case "list":
		out["options"] = strings.Split(e.arg, "|")
	case "device":
		out["options"] = append([]string{}, devices(e.arg)...)
	}
	return out
}
