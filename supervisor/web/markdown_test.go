package web

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// written is what the template makes of a stranger's text, without the frame around it.
func written(t *testing.T, text string) string {
	t.Helper()
	w := newViews("en")
	var b strings.Builder
	if err := w.draw(&b, "mdblocks", markdown(text, 2)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMarkdown(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"headings follow each other without a gap", "## 2.0\n#### Fixed\n# 1.0", "<h3>2.0</h3><h4>Fixed</h4><h3>1.0</h3>"},
		{"underlined headings", "Changes\n=======\n\n1.0\n---", "<h3>Changes</h3><h4>1.0</h4>"},
		{"a paragraph over lines", "one\ntwo  \nthree", "<p>one two<br>three</p>"},
		{"forms", "**bold** and *lean* and `a*b*` and __both__, snake_case_name, 2 * 3 * 4", "<p><strong>bold</strong> and <em>lean</em> and <code>a*b*</code> and <strong>both</strong>, snake_case_name, 2 * 3 * 4</p>"},
		{"forms in forms", "***both***, **a *b* c**", "<p><strong><em>both</em></strong>, <strong>a </strong><strong><em>b</em></strong><strong> c</strong></p>"},
		{"a list in a list", "- one\n  more\n  - two\n- three\n\nafter", "<ul><li><p>one more</p><ul><li><p>two</p></li></ul></li><li><p>three</p></li></ul><p>after</p>"},
		{"a numbered list", "3. c\n4. d", `<ol start="3"><li><p>c</p></li><li><p>d</p></li></ol>`},
		{"code in an item", "- run\n\n  ```sh\n  ls -l\n  ```", "<ul><li><p>run</p><pre tabindex=\"0\"><code>ls -l</code></pre></li></ul>"},
		{"code", "```yaml\na: <b>\n# no heading\n```\n\n    in\n      deep", "<pre tabindex=\"0\"><code>a: &lt;b&gt;\n# no heading</code></pre><pre tabindex=\"0\"><code>in\n  deep</code></pre>"},
		{"a quote and a rule", "> said\n> so\n\n---\nx", "<blockquote><p>said so</p></blockquote><hr><p>x</p>"},
		{"links", "[log](https://example.org/a_(b) \"t\") <https://e.org> https://e.org/x_y.", `<p><a href="https://example.org/a_%28b%29" target="_blank" rel="noopener noreferrer nofollow">log</a> <a href="https://e.org" target="_blank" rel="noopener noreferrer nofollow">https://e.org</a> <a href="https://e.org/x_y" target="_blank" rel="noopener noreferrer nofollow">https://e.org/x_y</a>.</p>`},
		{"links by name", "See [#12] and [all][Log] and [none] and [x] y\n\n[#12]: https://e.org/12\n[log]: https://e.org/log", `<p>See <a href="https://e.org/12" target="_blank" rel="noopener noreferrer nofollow">#12</a> and <a href="https://e.org/log" target="_blank" rel="noopener noreferrer nofollow">all</a> and [none] and [x] y</p>`},
		{"images are their words", "![a picture](https://e.org/p.png)", `<p><a href="https://e.org/p.png" target="_blank" rel="noopener noreferrer nofollow">a picture</a></p>`},
		{"a table", "| a | b |\n|---|:-:|\n| 1 | `x\\|y` |\n\nz", `<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead><tbody><tr><td>1</td><td><code>x|y</code></td></tr></tbody></table></div><p>z</p>`},
		{"comments are left out", "a<!-- b\n\nc -->d", "<p>ad</p>"},
		{"nothing", "\n \n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := written(t, c.text); got != c.want {
				t.Errorf("%q became\n%s, want\n%s", c.text, got, c.want)
			}
		})
	}
}

// element is all that the renderer may write: our own elements, and of addresses only those of links to http and https.
var element = regexp.MustCompile(`</?(?:p|h[1-6]|ul|li|strong|em|code|blockquote|table|thead|tbody|tr|td)>|<(?:br|hr)>|<pre tabindex="0">|</(?:pre|a|div|th|ol)>|<ol start="\d+">|<th scope="col">|<div class="scroll" tabindex="0">|<a href="https?://[^"<>]*" target="_blank" rel="noopener noreferrer nofollow">`)

// TestMarkdownOfStrangers: whatever a changelog holds, no element and no address of its own comes through.
func TestMarkdownOfStrangers(t *testing.T) {
	for _, text := range []string{
		"<script>alert(1)</script>\n# <img src=x onerror=alert(1)>\n- <b onmouseover=alert(1)>x</b>",
		"[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,<script>x</script>) [d](vbscript:x) [e](//evil.org) [f](/ui/logout) [g](http:evil) [h](https://u:p@evil.org)",
		"[a][x] ![b][x]\n\n[x]: javascript:alert(1)",
		"[a](https://e.org/\"onclick=alert(1)) [b](https://e.org/'><script>x</script>) <https://e.org/\"><script>> https://e.org/\"onload=x",
		"```\"><script>alert(1)</script>\n</code></pre><script>alert(1)</script>\n```",
		"| <script> | b |\n|---|---|\n| </table><script>x</script> | [x](javascript:x) |",
		"<!-- <script>--><script>x</script> <!-- open",
		"`<script>` **<script>** *<script>* ![<script>](https://e.org/a)",
		"&lt;script&gt; &#60;script&#62; \x00<scr\x00ipt> \xff\xfe<svg/onload=x>",
		strings.Repeat("> ", 5000) + "x", strings.Repeat("- ", 5000) + "x", strings.Repeat("[", 50000), strings.Repeat("*a ", 50000), strings.Repeat("**a*", 20000),
		strings.Repeat("`", 3000) + strings.Repeat("a`b``c```", 9000), strings.Repeat("|a", 20000) + "\n" + strings.Repeat("|-", 20000) + "|\n" + strings.Repeat("|b", 20000),
		strings.Repeat("[a](", 30000), strings.Repeat("![", 30000) + strings.Repeat("]", 30000), strings.Repeat("x\n", 200000), strings.Repeat("- a\n", 90000), strings.Repeat("  - a\n    - b\n", 9000),
	} {
		got := written(t, text)
		if rest := element.ReplaceAllString(got, ""); strings.ContainsAny(rest, "<>") {
			at := strings.IndexAny(rest, "<>")
			t.Errorf("of %.80q an element came through: %.120q", text, rest[max(0, at-20):])
		}
		if strings.Contains(got, "u:p@") && strings.Contains(got, `href="https://u:p@`) {
			t.Errorf("a link carries a password: %s", got)
		}
	}
}

// TestMarkdownTurnsNoText: characters that turn the direction of writing, and control characters, are taken out.
func TestMarkdownTurnsNoText(t *testing.T) {
	if got := written(t, "safe \u202Eexe.gpj\u202C \u2066x\u2069 \x1b[31mred\x07"); got != "<p>safe exe.gpj x [31mred</p>" {
		t.Errorf("became %q", got)
	}
}

// TestMarkdownOfRealAddons reads what real add-ons ship: no mark of a list or heading is left at the beginning of a paragraph.
func TestMarkdownOfRealAddons(t *testing.T) {
	files, err := filepath.Glob("testdata/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files to read: %v", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range markdown(string(b), 2) {
			if one.Kind == "para" && regexp.MustCompile(`^(#|[-*+] |\d+\. |\x60{3}|> )`).MatchString(one.Plain()) {
				t.Errorf("%s: %q was not understood", f, one.Plain())
			}
		}
	}
}
