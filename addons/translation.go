package addons

// Translation is one file of an add-on's translations folder: the names of its options and ports in one language.
type Translation struct {
	Configuration map[string]TranslatedOption `json:"configuration,omitempty"`
	Network       map[string]string           `json:"network,omitempty"` // "80/tcp" -> what the port is for
}

// TranslatedOption is what an option is called, and those within it.
type TranslatedOption struct {
	Name        string                      `json:"name"`
	Description *string                     `json:"description,omitempty"`
	Fields      map[string]TranslatedOption `json:"fields,omitempty"`
}

// ParseTranslation reads a file of the translations folder, in the limits of [ParseManifest]. A file that is wrong is an
// error for that file alone: the add-on is shown in its other languages. The error is an *[InvalidError].
func ParseTranslation(name string, data []byte) (Translation, error) {
	n, err := readFile(name, data)
	if err != nil {
		return Translation{}, err
	}
	var out Translation
	d := &decoder{}
	if !d.is(n, root, kindDict, "a dictionary of configuration and network") {
		return Translation{}, d.err(name)
	}
	if c := n.get("configuration"); c != nil {
		out.Configuration = d.translated(c, root.key("configuration"))
	}
	if c := n.get("network"); c != nil {
		out.Network = d.textDict(c, root.key("network"))
	}
	if err := d.err(name); err != nil {
		return Translation{}, err
	}
	return out, nil
}

func (d *decoder) translated(n *node, where *at) map[string]TranslatedOption {
	out := map[string]TranslatedOption{}
	d.dict(n, where, "the options by their keys", func(key string, n *node, where *at) {
		if !d.is(n, where, kindDict, "a dictionary with name and description") {
			return
		}
		var o TranslatedOption
		if name := n.get("name"); name != nil {
			o.Name = d.text(name, where.key("name"))
		} else {
			d.fail(n, where.key("name"), "it is missing; write a line name: and what people call the option")
		}
		if text := n.get("description"); text != nil && text.kind != kindNull {
			s := d.text(text, where.key("description"))
			o.Description = &s
		}
		if fields := n.get("fields"); fields != nil {
			o.Fields = d.translated(fields, where.key("fields"))
		}
		out[key] = o
	})
	return out
}

// textDict is a dictionary of texts; never nil.
func (d *decoder) textDict(n *node, where *at) map[string]string {
	out := map[string]string{}
	d.dict(n, where, "a dictionary of texts", func(key string, n *node, where *at) { out[key] = d.text(n, where) })
	return out
}
