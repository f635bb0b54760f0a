package addons

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml/lexer"
)

func TestLimitsAreToldByName(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"x.yaml", strings.Repeat("a", maxFileBytes+1), "it is larger than 256 KiB"},
		{"x.yaml", "a: b\nc: \xff\n", "line 2: byte 0xff is not UTF-8"},
		{"x.yaml", "a: b\nc: \x1b[2J\n", "line 2: control character 0x1b"},
		{"x.json", "{\"a\": \"\x7f\"}", "line 1: control character 0x7f"},
		{"x.yaml", strings.Repeat("a: 1\n", maxKeys+1), "line 5001: more than 5000 keys"},
		{"x.yaml", strings.Repeat("- 1\n", maxTokens/2+1), "more than 30000 words and signs"},
		{"x.yaml", "a: b\n" + strings.Repeat("- ", 65), "line 2: nested more than 64 deep"},
		{"x.yaml", "a: " + strings.Repeat("[", 65), "line 1: nested more than 64 deep"},
		{"x.yaml", "a: \"" + strings.Repeat("\tx", 8000), "line 1: too many tabs"},
		{"x.json", strings.Repeat("[", 65), "line 1: " + strings.Repeat("[0]", 64) + ": nested more than 64 deep"},
		{"x.json", "[" + strings.Repeat("1,", maxNodes) + "1]", "[49999]: more than 50000 values"},
	} {
		if _, err := readFile(c.file, []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: %.300v, want %s", c.text, err, c.want)
		}
	}
	for _, text := range []string{"\ufeffa: 1\n", "a: " + strings.Repeat("[", 60) + strings.Repeat("]", 60), "{a: [{b: 1}], e: f}", "---\na: 1\n...\n", "a: 1\r\nb: 2\r\n", "? a\n: b\n"} {
		if _, err := readFile("x.yaml", []byte(text)); err != nil {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	flow := "a: {" + strings.Repeat("k%: 1, ", 100) + "z: 1}" // many keys on one line are not many levels
	for i := range 100 {
		flow = strings.Replace(flow, "k%", fmt.Sprint("k", i), 1)
	}
	if n, err := readFile("x.yaml", []byte(flow)); err != nil || len(n.get("a").entries) != 101 {
		t.Errorf("a long line: %v", err)
	}
	if line, what := tooMuch(lexer.Tokenize("a: 1\n...\nb: 1\n...\n")); line != 4 || what != secondDocument {
		t.Errorf("ends of documents get to the parser: line %d, %s", line, what)
	}
	if line, what := tooMuch(lexer.Tokenize("a: 1\nb:\n" + strings.Repeat("&x ", 70))); line != 3 || !strings.Contains(what, "64 deep") {
		t.Errorf("anchors of anchors get to the parser: line %d, %s", line, what)
	}
}

// What a stranger may write ends, quickly, in a refusal of one file.
func TestHostileFilesAreRefusedQuickly(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, maxFileBytes/len(s)) }
	var keys, stairs strings.Builder
	for i := 0; keys.Len() < maxFileBytes-20; i++ {
		fmt.Fprintf(&keys, "k%d:\n", i)
	}
	for i := range 700 {
		stairs.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, text := range map[string]string{
		"too large": fill("a") + "aaaaaaaa", "not UTF-8": "name: \xff\n", "a zero": "name: a\x00b\n", "escape": "name: \x1b[2J\n",
		"brackets": fill("["), "braces": fill("{a: "), "closing": fill("]"), "pairs": fill("[]"), "dashes": fill("- "), "questions": fill("? "),
		"anchors": fill("&a "), "tags": fill("!!str "), "tag lines": fill("!!str\n"), "anchor lines": fill("&a\n"), "aliases": "- &a 1\n" + fill("- *a\n")[:maxFileBytes-10],
		"colons": fill("a: "), "keys": keys.String(), "same keys": fill("a:\n"), "items": fill("- 1\n"), "stairs": stairs.String(), "questions in lines": fill("? a\n: b\n"),
		"quotes": fill("\""), "documents": fill("a\n---\n"), "document ends": fill("...\n]\n"), "tabs": fill("\t\""), "long flow": "a: [" + fill("1,")[:maxFileBytes-10] + "]", "long key": strings.Repeat("x", maxFileBytes-8) + ": 1",
		"many mistakes": "machine:\n" + fill("- x\n")[:maxFileBytes-20], "numbers": "version: " + strings.Repeat("9", 200_000) + "\nname: x\n",
		"huge JSON number": `{"name": 1e999999999}`, "NaN": "{name: .nan}", "merge": "a: &a {b: 1}\nc:\n" + fill("  <<: *a\n")[:maxFileBytes-40],
	} {
		for _, ext := range []string{".yaml", ".json"} {
			start := time.Now()
			_, err := ParseManifest("config"+ext, []byte(text))
			took := time.Since(start)
			var e *InvalidError
			if !errors.As(err, &e) || len(err.Error()) > 1000 || len(e.Problems) > maxProblems {
				t.Errorf("%s%s: %.200v", name, ext, err)
			}
			if took > 5*time.Second { // a tenth of a second, where the machine has nothing else to do
				t.Errorf("%s%s took %s", name, ext, took)
			}
		}
	}
}
