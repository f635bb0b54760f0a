package browser

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	cd "github.com/chromedp/chromedp"
)

// find finds what has a role and a name for people who can't see the page, as soon as it is there: "button", "Log in". It must be
// the only one.
func (b *Tab) find(role, name string) cdp.BackendNodeID {
	b.t.Helper()
	return b.findIn("", role, name)
}

// findIn is find within a part of the page, "" = all of it.
func (b *Tab) findIn(css, role, name string) cdp.BackendNodeID {
	b.t.Helper()
	var found []cdp.BackendNodeID
	for end := time.Now().Add(patience); ; time.Sleep(40 * time.Millisecond) {
		found = b.allIn(css, role, name)
		if len(found) == 1 {
			return found[0]
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s has %d times %s %q, want one; there are:\n%s", b.Path(), len(found), role, name, b.outline())
		}
	}
}

// Has tells how many things of a role and a name there are now.
func (b *Tab) Has(role, name string) int {
	b.t.Helper()
	return len(b.all(role, name))
}

func (b *Tab) all(role, name string) []cdp.BackendNodeID {
	b.t.Helper()
	return b.allIn("", role, name)
}

func (b *Tab) allIn(css, role, name string) (out []cdp.BackendNodeID) {
	b.t.Helper()
	b.do(func(ctx context.Context) error {
		doc, err := cd.Call(ctx, dom.GetDocument, dom.GetDocumentParams{})
		if err != nil {
			return err
		}
		root := doc.Root.NodeID
		if css != "" {
			part, err := cd.Call(ctx, dom.QuerySelector, dom.QuerySelectorParams{NodeID: root, Selector: css})
			if err != nil || part.NodeID == 0 {
				return nil // it is not there yet
			}
			root = part.NodeID
		}
		res, err := cd.Call(ctx, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{NodeID: root, AccessibleName: name, Role: role})
		if err != nil {
			return nil // the page changes at this moment: there is nothing yet
		}
		for _, n := range res.Nodes {
			if !n.Ignored {
				out = append(out, n.BackendDOMNodeID)
			}
		}
		return nil
	})
	return out
}

// outline is what can be found on the page, for who looks for it in vain.
func (b *Tab) outline() string {
	var lines []string
	res, err := cd.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		return err.Error()
	}
	for _, n := range res.Nodes {
		if n.Ignored || n.Role == nil || n.Name == nil {
			continue
		}
		role, name := strings.Trim(string(n.Role.Value), `"`), strings.Trim(string(n.Name.Value), `"`)
		if name != "" && role != "InlineTextBox" && (role != "StaticText" || len(lines) < 40) {
			lines = append(lines, fmt.Sprintf("  %s %q", role, name))
		}
	}
	return strings.Join(lines, "\n")
}

// Click presses what has a role and a name with the mouse: what lies over it gets the press instead, as with people. It waits
// until the answer is on the page.
func (b *Tab) Click(role, name string) {
	b.t.Helper()
	b.click(b.find(role, name))
	b.Settle()
}

// ClickIn is Click within a part of the page, where the page has several of a name.
func (b *Tab) ClickIn(css, role, name string) {
	b.t.Helper()
	b.click(b.findIn(css, role, name))
	b.Settle()
}

// Settle waits until no request of the page's own goes on.
func (b *Tab) Settle() {
	b.t.Helper()
	b.Until("the page rests", `document.readyState === "complete" && !document.querySelector(".htmx-request, .htmx-swapping, .htmx-settling")`)
}

func (b *Tab) click(id cdp.BackendNodeID) {
	b.t.Helper()
	b.do(func(ctx context.Context) error {
		var at dom.Quad
		for { // a page that is read anew may push it about just now
			if _, err := cd.Call(ctx, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: id}); err != nil {
				return err
			}
			quads, err := cd.Call(ctx, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: id})
			if err != nil {
				return err
			}
			if len(quads.Quads) == 0 {
				return errors.New("cannot press it: it is nowhere to be seen")
			}
			if slices.Equal(at, quads.Quads[0]) {
				return cd.Do(ctx, cd.MouseClickXY((at[0]+at[4])/2, (at[1]+at[5])/2))
			}
			at = quads.Quads[0]
			time.Sleep(still)
		}
	})
}

// still is how long something must keep its place to be pressed.
const still = 200 * time.Millisecond

// Focused tells whether what has the role and the name has the focus.
func (b *Tab) Focused(role, name string) bool {
	b.t.Helper()
	at := b.active()
	for _, id := range b.all(role, name) {
		if id == at {
			return true
		}
	}
	return false
}

// active is what has the focus.
func (b *Tab) active() (id cdp.BackendNodeID) {
	b.t.Helper()
	b.do(func(ctx context.Context) error {
		o, err := cd.Run(ctx, cd.Evaluate[*runtime.RemoteObject](`document.activeElement`))
		if err != nil {
			return err
		}
		n, err := cd.Call(ctx, dom.DescribeNode, dom.DescribeNodeParams{ObjectID: o.ObjectID})
		if err == nil {
			id = n.Node.BackendNodeID
		}
		return err
	})
	return id
}

// Keys presses keys one after another, at what has the focus. "\t" and "\r" are keys too.
func (b *Tab) Keys(keys string, modifiers ...cd.Modifier) {
	b.t.Helper()
	b.do(func(ctx context.Context) error { return cd.Do(ctx, cd.KeyEvent(keys, cd.KeyModifiers(modifiers...))) })
}

// most is how many presses of Tab lead to anything on a page.
const most = 150

// Reach goes with the Tab key to what has a role and a name; of several, to the one that comes next.
func (b *Tab) Reach(role, name string) {
	b.t.Helper()
	for end := time.Now().Add(patience); b.Has(role, name) == 0; time.Sleep(40 * time.Millisecond) {
		if time.Now().After(end) {
			b.find(role, name) // which says what there is
		}
	}
	for range most {
		if b.Focused(role, name) {
			return
		}
		b.Keys("\t")
	}
	b.t.Fatalf("%d presses of Tab do not lead to %s %q", most, role, name)
}

// Fill puts a text in place of what a field holds.
func (b *Tab) Fill(label, text string) {
	b.t.Helper()
	b.fill(b.field(label), text)
}

func (b *Tab) fill(id cdp.BackendNodeID, text string) {
	b.t.Helper()
	b.do(func(ctx context.Context) error {
		if _, err := cd.Call(ctx, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: id}); err != nil {
			return err
		}
		_, err := cd.Call(ctx, dom.Focus, dom.FocusParams{BackendNodeID: id})
		return err
	})
	b.Keys("a", cd.ModifierCtrl)
	if text == "" {
		b.Keys("\b")
		return
	}
	b.do(func(ctx context.Context) error {
		_, err := cd.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
		return err
	})
}

// field is what a text, a number or a password is typed into, by its label.
func (b *Tab) field(label string) cdp.BackendNodeID {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(40 * time.Millisecond) {
		for _, role := range []string{"textbox", "searchbox", "spinbutton", "combobox"} {
			if found := b.all(role, label); len(found) == 1 {
				return found[0]
			}
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s has no field %q; there are:\n%s", b.Path(), label, b.outline())
		}
	}
}
