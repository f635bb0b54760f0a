package web

import (
	"html/template"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestCatalogue: each text is there in each language, with the same arguments.
func TestCatalogue(t *testing.T) {
	all, err := catalogue()
	if err != nil {
		t.Fatal(err)
	}
	holes := regexp.MustCompile(`\{\d\}`)
	for key, en := range all["en"] {
		for _, lang := range languages[1:] {
			other, ok := all[lang][key]
			if !ok || len(other) != len(en) {
				t.Errorf("%s has %d forms in English, %d in %s", key, len(en), len(other), lang)
				continue
			}
			want := holes.FindAllString(strings.Join(en[len(en)-1:], " "), -1)
			got := holes.FindAllString(strings.Join(other[len(other)-1:], " "), -1)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(slices.Compact(want), slices.Compact(got)) {
				t.Errorf("%s takes %v in English, %v in %s", key, want, got, lang)
			}
		}
	}
	for _, lang := range languages[1:] {
		for key := range all[lang] {
			if all["en"][key] == nil {
				t.Errorf("%s is there in %s only", key, lang)
			}
		}
	}
}

// TestWordsAreYAML: a reader of all of YAML finds the same in the files as ours.
func TestWordsAreYAML(t *testing.T) {
	all, err := catalogue()
	if err != nil {
		t.Fatal(err)
	}
	list, err := wordFiles.ReadDir("words")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range list {
		b, err := wordFiles.ReadFile("words/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		var file map[string]map[string]any
		if err := yaml.Unmarshal(b, &file); err != nil {
			t.Fatalf("%s: %v", f.Name(), err)
		}
		for key, texts := range file {
			for lang, text := range texts {
				want := entry{}
				if pair, ok := text.([]any); ok {
					for _, one := range pair {
						want = append(want, one.(string))
					}
				} else {
					want = append(want, text.(string))
				}
				n++
				if got := all[lang][strings.TrimSuffix(f.Name(), ".yaml")+"."+key]; !slices.Equal(got, want) {
					t.Errorf("%s, %s in %s: %q, want %q", f.Name(), key, lang, got, want)
				}
			}
		}
	}
	if n != len(all["en"])+len(all["de"]) {
		t.Errorf("%d texts in YAML, %d and %d read", n, len(all["en"]), len(all["de"]))
	}
}

func TestWhatIsNoLineOfWords(t *testing.T) {
	for _, line := range []string{"", "a", `a: {}`, `a: {en: }`, `a: {en: "x"`, `a: {en: "x", en: "y"}`, `a: {en: x}`, `a: {en: ["x"]}`, `a: {en: ["x", "y", "z"]}`, `a: {en: "x"} b`, `: {en: "x"}`} {
		if key, texts, err := readLine(line); err == nil {
			t.Errorf("%q is read as %s %v", line, key, texts)
		}
	}
}

// TestTemplatesNameTexts: each text a template names by its whole key is in the catalogue, and each template parses.
func TestTemplatesNameTexts(t *testing.T) {
	w := newViews("en")
	if w.err != nil {
		t.Fatal(w.err)
	}
	for _, tpl := range w.set.Templates() {
		for key := range keysOf(tpl) {
			if _, ok := w.words[key]; !ok {
				t.Errorf("template %s names text %q, which is not there", tpl.Name(), key)
			}
		}
	}
}

var callT = regexp.MustCompile(`(?:\b|\()t "([a-z_]+\.[A-Za-z0-9_.]+)"`)

func keysOf(tpl *template.Template) map[string]bool {
	out := map[string]bool{}
	if tpl.Tree == nil {
		return out
	}
	for _, m := range callT.FindAllStringSubmatch(tpl.Tree.Root.String(), -1) {
		out[m[1]] = true
	}
	return out
}
