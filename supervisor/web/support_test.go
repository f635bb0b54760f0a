package web

import (
	"os"
	"regexp"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// TestPartsOfABundle: each file that a bundle may hold is told in the reader's language.
func TestPartsOfABundle(t *testing.T) {
	made, err := os.ReadFile("../support/gather.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`g\.(?:json|add)\("([a-z./-]+)"`).FindAllSubmatch(made, -1)
	if len(names) < 10 {
		t.Fatalf("the bundle holds %d files only: %q", len(names), names)
	}
	u, _ := fakeUI(t, "admin", nil)
	for _, name := range names {
		for _, lang := range languages {
			p := page{v: &visit{ui: u, lang: lang}}
			if text := p.Part(api.SupportFile{Name: string(name[1]), What: "in English"}); text == "in English" {
				t.Errorf("%s has no text in %s", name[1], lang)
			}
		}
	}
	p := page{v: &visit{ui: u, lang: "de"}}
	if text := p.Part(api.SupportFile{Name: "later.json", What: "of a newer daemon"}); text != "of a newer daemon" {
		t.Errorf("got %q", text)
	}
}
