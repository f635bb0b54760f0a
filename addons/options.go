package addons

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
