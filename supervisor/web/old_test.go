package web

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// TestOldBrowsers: the tablet on the wall was bought years ago and its WebView stays as it is. Style and scripts of our own use
// nothing that came after it; what may be missing there has another way beside it.
func TestOldBrowsers(t *testing.T) {
	late := map[string]*regexp.Regexp{
		".css": regexp.MustCompile(`oklch\(|light-dark\(|color-mix\(|:has\(|:is\(|:where\(|@container|@layer|[{;]\s*&|\d[ds]v[hw]\b|aspect-ratio`),
		".js":  regexp.MustCompile("=>|\\?\\.|\\?\\?|`|\\b(let|const|class|async +function|await)\\b|\\.\\.\\."),
	}
	seen := 0
	err := fs.WalkDir(staticFiles, "static", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(name, "vendor/") {
			return err
		}
		for end, form := range late {
			if !strings.HasSuffix(name, end) {
				continue
			}
			b, err := fs.ReadFile(staticFiles, name)
			if err != nil {
				return err
			}
			seen++
			text := string(b)
			if end == ".js" { // its comments are words
				text = regexp.MustCompile(`(?m)//.*$`).ReplaceAllString(text, "")
			}
			for _, at := range form.FindAllStringIndex(text, -1) {
				t.Errorf("%s: an old browser does not know %q", name, text[max(0, at[0]-20):min(len(text), at[1]+20)])
			}
		}
		return nil
	})
	if err != nil || seen < 8 {
		t.Errorf("%d files were read: %v", seen, err)
	}
}
