package addons

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpus reads a file of the folder that CASTELLAN_CORPUS names, with what Home Assistant's own validator said; false
// without it. Then there is nothing to do: the tables next door hold our own.
func corpus(t *testing.T, file string, v any) (dir string, ok bool) {
	t.Helper()
	dir = os.Getenv("CASTELLAN_CORPUS")
	if dir == "" {
		return "", false
	}
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // 3.0 is not 3
	if err := decoder.Decode(v); err != nil {
		t.Fatal(err)
	}
	return dir, true
}

// asJSON is v as a reader of JSON sees it, where 1 and 1.0 are the same.
func asJSON(t *testing.T, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestManifestsAgreeWithCorpus(t *testing.T) {
	var golden map[string]struct {
		Config       map[string]any
		Valid        bool
		Installed    int            `json:"rating_installed"`
		Store        int            `json:"rating_store"`
		Form         []any          `json:"schema_ui"`
		OptionsValid bool           `json:"default_options_valid"`
		Options      map[string]any `json:"default_options_validated"`
		Translations map[string]bool
	}
	dir, ok := corpus(t, "golden-configs.json", &golden)
	if !ok {
		return
	}
	if len(golden) == 0 {
		t.Fatal("no add-ons")
	}
	for name, want := range golden {
		path := filepath.Join(dir, "addons", name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ParseManifest(name, data)
		if (err == nil) != want.Valid {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(asJSON(t, want.Config), asJSON(t, m.Normalised())); diff != "" {
			t.Errorf("%s: configuration (-want +got)\n%s", name, diff)
		}
		_, err = os.Stat(filepath.Join(filepath.Dir(path), "apparmor.txt"))
		if installed, store := m.Rating(false, err == nil), m.Rating(false, false); installed != want.Installed || store != want.Store {
			t.Errorf("%s: rating %d and %d, want %d and %d", name, installed, store, want.Installed, want.Store)
		}
		if form := asJSON(t, m.Schema.Form(nil)); !reflect.DeepEqual(form, asJSON(t, want.Form)) {
			t.Errorf("%s: form (-want +got)\n%s", name, cmp.Diff(asJSON(t, want.Form), form))
		}
		clean, _, err := m.Schema.Validate(m.Options, Outside{})
		if (err == nil) != want.OptionsValid {
			t.Errorf("%s: default options: %v, want valid %v", name, err, want.OptionsValid)
		} else if err == nil && !cmp.Equal(asJSON(t, want.Options), asJSON(t, clean)) {
			t.Errorf("%s: default options (-want +got)\n%s", name, cmp.Diff(asJSON(t, want.Options), asJSON(t, clean)))
		}
	}
}

func TestVectorsAgreeWithCorpus(t *testing.T) {
	var vectors struct {
		Elements []struct {
			Element  string
			Accepted bool
			Groups   map[string]string
		} `json:"element_regex"`
		Options []struct {
			Schema  Schema
			Options json.RawMessage
			OK      bool
			Result  any
			Kind    string `json:"error_kind"`
		}
		Forms []struct {
			Schema Schema
			UI     any
		} `json:"schema_ui"`
		Configs []struct {
			Input   map[string]any
			OK      bool
			Changed map[string]any
			At      string `json:"error_at"`
		} `json:"config"`
	}
	if _, ok := corpus(t, "vectors.json", &vectors); !ok {
		return
	}
	for _, v := range vectors.Elements {
		e, ok := parseElement(v.Element)
		if ok != v.Accepted {
			t.Errorf("element %q: accepted %v", v.Element, ok)
		}
		for group, want := range v.Groups {
			switch got := e.arg; {
			case group == "match" || group == "list":
				if got != want {
					t.Errorf("element %q: %s %q, want %q", v.Element, group, got, want)
				}
			case group == "filter":
				if "subsystem="+got != want {
					t.Errorf("element %q: %s %q, want %q", v.Element, group, got, want)
				}
			case group[1:] == "_min" && (e.min == nil || *e.min != *bound(want)), group[1:] == "_max" && (e.max == nil || *e.max != *bound(want)):
				t.Errorf("element %q: %s is not %s", v.Element, group, want)
			}
		}
	}
	for _, v := range vectors.Options {
		options, err := ParseOptions("o.json", v.Options)
		if err != nil {
			t.Fatal(err)
		}
		checkOptions(t, v.Schema, options, v.OK, v.Result, v.Kind)
	}
	for _, v := range vectors.Forms {
		if form := asJSON(t, v.Schema.Form([]string{"/dev/ttyUSB0"})); !cmp.Equal(asJSON(t, v.UI), form) {
			t.Errorf("form (-want +got)\n%s", cmp.Diff(asJSON(t, v.UI), form))
		}
	}
	for _, v := range vectors.Configs {
		checkConfig(t, v.Input, v.OK, v.Changed, v.At)
	}
}

// minimal is the smallest add-on there is.
func minimal() map[string]any {
	return map[string]any{"name": "Test", "version": "1.0", "slug": "test", "description": "x", "arch": []any{"amd64"}}
}

// checkConfig lays input over the smallest add-on ("__del__" takes a key away) and compares the keys of changed, or the
// place of the first problem.
func checkConfig(t *testing.T, input map[string]any, ok bool, changed map[string]any, where string) {
	t.Helper()
	config := minimal()
	for key, value := range input {
		if config[key] = value; value == "__del__" {
			delete(config, key)
		}
	}
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseManifest("config.json", data)
	if !ok {
		var e *InvalidError
		if !errors.As(err, &e) || e.Problems[0].Path != where {
			t.Errorf("%v: %v, want a problem at %s", input, err, where)
		}
		return
	}
	if err != nil {
		t.Errorf("%v: %v", input, err)
		return
	}
	got, _ := asJSON(t, m.Normalised()).(map[string]any)
	for key, want := range changed {
		if value, there := got[key]; !there || !cmp.Equal(asJSON(t, want), value) {
			t.Errorf("%v: %s is %v, want %v", input, key, value, want)
		}
	}
	for key := range input {
		if _, there := got[key]; there && len(changed) == 0 {
			t.Errorf("%v: %s should be gone", input, key)
		}
	}
}

// house is an appliance with two secrets and a serial stick.
var house = Outside{
	Secret: func(name string) (string, bool) {
		s, ok := map[string]string{"pw": "s3cret", "num": "7"}[name]
		return s, ok
	},
	Device: func(path, subsystem string) bool {
		return path == "/dev/ttyUSB0" && (subsystem == "" || subsystem == "tty")
	},
}

func checkOptions(t *testing.T, s Schema, options map[string]any, ok bool, result any, kind string) {
	t.Helper()
	schema, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	clean, _, err := s.Validate(options, house)
	var e *OptionError
	switch {
	case ok && err != nil:
		t.Errorf("%s %v: %v", schema, options, err)
	case ok && !cmp.Equal(asJSON(t, result), asJSON(t, clean)):
		t.Errorf("%s %v: got %v, want %v", schema, options, clean, result)
	case !ok && (!errors.As(err, &e) || e.Kind != kind):
		t.Errorf("%s %v: got %v (%+v), want an error of kind %s", schema, options, clean, err, kind)
	}
}
