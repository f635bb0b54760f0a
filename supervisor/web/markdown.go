package web

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Markdown of strangers (changelogs, documentation of add-ons) becomes structure here, never HTML: a template writes each
// piece as text. What is not understood, HTML above all, is shown as it stands. A link is one only to http and https, an
// image only its words. It is the part of CommonMark and its tables that such files use; reading is linear in what is
// bounded: the length, the depth of lists and quotes, the number of blocks.

// Limits on what is read of a file.
const (
	mostMarkdown       = 256 << 10 // bytes
	mostMarkdownBlocks = 4000
	mostMarkdownDepth  = 6
)

// mdBlock is a piece of a document, to be written by the template "markdown".
type mdBlock struct {
	Kind  string      // heading, para, list, code, quote, rule, table
	Level int         // of a heading in the page: 1 … 6
	Spans []mdSpan    // of a heading or paragraph
	Text  string      // of code
	Start int         // of a numbered list; 0 = one with bullets
	Items [][]mdBlock // of a list, and one of a quote
	Rows  [][][]mdSpan
}

// Ordered tells of a list whether it is numbered.
func (b mdBlock) Ordered() bool { return b.Start > 0 }

// Plain is the block's own text without its form.
func (b mdBlock) Plain() string {
	var s strings.Builder
	for _, one := range b.Spans {
		s.WriteString(one.Text)
	}
	return s.String()
}

// markdown reads a document. under is the level of the heading it stands below in the page, so that headings follow each
// other there without a gap.
func markdown(text string, under int) []mdBlock {
	if len(text) > mostMarkdown {
		text = text[:mostMarkdown]
	}
	text = tame(htmlComment.ReplaceAllString(text, ""))
	r := mdReader{refs: map[string]string{}, under: under}
	var lines []string
	empty := 0 // lines in a row; more than a few of them mean nothing, and would be looked at again and again
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.ReplaceAll(line, "\t", "    ")
		if bare := strings.TrimRight(line, " "); bare == "" || len(line) < len(bare)+2 {
			line = bare
		} else {
			line = bare + "  " // two spaces end a line of a paragraph
		}
		if empty++; line != "" {
			empty = 0
		} else if empty > 3 {
			continue
		}
		if m := mdDefinition.FindStringSubmatch(line); m != nil {
			r.refs[strings.ToLower(m[1])] = m[2]
			continue
		}
		lines = append(lines, line)
	}
	return r.blocks(lines, 0)
}

// tame takes out of a stranger's text what has no place on a page: characters that steer a terminal or turn the direction of
// writing, and what is no UTF-8.
func tame(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n"), "\r", "\n")
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return c
		case unicode.IsControl(c), c >= 0x202A && c <= 0x202E, c >= 0x2066 && c <= 0x2069, c == 0xFEFF:
			return -1
		}
		return c
	}, s)
}

var (
	htmlComment  = regexp.MustCompile(`(?s)<!--.*?-->`)
	mdDefinition = regexp.MustCompile(`^ {0,3}\[([^\]\[]{1,200})\]:\s+<?(\S{1,1000}?)>?(?:\s+["'(].*)?\s*$`)
	mdHeading    = regexp.MustCompile(`^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?$`)
	mdItem       = regexp.MustCompile(`^( *)([-*+]|\d{1,9}[.)])( +|$)(.*)$`)
	mdRule       = regexp.MustCompile(`^ {0,3}(?:(?:- *){3,}|(?:\* *){3,}|(?:_ *){3,})$`)
	mdFence      = regexp.MustCompile("^( {0,3})(`{3,}|~{3,})([^`]*)$")
	mdUnderline  = regexp.MustCompile(`^ {0,3}(=+|-+) *$`)
	mdTableRule  = regexp.MustCompile(`^ {0,3}\|?(?: *:?-+:? *\|)+(?: *:?-+:? *)? *$`)
)

