package addons

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestTranslations(t *testing.T) {
	tr, err := ParseTranslation("translations/en.yaml", sample(t, "traps.translation.yaml"))
	got, _ := json.Marshal(tr)
	const want = `{"configuration":{"login":{"name":"Login","fields":{"user":{"name":"User"}}},"region":{"name":"Region","description":"Where the radio may send."}},"network":{"80/tcp":"Web"}}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	for text, want := range map[string]string{
		"configuration:\n  a: Name\n":                    "line 2: ['configuration']['a']: want a dictionary, got a text; write a dictionary with name and description",
		"configuration:\n  a: {description: d}\n":        "['configuration']['a']['name']: it is missing",
		"configuration:\n  a: {name: A, fields: [x]}\n":  "['configuration']['a']['fields']: want a dictionary",
		"configuration:\n  a: {name: A, description: 5}": "['configuration']['a']['description']: want a text",
		"configuration:\n  on: {name: A}\n":              "['configuration'][on]: the key must be a text",
		"network:\n  80/tcp: 5\n":                        "['network']['80/tcp']: want a text",
		"network: none\n":                                "['network']: want a dictionary",
		"":                                               "want a dictionary",
		"configuration: " + strings.Repeat("{a: ", 70):   "nested more than 64 deep",
	} {
		if _, err := ParseTranslation("de.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot read de.yaml: ") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestBuildFiles(t *testing.T) {
	b, err := ParseBuild("build.yaml", []byte("build_from:\n  aarch64: ghcr.io/example/aarch64-base:3.23\n  amd64: example/base\nargs:\n  TOOL: 1.2.3\nlabels: {a: b}\nsquash: on\ncodenotary: {signer: x@y.de}\n"))
	if err != nil || b.Base("aarch64") != "ghcr.io/example/aarch64-base:3.23" || b.Base("amd64") != "example/base" || b.Base("i386") != "" || b.Args["TOOL"] != "1.2.3" || b.Labels["a"] != "b" || !b.Squash {
		t.Errorf("%+v, %v", b, err)
	}
	for _, text := range []string{`{"build_from": "ghcr.io/x/y:1"}`, `{}`} {
		if b, err = ParseBuild("build.json", []byte(text)); err != nil || b.Base("amd64") != strings.TrimSuffix(strings.TrimPrefix(text, `{"build_from": "`), `"}`) && text != "{}" {
			t.Errorf("%s: %+v, %v", text, b, err)
		}
	}
	for text, want := range map[string]string{
		"build_from: base\n":             "['build_from']: want an image",
		"build_from: {sparc: a/b}\n":     "['build_from']['sparc']: want an architecture",
		"build_from: {amd64: 'a b/c'}\n": "['build_from']['amd64']: want an image",
		"args: {A: 1}\n":                 "['args']['A']: want a text, got a whole number; write it in quotes",
		"labels: []\n":                   "['labels']: want a dictionary",
		"squash: perhaps\n":              "['squash']: want true or false",
		"- x\n":                          "want a dictionary",
	} {
		if _, err := ParseBuild("build.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzTranslation(f *testing.F) {
	f.Add(sample(f, "traps.translation.yaml"), false)
	f.Add([]byte(`{"configuration": {"a": {"name": "A", "fields": {}}}, "network": {}}`), true)
	f.Add([]byte("build_from: {amd64: a/b:1}\nargs: {A: &x '1', B: *x}\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		name := "en.yaml"
		if isJSON {
			name = "en.json"
		}
		tr, err := ParseTranslation(name, data)
		var e *InvalidError
		if err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
		for _, o := range tr.Configuration {
			if len(o.Name) > maxText {
				t.Fatal("a name without bounds")
			}
		}
		if _, err := ParseBuild(name, data); err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
	})
}
