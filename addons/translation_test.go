package addons

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
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

// What a stranger may write ends, quickly, in a refusal of one file.
func TestHostileFilesAreRefusedQuickly(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, maxFileBytes/len(s)) }
	var keys, stairs strings.Builder
	for i := 0; keys.Len() < maxFileBytes-20; i++ {
		fmt.Fprintf(&keys, "k%d:\n", i)
	}
	for i := range 700 {
		stairs.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, text := range map[string]string{
		"too large": fill("a") + "aaaaaaaa", "not UTF-8": "name: \xff\n", "a zero": "name: a\x00b\n", "escape": "name: \x1b[2J\n",
		"brackets": fill("["), "braces": fill("{a: "), "closing": fill("]"), "pairs": fill("[]"), "dashes": fill("- "), "questions": fill("? "),
		"anchors": fill("&a "), "tags": fill("!!str "), "tag lines": fill("!!str\n"), "anchor lines": fill("&a\n"), "aliases": "- &a 1\n" + fill("- *a\n")[:maxFileBytes-10],
		"colons": fill("a: "), "keys": keys.String(), "same keys": fill("a:\n"), "items": fill("- 1\n"), "stairs": stairs.String(), "questions in lines": fill("? a\n: b\n"),
		"quotes": fill("\""), "documents": fill("a\n---\n"), "document ends": fill("...\n]\n"), "tabs": fill("\t\""), "long flow": "a: [" + fill("1,")[:maxFileBytes-10] + "]", "long key": strings.Repeat("x", maxFileBytes-8) + ": 1",
		"many mistakes": "machine:\n" + fill("- x\n")[:maxFileBytes-20], "numbers": "version: " + strings.Repeat("9", 200_000) + "\nname: x\n",
		"huge JSON number": `{"name": 1e999999999}`, "NaN": "{name: .nan}", "merge": "a: &a {b: 1}\nc:\n" + fill("  <<: *a\n")[:maxFileBytes-40],
	} {
		for _, ext := range []string{".yaml", ".json"} {
			start := time.Now()
			_, err := ParseManifest("config"+ext, []byte(text))
			took := time.Since(start)
			var e *InvalidError
			if !errors.As(err, &e) || len(err.Error()) > 1000 || len(e.Problems) > maxProblems {
				t.Errorf("%s%s: %.200v", name, ext, err)
			}
			if took > 5*time.Second { // a tenth of a second, where the machine has nothing else to do
				t.Errorf("%s%s took %s", name, ext, took)
			}
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
