package main

import (
	"encoding/json"
	"testing"
)

func TestTheDescriptionOfTheAPIIsPrinted(t *testing.T) {
	code, out, _ := run(t, "openapi")
	var doc struct {
		OpenAPI string
		Info    struct{ Version string }
		Paths   map[string]any
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 0 {
		t.Fatalf("code %d, %v", code, err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Version != version || doc.Paths["/castellan/status"] == nil {
		t.Errorf("printed version %s of %s with %d paths", doc.Info.Version, doc.OpenAPI, len(doc.Paths))
	}
}
