package web

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"runtime/debug"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

// views are the templates and texts of one language.
type views struct {
	lang  string
	words map[string]entry
	set   *template.Template
	err   error
}

// afterReading is when what reading the templates needed is given back.
const afterReading = 3 * time.Second

// in gives the views of a language, which are read once.
func (u *UI) in(lang string) *views {
	u.mu.Lock()
	defer u.mu.Unlock()
	if w := u.views[lang]; w != nil {
		return w
	}
	w := newViews(lang)
	u.views[lang] = w
	time.AfterFunc(afterReading, debug.FreeOSMemory)
	return w
}

func newViews(lang string) *views {
	w := &views{lang: lang}
	all, err := catalogue()
	if err != nil {
		w.err = err
		return w
	}
	w.words = all[lang]
	w.set, w.err = template.New("").Funcs(w.functions()).ParseFS(templateFiles, "templates/*.html")
	return w
}

// functions are what templates can call.
func (w *views) functions() template.FuncMap {
	return template.FuncMap{
		"t":       w.text,                                                     // a text: {{t "overview.title"}}
		"has":     func(key string) bool { _, ok := w.words[key]; return ok }, // whether there is one
		"size":    w.size,                                                     // bytes
		"num":     func(n any) string { return w.argument(n) },
		"stamp":   w.stamp,
		"day":     w.day,
		"ago":     func(t time.Time) string { return w.ago(time.Now(), t) },
		"lasts":   w.lasts,
		"asset":   assetPath,
		"icon":    icon,
		"logo":    logo,
		"lang":    func() string { return w.lang },
		"hue":     hue,
		"dict":    dict,
		"list":    func(v ...any) []any { return v },
		"code":    keyOf, // a code of the API as part of a key
		"add":     func(a, b int) int { return a + b },
		"percent": func(f float64) string { return w.decimal(f, 1) + hardSpace + "%" },
		"iso":     func(t time.Time) string { return t.Format(time.RFC3339) },
	}
}

// dict makes a map of names and values, for a part that takes several.
func dict(pairs ...any) (map[string]any, error) {
	out := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", pairs[i])
		}
		out[name] = pairs[i+1]
	}
	return out, nil
}

// hue is one of eight tints, always the same for a name.
func hue(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash: it can't fail
	return fmt.Sprintf("h%d", h.Sum32()%8)
}

// draw writes a view.
func (w *views) draw(to io.Writer, view string, data any) error {
	if w.err != nil {
		return w.err
	}
	var b bytes.Buffer
	if err := w.set.ExecuteTemplate(&b, view, data); err != nil {
		return err
	}
	_, err := to.Write(straight(b.Bytes()))
	return err
}

// turning are the characters that turn the direction of writing (U+202A … U+202E, U+2066 … U+2069). In the name of an add-on
// they would turn our own words beside it.
var turning = []string{"\u202A", "\u202B", "\u202C", "\u202D", "\u202E", "\u2066", "\u2067", "\u2068", "\u2069"}

// straight takes them out of a page.
func straight(page []byte) []byte {
	for _, c := range turning {
		page = bytes.ReplaceAll(page, []byte(c), nil)
	}
	return page
}
