package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lintFiles are two add-ons, one of them wrong, and what a search must not find.
var lintFiles = map[string]string{
	"good/config.yaml": "name: Good\nversion: 1.10\nslug: good\ndescription: d\narch: [amd64]\nimage: example/good\nmap: [ssl]\n" +
		"options: {level: 3, place: null}\nschema: {level: \"int(1,5)\", place: str}\n",
	"good/apparmor.txt":             "profile good {}\n",
	"good/translations/en.yaml":     "configuration: {level: {name: Level}}\n",
	"good/translations/de.yaml":     "configuration: {level: Stufe}\n",
	"bad/deep/config.json":          "{\"name\": \"Bad\",\n \"version\": \"1\", \"slug\": \"bad\", \"description\": \"d\",\n \"arch\": [\"arm\"]}",
	"open/config.yml":               "name: Open\nversion: 2\nslug: open\ndescription: d\narch: [amd64]\nschema: false\n",
	".github/ISSUE/config.yml":      "blank_issues_enabled: false\n",
	"good/rootfs/etc/x/config.yaml": "nothing: here\n",
	"empty/README.md":               "nothing to see\n",
	"options.yaml":                  "level: \"4\"\nplace: home\ncolour: red\n",
	"wrong.json":                    `{"level": 9, "place": "hunter2"}`,
}

func lintFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range lintFiles {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAddonLint(t *testing.T) {
	t.Chdir(lintFolder(t))
	for _, c := range []struct {
		line           string
		code           int
		stdout, stderr string
	}{
		{"good", 0, "good/config.yaml: valid\n  add-on   Good 1.10 (good) for amd64\n  image    example/good:1.10\n  rating   6 of 8, 5 in the store\n", ""},
		{"good/config.yaml", 0, "read your certificates and their keys (map:ssl:ro)", ""},
		{"good", 0, "the owner must fill in: option place: it has no value; write a text", ""},
		{"good", 0, "skipped  cannot read good/translations/de.yaml: line 1", ""},
		{"open", 0, "options  any (schema: false)", ""},
		{"open", 0, "none; it would be built on the appliance", ""},
		{"bad", 1, "bad/deep/config.json: not valid\n  line 3: ['arch'][0]: want one of aarch64", "1 of 1 not valid"},
		{".", 1, "open/config.yml: valid", "1 of 3 not valid"},
		{"good open", 0, "open/config.yml: valid", ""},
		{"empty", 3, "", "no config.yaml, .yml or .json in empty"},
		{"nowhere", 1, "", "nowhere"},
		{"good --options options.yaml", 0, "--options is valid\n  --options has options nobody reads: colour", ""},
		{"good --options wrong.json", 1, "--options is not valid: option level: want a whole number from 1 to 5", "1 of 1 not valid"},
		{"good --options missing.json", 1, "", "cannot read the options"},
		{"good --options bad/deep", 1, "", "cannot read the options"},
		{"", 2, "", "Next: castellan addon lint --help"},
		{"good --colour", 2, "", "unknown flag"},
	} {
		code, stdout, stderr := run(t, append([]string{"addon", "lint"}, strings.Fields(c.line)...)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || strings.Contains(stdout+stderr, "hunter2") {
			t.Errorf("%s: exit %d, want %d\nstdout %s\nwant %s\nstderr %s", c.line, code, c.code, stdout, c.stdout, stderr)
		}
	}
}

func TestAddonLintInJSON(t *testing.T) {
	t.Chdir(lintFolder(t))
	code, stdout, _ := run(t, "addon", "lint", "--json", "--options", "options.yaml", "bad", "good", "open")
	var got []map[string]any
	for d := json.NewDecoder(strings.NewReader(stdout)); d.More(); {
		var one map[string]any
		if err := d.Decode(&one); err != nil {
			t.Fatal(err)
		}
		got = append(got, one)
	}
	if code != 1 || len(got) != 3 {
		t.Fatalf("exit %d, %d objects\n%s", code, len(got), stdout)
	}
	bad, good, open := got[0], got[1], got[2]
	if bad["valid"] != false || bad["file"] != "bad/deep/config.json" || !strings.Contains(bad["error"].(string), "['arch'][0]") || bad["config"] != nil {
		t.Errorf("%v", bad)
	}
	config, _ := good["config"].(map[string]any)
	form, _ := good["schema_ui"].([]any)
	translations, _ := good["translations"].(map[string]any)
	options, _ := good["options"].(map[string]any)
	validated, _ := options["validated"].(map[string]any)
	if good["valid"] != true || config["version"] != "1.10" || good["rating_installed"] != 6.0 || good["rating_store"] != 5.0 || len(form) != 2 ||
		good["default_options_valid"] != false || translations["en"] != true || translations["de"] != false || validated["level"] != 4.0 || options["valid"] != true {
		t.Errorf("%v", good)
	}
	if ui, there := open["schema_ui"]; ui != nil || !there || open["default_options_valid"] != true || open["default_options_validated"] == nil {
		t.Errorf("%v", open)
	}
}
