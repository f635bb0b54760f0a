package web

import (
	"html/template"
	"regexp"
	"slices"
	"strings"
	"testing"
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
