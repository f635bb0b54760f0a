package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

var renew = flag.Bool("renew", false, "write the golden copy anew")

const golden = "testdata/openapi.json"

func TestTheDescriptionIsTheGoldenCopy(t *testing.T) {
	got, err := api.OpenAPI("dev")
	if err != nil {
		t.Fatal(err)
	}
	if *renew {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
		i := 0
		for i < min(len(a), len(b)) && a[i] == b[i] {
			i++
		}
		t.Errorf("the API is not what %s says, from line %d on: look at the change, then: go test ./supervisor/api -run GoldenCopy -renew", golden, i+1)
	}
}

// TestEveryRouteIsDescribed holds the description against the table: each row is there once, says who may call it, and
// refers to nothing that is not there.
func TestEveryRouteIsDescribed(t *testing.T) {
	b, err := api.OpenAPI("dev")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string            `json:"operationId"`
			Summary     string            `json:"summary"`
			Access      map[string]string `json:"x-castellan-access"`
		}
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	_, rows := api.Rows()
	seen := map[string]string{}
	for _, rt := range rows {
		op, ok := doc.Paths[rt.Path][strings.ToLower(rt.Method)]
		if !ok || op.Access["people"] == "" || op.Access["addons"] == "" || !strings.HasSuffix(op.Summary, ".") {
			t.Errorf("%s %s is described as %+v", rt.Method, rt.Path, op)
		}
		if other, twice := seen[op.OperationID]; twice {
			t.Errorf("%s %s has the operationId of %s", rt.Method, rt.Path, other)
		}
		seen[op.OperationID] = rt.Method + " " + rt.Path
	}
	for name, strict := range map[string]bool{"UpdateRequest": true, "HAOptions": true, "Status": false, "Change": false, "CoreInfo": false} {
		if got := strings.Contains(string(doc.Components.Schemas[name]), `"additionalProperties": false`); got != strict {
			t.Errorf("%s refuses other keys: %v, want %v", name, got, strict)
		}
	}
	for _, part := range strings.Split(string(b), `"$ref": "#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if _, ok := doc.Components.Schemas[name]; !ok {
			t.Errorf("%s is referred to and not there", name)
		}
	}
}