type mdReader struct {
	refs  map[string]string // addresses by the names of links
	under int
	open  []int // levels of the headings that stand above
	count int
}

// blocks reads lines of one depth.
func (r *mdReader) blocks(lines []string, depth int) []mdBlock {
	var out []mdBlock
	for i := 0; i < len(lines) && r.count < mostMarkdownBlocks; {
		line := lines[i]
		if line == "" {
			i++
			continue
		}
		r.count++
		b, n := r.block(lines[i:], depth)
		out = append(out, b)
		i += n
	}
	return out
}

// block reads the one that begins with the first line, and tells how many lines it took: at least one.
func (r *mdReader) block(lines []string, depth int) (mdBlock, int) {
	line := lines[0]
	if m := mdFence.FindStringSubmatch(line); m != nil {
		return fenced(lines, len(m[1]), m[2])
	}
	if m := mdHeading.FindStringSubmatch(line); m != nil {
		return r.heading(len(m[1]), m[2]), 1
	}
	if mdRule.MatchString(line) {
		return mdBlock{Kind: "rule"}, 1
	}
	switch {
	case strings.HasPrefix(line, "    "):
		return indented(lines)
	case depth < mostMarkdownDepth && strings.HasPrefix(strings.TrimLeft(line, " "), ">"):
		return r.quote(lines, depth)
	case depth < mostMarkdownDepth && mdItem.MatchString(line):
		return r.list(lines, depth)
	case len(lines) > 1 && strings.Contains(line, "|") && mdTableRule.MatchString(lines[1]):
		return r.table(lines)
	}
	return r.paragraph(lines)
}

func (r *mdReader) heading(level int, text string) mdBlock {
	for len(r.open) > 0 && r.open[len(r.open)-1] >= level {
		r.open = r.open[:len(r.open)-1]
	}
	r.open = append(r.open, level)
	return mdBlock{Kind: "heading", Level: min(6, r.under+len(r.open)), Spans: r.inline(strings.TrimSpace(text))}
}

// begins tells whether a line ends the paragraph before it.
func begins(line string) bool {
	if line == "" || mdHeading.MatchString(line) || mdFence.MatchString(line) || mdRule.MatchString(line) {
		return true
	}
	if m := mdItem.FindStringSubmatch(line); m != nil && m[4] != "" {
		return true
	}
	return strings.HasPrefix(strings.TrimLeft(line, " "), ">")
}

func (r *mdReader) paragraph(lines []string) (mdBlock, int) {
	n := 1
	for ; n < len(lines); n++ {
		if m := mdUnderline.FindStringSubmatch(lines[n]); m != nil && n == 1 {
			level := 1
			if m[1][0] == '-' {
				level = 2
			}
			return r.heading(level, lines[0]), 2
		}
		if begins(lines[n]) {
			break
		}
	}
	text := make([]string, n)
	for i, line := range lines[:n] {
		text[i] = strings.TrimLeft(line, " ")
	}
	return mdBlock{Kind: "para", Spans: r.inline(strings.TrimRight(strings.Join(text, "\n"), " "))}, n
}

// fenced is code between two fences; one that is not closed goes to the end.
func fenced(lines []string, indent int, fence string) (mdBlock, int) {
	var code []string
	for i, line := range lines[1:] {
		if t := strings.TrimSpace(line); len(t) >= len(fence) && strings.Trim(t, fence[:1]) == "" {
			return mdBlock{Kind: "code", Text: strings.Join(code, "\n")}, i + 2
		}
		code = append(code, dedent(line, indent))
	}
	return mdBlock{Kind: "code", Text: strings.Join(code, "\n")}, len(lines)
}

func indented(lines []string) (mdBlock, int) {
	n, last := 0, 0
	for ; n < len(lines) && (lines[n] == "" || strings.HasPrefix(lines[n], "    ")); n++ {
		if lines[n] != "" {
			last = n + 1
		}
	}
	var code []string
	for _, line := range lines[:last] {
		code = append(code, dedent(line, 4))
	}
	return mdBlock{Kind: "code", Text: strings.Join(code, "\n")}, last
}

