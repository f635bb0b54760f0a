package web

import (
	"embed"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed words/*.yaml
var wordFiles embed.FS

// languages are those of the catalogue; the first is everybody's who asks for none of them.
var languages = []string{"en", "de"}

// entry is a text in one language: one form, or two, for exactly one and for any other number, which is the first argument.
type entry []string

// catalogue are all texts by language and key, "overview.title". Each file of words/ holds a room's: key -> language ->
// text, or [one, other]. {0} is the first argument.
var catalogue = sync.OnceValues(readWords)

func readWords() (map[string]map[string]entry, error) {
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
		room := strings.TrimSuffix(f.Name(), ".yaml")
		n := 0
		for line := range strings.Lines(string(b)) {
			n++
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			key, texts, err := readLine(line)
			if err != nil {
				return nil, fmt.Errorf("cannot read words/%s, line %d: %w", f.Name(), n, err)
			}
			for lang, e := range texts {
				if out[lang] == nil {
					return nil, fmt.Errorf("cannot read words/%s, line %d: it has language %q", f.Name(), n, lang)
				}
				if _, twice := out[lang][room+"."+key]; twice {
					return nil, fmt.Errorf("cannot read words/%s, line %d: %s is there twice", f.Name(), n, key)
				}
				out[lang][room+"."+key] = e
			}
		}
	}
	return out, nil
}

// readLine reads a line of a file of words. The files are YAML of one shape, a line a text; a reader of all of YAML takes twelve
// times as long for them (40 ms, a Pi's blink) and ten times the memory: key: {en: "text", de: ["one", "other"]}.
func readLine(line string) (key string, texts map[string]entry, err error) {
	key, rest, ok := strings.Cut(line, ": {")
	if key = strings.Trim(key, `"`); !ok || key == "" {
		return "", nil, notALine(line)
	}
	texts = map[string]entry{}
	for {
		lang, after, ok := strings.Cut(rest, ": ")
		if !ok {
			return "", nil, notALine(line)
		}
		e, left, err := readEntry(after)
		if err != nil || texts[lang] != nil {
			return "", nil, notALine(line)
		}
		texts[lang] = e
		if left == "}" {
			return key, texts, nil
		}
		if rest, ok = strings.CutPrefix(left, ", "); !ok {
			return "", nil, notALine(line)
		}
	}
}

func notALine(line string) error {
	return fmt.Errorf(`want key: {en: "…", de: "…"}, it is %.60q`, line)
}

// readEntry reads a text, or a pair of them, and gives what follows.
func readEntry(s string) (e entry, rest string, err error) {
	rest, pair := strings.CutPrefix(s, "[")
	for {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil, "", err
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, "", err
		}
		e, rest = append(e, text), rest[len(quoted):]
		switch {
		case !pair:
			return e, rest, nil
		case len(e) == 2 && strings.HasPrefix(rest, "]"):
			return e, rest[1:], nil
		case len(e) == 2 || !strings.HasPrefix(rest, ", "):
			return nil, "", errors.New("a pair of texts has no end")
		}
		rest = rest[2:]
	}
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
