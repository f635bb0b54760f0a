package web

import (
	"embed"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
)

//go:embed words/*.yaml
var wordFiles embed.FS

// languages are those of the catalogue; the first is everybody's who asks for none of them.
var languages = []string{"en", "de"}

// entry is a text in one language: one form, or two, for exactly one and for any other number, which is the first argument.
type entry []string

// catalogue are all texts by language and key, "overview.title". Each file of words/ holds a room's: key -> language ->
// text, or [one, other]. {0} is the first argument.
var catalogue = sync.OnceValues(func() (map[string]map[string]entry, error) {
	out := map[string]map[string]entry{}
	for _, lang := range languages {
		out[lang] = map[string]entry{}
	}
	list, err := wordFiles.ReadDir("words")
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		b, err := wordFiles.ReadFile("words/" + f.Name())
		if err != nil {
			return nil, err
		}
		var file map[string]map[string]any
		if err := yaml.Unmarshal(b, &file); err != nil {
			return nil, fmt.Errorf("cannot read words/%s: %w", f.Name(), err)
		}
		room := strings.TrimSuffix(f.Name(), ".yaml")
		for key, texts := range file {
			for lang, text := range texts {
				if out[lang] == nil {
					return nil, fmt.Errorf("cannot read words/%s: %s has language %q", f.Name(), key, lang)
				}
				e, err := asEntry(text)
				if err != nil {
					return nil, fmt.Errorf("cannot read words/%s: %s in %s: %w", f.Name(), key, lang, err)
				}
				out[lang][room+"."+key] = e
			}
		}
	}
	return out, nil
})

func asEntry(v any) (entry, error) {
	switch v := v.(type) {
	case string:
		return entry{v}, nil
	case []any:
		if len(v) == 2 {
			one, a := v[0].(string)
			other, b := v[1].(string)
			if a && b {
				return entry{one, other}, nil
			}
		}
	}
	return nil, fmt.Errorf("%v is no text and no pair of texts", v)
}

// text is a text with its arguments put in. A key that is not there shows itself, and a test finds it.
func (w *views) text(key string, args ...any) string {
	e, ok := w.words[key]
	if !ok {
		return "⟨" + key + "⟩"
	}
	s := e[0]
	if len(e) == 2 && !(len(args) > 0 && isOne(args[0])) {
		s = e[1]
	}
	for i, a := range args {
		s = strings.ReplaceAll(s, "{"+strconv.Itoa(i)+"}", w.argument(a))
	}
	return s
}

// known is a text that need not be there.
func (w *views) known(key, otherwise string) string {
	if _, ok := w.words[key]; ok {
		return w.text(key)
	}
	return otherwise
}

func isOne(a any) bool { return fmt.Sprint(a) == "1" }

// argument writes a number as the language does, and anything else as it is.
func (w *views) argument(a any) string {
	switch n := a.(type) {
	case int:
		return w.number(int64(n))
	case int64:
		return w.number(n)
	case uint64:
		return w.number(int64(n))
	case float64:
		return w.decimal(n, 1)
	case gibibytes:
		return w.size(int64(n * (1 << 30)))
	case time.Time:
		return w.stamp(n)
	}
	return fmt.Sprint(a)
}

// languageOf is the language a visitor reads: as he chose, else the first of his browser's that there is.
func languageOf(r *http.Request) string {
	if c, err := r.Cookie("lang"); err == nil {
		for _, l := range languages {
			if c.Value == l {
				return l
			}
		}
	}
	best, most := languages[0], 0.0
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, q, found := strings.Cut(strings.TrimSpace(part), ";q=")
		weight := 1.0
		if found {
			weight, _ = strconv.ParseFloat(q, 64) // what is no number does not count
		}
		base, _, _ := strings.Cut(strings.ToLower(tag), "-")
		for _, l := range languages {
			if base == l && weight > most {
				best, most = l, weight
			}
		}
	}
	return best
}
