package house

import (
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/castellan/castellan/tests/browser"
)

// page is an answer to a visitor who calls as a browser does.
type page struct {
	status int
	header http.Header
	body   string
}

// asks makes a call with the visitor's cookie and no other sign of him. Extra headers are names and values.
func (v *visitor) asks(method, path, body string, extra ...string) page {
	v.h.t.Helper()
	req, err := http.NewRequestWithContext(v.h.t.Context(), method, v.base, strings.NewReader(body))
	must(v.h.t, err)
	target, query, _ := strings.Cut(path, "?")
	req.URL.Opaque, req.URL.RawQuery = "//"+req.URL.Host+target, query // as it is written, nothing made clean
	if v.cookie != "" {
		req.Header.Set("Cookie", v.cookie)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(extra); i += 2 {
		req.Header.Set(extra[i], extra[i+1])
	}
	resp, err := v.http.Do(req)
	must(v.h.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	must(v.h.t, err)
	return page{resp.StatusCode, resp.Header, string(b)}
}

// form is a form of a page that changes something.
type form struct {
	page, action string
	fields       url.Values
}

var (
	linkShape  = regexp.MustCompile(`href="(/ui/[^"#]*)`)
	formShape  = regexp.MustCompile(`(?s)<form\b([^>]*\bmethod="post"[^>]*)>(.*?)</form>`)
	actShape   = regexp.MustCompile(`\baction="([^"]*)"`)
	inputShape = regexp.MustCompile(`<(?:input|button|select|textarea)\b[^>]*>`)
	nameShape  = regexp.MustCompile(`\bname="([^"]*)"`)
	valueShape = regexp.MustCompile(`\bvalue="([^"]*)"`)
)

// Limits of a walk: pages in all, and those of one screen.
const (
	mostPages = 250
	mostAlike = 3
)

// walk follows every link from the first page on. It gives the pages and the forms on them, each action once.
func (v *visitor) walk(t *testing.T) (pages map[string]page, forms []form) {
	t.Helper()
	pages = map[string]page{}
	alike, acts := map[string]int{}, map[string]bool{}
	for todo := []string{"/ui/"}; len(todo) > 0 && len(pages) < mostPages; todo = todo[1:] {
		path := todo[0]
		p := v.asks("GET", path, "")
		pages[path] = p
		if !strings.HasPrefix(p.header.Get("Content-Type"), "text/html") {
			continue
		}
		for _, m := range linkShape.FindAllStringSubmatch(p.body, -1) {
			to := html.UnescapeString(m[1])
			if _, seen := pages[to]; seen || slices.Contains(todo, to) || strings.HasPrefix(to, "/ui/static/") || alike[kindOf(to)] == mostAlike {
				continue
			}
			alike[kindOf(to)]++
			todo = append(todo, to)
		}
		for _, m := range formShape.FindAllStringSubmatch(p.body, -1) {
			f := form{page: path, fields: url.Values{}}
			if a := actShape.FindStringSubmatch(m[1]); a != nil {
				f.action = html.UnescapeString(a[1])
			}
			for _, tag := range inputShape.FindAllString(m[2], -1) {
				name, value := nameShape.FindStringSubmatch(tag), valueShape.FindStringSubmatch(tag)
				switch {
				case name == nil, strings.Contains(tag, `type="radio"`) && f.fields.Has(name[1]): // of several, the first
				case value == nil:
					f.fields.Set(html.UnescapeString(name[1]), "")
				default:
					f.fields.Set(html.UnescapeString(name[1]), html.UnescapeString(value[1]))
				}
			}
			if !acts[f.action] {
				acts[f.action] = true
				forms = append(forms, f)
			}
		}
	}
	return pages, forms
}

// kindShape are parts of an address that name one thing of many.
var kindShape = regexp.MustCompile(`/(services|changes|log|people|backups|addons|help|repositories)/[^/?]+`)

// kindOf is the screen that an address shows.
func kindOf(path string) string {
	bare, _, _ := strings.Cut(path, "?")
	for _, fixed := range []string{"/ui/addons/repositories", "/ui/backups/new", "/ui/backups/key", "/ui/backups/work"} {
		if bare == fixed {
			return bare
		}
	}
	return kindShape.ReplaceAllString(bare, "/$1/*")
}

// check holds what a tab shows to what every screen must be, and remembers that it was.
func (u *ui) check(b *browser.Tab, name string) {
	u.t.Helper()
	u.checked[kindOf(b.Path())] = true
	b.Check(name)
}

// walked is what a walk of anna's finds, who may do all.
func (u *ui) walked(t *testing.T) (map[string]page, []form) {
	t.Helper()
	if u.pages == nil {
		u.pages, u.forms = u.enter("anna", phrase).walk(t)
	}
	return u.pages, u.forms
}

// testEveryScreen looks at each screen that a link leads to and that no test has come by; and at all of them once more on a German
// phone, where words are longest and room is least.
func (u *ui) testEveryScreen(t *testing.T) {
	b := u.on(t)
	pages, _ := u.walked(t)
	german := browser.Open(t, u.base)
	u.login(german, "anna", phrase)
	german.SetCookie("lang=de")
	german.Look(browser.Phone)
	kinds := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(pages)) {
		kind := kindOf(path)
		if kinds[kind] || pages[path].status != http.StatusOK || !strings.HasPrefix(pages[path].header.Get("Content-Type"), "text/html") || pages[path].header.Get("Content-Disposition") != "" {
			continue
		}
		kinds[kind] = true
		if !u.checked[kind] {
			b.Visit(path)
			b.Settle()
			u.check(b, strings.NewReplacer("/", "-", "*", "one").Replace(strings.Trim(strings.TrimPrefix(kind, "/ui"), "/")))
		}
		german.Visit(path)
		if wide := german.Wide(); wide != "" {
			t.Errorf("%s on a German phone: %s", path, wide)
		}
	}
	t.Logf("%d screens", len(kinds))
}
