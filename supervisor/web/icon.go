package web

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"sync"
)

// The drawings stand in the page: a file beside it would be one more to fetch, and browsers make a document of all of it for
// each tab.

//go:embed icons.svg
var iconFile string

//go:embed static/logo.svg
var logoFile string

// icons are the drawings by name, without what is the same for all of them, which is the style's.
var icons = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(iconFile) {
		_, name, _ := strings.Cut(line, `<symbol id="`)
		name, inner, ok := strings.Cut(name, `"`)
		if _, inner, _ = strings.Cut(inner, ">"); ok {
			out[name], _, _ = strings.Cut(inner, "</symbol>")
		}
	}
	return out
})

// icon draws one in the size of the text, for eyes only: words say the same.
func icon(name string) (template.HTML, error) {
	inner, ok := icons()[name]
	if !ok {
		return "", fmt.Errorf("there is no icon %q", name)
	}
	return template.HTML(`<svg class="i" viewBox="0 0 24 24" aria-hidden="true" focusable="false">` + inner + `</svg>`), nil // #nosec G203 -- of our own file
}

// logo draws the mark of the product, as wide and high as that many pixels.
func logo(px int) template.HTML {
	return template.HTML(strings.Replace(logoFile, "<svg ", fmt.Sprintf(`<svg width="%d" height="%[1]d" aria-hidden="true" focusable="false" `, px), 1)) // #nosec G203 -- of our own file
}
