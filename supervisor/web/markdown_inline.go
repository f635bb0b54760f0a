package web

import (
	"net/url"
	"regexp"
	"strings"
)

// Limits on what stands inside what.
const (
	mdNestings = 4
	mostLink   = 600 // bytes of the words of a link
)

// mdSpan is a run of text of one form.
type mdSpan struct {
	Text   string
	Strong bool
	Em     bool
	Code   bool
	Break  bool   // a new line begins after it
	Href   string // http or https, "" = no link
}

var (
	mdTo      = regexp.MustCompile(`^(?:\(\s*<?([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+["'(][^)]{0,300})?\s*\)|\[([^\[\]]{0,200})\])`)
	mdAuto    = regexp.MustCompile(`^<(https?://[^\s<>]{1,1000})>`)
	mdBare    = regexp.MustCompile(`^https?://[^\s<>"'` + "`" + `|]{1,1000}`)
	mdEscape  = regexp.MustCompile("^\\\\[!-/:-@\\[-`{-~]")
	mdLineEnd = regexp.MustCompile(`^(?: {2,}|\\)?\n`)
	mdLineTag = regexp.MustCompile(`(?i)^<br ?/?>`)
)

// inline reads the text of a paragraph.
func (r *mdReader) inline(text string) []mdSpan {
	w := mdWriter{r: r}
	w.read(text, mdSpan{}, 0)
	w.flush()
	return w.out
}

// mdWriter collects spans. What has the form of the last goes on it.
type mdWriter struct {
	r    *mdReader
	out  []mdSpan
	form mdSpan          // of what is collected now
	text strings.Builder // and its text
}

// put adds text in a form.
func (w *mdWriter) put(text string, form mdSpan) {
	if form != w.form {
		w.flush()
		w.form = form
	}
	w.text.WriteString(text)
}

func (w *mdWriter) flush() {
	if w.text.Len() > 0 {
		one := w.form
		one.Text = w.text.String()
		w.out = append(w.out, one)
	}
	w.text.Reset()
}

func (w *mdWriter) read(s string, form mdSpan, depth int) {
	before := byte(' ')
	for s != "" {
		n := w.special(s, before, form, depth)
		if n == 0 {
			n = 1 + strings.IndexAny(s[1:], "\\`*_[!<h\n ")
			if n == 0 {
				n = len(s)
			}
			w.put(s[:n], form)
		}
		before = s[n-1]
		s = s[n:]
	}
}

// special reads what begins s if it has a meaning, and tells how much of s that was; 0 = it has none.
func (w *mdWriter) special(s string, before byte, form mdSpan, depth int) int {
	switch s[0] {
	case '\\':
		if m := mdEscape.FindString(s); m != "" {
			w.put(m[1:], form)
			return len(m)
		}
	case '`':
		return w.code(s, form)
	case '*', '_':
		return w.emphasis(s, before, form, depth)
	case '[', '!':
		return w.link(s, form, depth)
	case '<':
		if m := mdAuto.FindStringSubmatch(s); m != nil {
			form.Href = outside(m[1])
			w.put(m[1], form)
			return len(m[0])
		}
		if m := mdLineTag.FindString(s); m != "" {
			w.end()
			return len(m)
		}
	case 'h':
		if m := mdBare.FindString(s); m != "" && form.Href == "" && !wordy(before) {
			m = strings.TrimRight(m, ".,;:!?*_~]")
			if strings.Count(m, ")") > strings.Count(m, "(") {
				m = strings.TrimRight(m, ")")
			}
			form.Href = outside(m)
			w.put(m, form)
			return len(m)
		}
	}
	if m := mdLineEnd.FindString(s); m != "" {
		if len(m) > 1 {
			w.end()
		} else {
			w.put(" ", form)
		}
		return len(m)
	}
	return 0
}

// end makes a new line.
func (w *mdWriter) end() {
	w.flush()
	w.out = append(w.out, mdSpan{Break: true})
}

func (w *mdWriter) code(s string, form mdSpan) int {
	ticks := len(s) - len(strings.TrimLeft(s, "`"))
	end := strings.Index(s[ticks:], s[:ticks])
	if end <= 0 {
		w.put(s[:ticks], form)
		return ticks
	}
	text := strings.ReplaceAll(s[ticks:ticks+end], "\n", " ")
	if t := strings.TrimSpace(text); t != "" {
		text = t
	}
	form.Code = true
	w.put(text, form)
	return ticks + end + ticks
}

// emphasis reads *, **, _ and __ with what stands between two of them.
func (w *mdWriter) emphasis(s string, before byte, form mdSpan, depth int) int {
	mark := s[:1]
	if strings.HasPrefix(s, mark+mark) {
		mark += mark
	}
	if depth >= mdNestings || len(s) <= len(mark) || strings.ContainsAny(s[len(mark):len(mark)+1], " \n") || mark[0] == '_' && wordy(before) {
		return 0
	}
	for from := len(mark); ; {
		end := strings.Index(s[from:], mark)
		if end < 0 || from > 2000 {
			return 0
		}
		end += from
		if len(mark) == 2 && strings.HasPrefix(s[end+2:], mark[:1]) { // the inner one of three ends first
			end++
		}
		after := end + len(mark)
		whole := end > len(mark) && s[end-1] != ' ' && s[end-1] != '\\' && (len(mark) == 2 || after >= len(s) || s[after] != mark[0])
		if whole && !(mark[0] == '_' && after < len(s) && wordy(s[after])) {
			if len(mark) == 2 {
				form.Strong = true
			} else {
				form.Em = true
			}
			w.read(s[len(mark):end], form, depth+1)
			return after
		}
		from = end + 1
		if len(mark) == 1 && after < len(s) && s[after] == mark[0] {
			from = after + 1
		}
	}
}

// link reads [words](address), [words][name], [name] and images, of which the words alone are shown.
func (w *mdWriter) link(s string, form mdSpan, depth int) int {
	if s[0] == '!' && !strings.HasPrefix(s, "![") {
		return 0
	}
	words, n := bracketed(strings.TrimPrefix(s, "!"))
	if n == 0 || depth >= mdNestings {
		return 0
	}
	n += strings.Index(s, "[")
	name := words
	to := ""
	if m := mdTo.FindStringSubmatch(s[n:]); m != nil {
		n += len(m[0])
		to = m[1]
		if m[2] != "" {
			name = m[2]
		}
	}
	if to == "" {
		to = w.r.refs[strings.ToLower(name)]
	}
	if to == "" { // words in brackets
		return 0
	}
	if form.Href == "" {
		form.Href = outside(to)
	}
	w.read(words, form, depth+1)
	return n
}

// bracketed gives what stands between the bracket that s begins with and its fellow, and how long the whole is; 0 = there is
// none.
func bracketed(s string) (string, int) {
	open := 0
	for i := 0; i < min(len(s), mostLink); i++ {
		switch s[i] {
		case '\\':
			i++
		case '[':
			open++
		case ']':
			if open--; open == 0 {
				return s[1:i], i + 1
			}
		}
	}
	return "", 0
}

// outside is an address that a stranger's text may lead to: http and https with a host and nobody's password; otherwise "".
func outside(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}

func wordy(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}