func (r *mdReader) quote(lines []string, depth int) (mdBlock, int) {
	var in []string
	n := 0
	for ; n < len(lines) && lines[n] != ""; n++ {
		line := strings.TrimLeft(lines[n], " ")
		if rest, ok := strings.CutPrefix(line, ">"); ok {
			in = append(in, strings.TrimPrefix(rest, " "))
		} else if begins(lines[n]) {
			break
		} else {
			in = append(in, line)
		}
	}
	return mdBlock{Kind: "quote", Items: [][]mdBlock{r.blocks(in, depth+1)}}, n
}

// list reads items of one kind and depth. What is indented below an item belongs to it.
func (r *mdReader) list(lines []string, depth int) (mdBlock, int) {
	first := mdItem.FindStringSubmatch(lines[0])
	out := mdBlock{Kind: "list"}
	if kind := first[2]; len(kind) > 1 {
		start, _ := strconv.Atoi(kind[:len(kind)-1]) // at most nine digits
		out.Start = max(1, start)
	}
	n := 0
	for n < len(lines) && r.count < mostMarkdownBlocks {
		m := mdItem.FindStringSubmatch(lines[n])
		if m == nil || len(m[1]) > len(first[1])+1 || len(m[1])+1 < len(first[1]) || (len(m[2]) > 1) != out.Ordered() || mdRule.MatchString(lines[n]) {
			break
		}
		in, took := listItem(lines[n:], m)
		out.Items = append(out.Items, r.blocks(in, depth+1))
		n += took
		for n+1 < len(lines) && lines[n] == "" && mdItem.MatchString(lines[n+1]) {
			n++
		}
	}
	if n == 0 { // a line that looks like a rule and like an item
		return r.paragraph(lines)
	}
	return out, n
}

// listItem gives the lines of the item that begins with the first, without their indentation, and how many they are.
func listItem(lines []string, m []string) (in []string, n int) {
	inner := len(m[1]) + len(m[2]) + min(max(1, len(m[3])), 4)
	in = []string{m[4]}
	for n = 1; n < len(lines); n++ {
		line := lines[n]
		deep := len(line) - len(strings.TrimLeft(line, " "))
		switch {
		case line == "" && belongs(lines[n:], len(m[1])+2):
			in = append(in, "")
		case line != "" && deep >= len(m[1])+2:
			in = append(in, dedent(line, min(inner, deep)))
		case line != "" && lines[n-1] != "" && !begins(line):
			in = append(in, strings.TrimLeft(line, " ")) // the paragraph goes on without indentation
		default:
			return in, n
		}
	}
	return in, n
}

// belongs tells whether what follows empty lines is indented that far.
func belongs(lines []string, deep int) bool {
	for _, line := range lines {
		if line != "" {
			return strings.HasPrefix(line, strings.Repeat(" ", deep))
		}
	}
	return false
}

func dedent(line string, n int) string {
	for ; n > 0 && strings.HasPrefix(line, " "); n-- {
		line = line[1:]
	}
	return line
}

// table reads one as GitHub writes them: names of columns, a line of dashes, and rows.
func (r *mdReader) table(lines []string) (mdBlock, int) {
	out := mdBlock{Kind: "table"}
	n := 0
	for ; n < len(lines) && lines[n] != "" && (n < 2 || strings.Contains(lines[n], "|")); n++ {
		if n == 1 {
			continue
		}
		line := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(lines[n]), "|"), "|")
		var row [][]mdSpan
		for _, cell := range strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|") {
			row = append(row, r.inline(strings.TrimSpace(strings.ReplaceAll(cell, "\x00", "|"))))
		}
		if len(out.Rows) > 0 && len(row) > len(out.Rows[0]) {
			row = row[:len(out.Rows[0])]
		}
		out.Rows = append(out.Rows, row)
	}
	return out, n
}
