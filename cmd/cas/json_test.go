package main

import "encoding/json"

func jsonFields(line string) ([]string, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		return nil, err
	}
	var fields []string
	for f := range m {
		fields = append(fields, f)
	}
	return fields, nil
}
