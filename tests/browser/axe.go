package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

//go:embed axe/axe.min.js
var axe string

// Check holds a page to what every page must be in each look: axe finds nothing, nothing is wider than the screen, and
// nothing is too small for a finger. A picture of each look is kept under the name. The tab is left in the light look.
func (b *Tab) Check(name string) {
	b.t.Helper()
	for _, l := range Looks {
		b.Look(l)
		b.Picture(name + "-" + l.Name)
		if wide := b.Wide(); wide != "" {
			b.t.Errorf("%s, %s: %s", name, l.Name, wide)
		}
		for _, hard := range b.Small() {
			b.t.Errorf("%s, %s: hard to hit: %s", name, l.Name, hard)
		}
		only := ""
		if l.Name == Dark.Name { // the page is the light one in other colours
			only = `runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]},`
		}
		b.Settle()
		found := b.axe(only)
		if len(found) > 0 { // a part that was just read anew is pale for a moment
			time.Sleep(300 * time.Millisecond)
			b.Settle()
			found = b.axe(only)
		}
		for _, finding := range found {
			b.t.Errorf("%s, %s: axe: %s", name, l.Name, finding)
		}
	}
	b.Look(Light)
}

// axe gives what axe finds. options are more of its own, in JavaScript.
func (b *Tab) axe(options string) (out []string) {
	b.t.Helper()
	if !Eval[bool](b, `typeof axe === "object"`) {
		Eval[any](b, axe+"; 0")
	}
	var found []struct {
		ID, Help string
		Nodes    []struct {
			HTML           string
			FailureSummary string
		}
	}
	result := Eval[string](b, `axe.run(document, {`+options+` resultTypes: ["violations"], preload: false, iframes: false}).then(function (r) { return JSON.stringify(r.violations) })`)
	b.must(json.Unmarshal([]byte(result), &found))
	for _, f := range found {
		for _, n := range f.Nodes {
			out = append(out, fmt.Sprintf("%s (%s): %s: %s", f.ID, f.Help, n.HTML, strings.Join(strings.Fields(n.FailureSummary), " ")))
		}
	}
	return out
}

// Wide tells what makes a page wider than the screen, so that one has to push it about; "" when nothing does.
func (b *Tab) Wide() string {
	b.t.Helper()
	wide := 0
	for range 10 { // a screen that has just changed its size is laid out a moment later
		if wide = Eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide <= 0 {
			return ""
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Sprintf("the page is %d px wider than the screen: ", wide) + Eval[string](b, `Array.from(document.querySelectorAll("body *")).filter(function (e) {
		return e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5;
	}).slice(-3).map(function (e) { return e.outerHTML.slice(0, 200) }).join(" | ")`)
}
