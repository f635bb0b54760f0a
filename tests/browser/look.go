package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cd "github.com/chromedp/chromedp"
)

// Look is a kind of device: how large it is, and whether it is dark.
type Look struct {
	Name          string
	Width, Height int64
	Theme         string // light, dark
}

// The looks that every screen is tested in.
var (
	Light = Look{"light", 1280, 900, "light"}
	Dark  = Look{"dark", 1280, 900, "dark"}
	Phone = Look{"phone", 390, 844, "light"}
	Looks = []Look{Light, Dark, Phone}
)

// Look makes the tab one of a device.
func (b *Tab) Look(l Look) {
	b.t.Helper()
	b.do(func(ctx context.Context) error {
		var options []cd.EmulateViewportOption
		if l.Width < 600 {
			options = append(options, cd.EmulateMobile, cd.EmulateTouch, cd.EmulatePortrait)
		}
		if err := cd.Do(ctx, cd.EmulateViewport(l.Width, l.Height, options...)); err != nil {
			return err
		}
		_, err := cd.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: l.Theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	})
}

// NoScripts switches JavaScript off from the next page on, or on again.
func (b *Tab) NoScripts(off bool) {
	b.t.Helper()
	b.do(func(ctx context.Context) error {
		_, err := cd.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
		return err
	})
}

// Text is what can be read in an element, "" when there is none.
func (b *Tab) Text(css string) string {
	b.t.Helper()
	text := Eval[string](b, fmt.Sprintf(`(document.querySelector(%q) || {innerText: ""}).innerText`, css))
	return strings.Join(strings.Fields(text), " ")
}

// Until waits until a condition in JavaScript holds.
func (b *Tab) Until(what, condition string) {
	b.t.Helper()
	for end := time.Now().Add(patience); !b.holds(condition); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("%s within %s: not on %s, which says:\n%s", what, patience, b.Path(), b.Text("body"))
		}
	}
}

// holds tells whether a condition holds now. On a page that is going it does not.
func (b *Tab) holds(condition string) bool {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	ok, err := cd.Run(ctx, cd.Evaluate[bool]("Boolean("+condition+")"))
	return err == nil && ok
}

// Sees waits until words can be read on the page.
func (b *Tab) Sees(words ...string) {
	b.t.Helper()
	for _, w := range words {
		b.Until(fmt.Sprintf("%q is read", w), fmt.Sprintf(`document.body.innerText.replace(/\s+/g, " ").includes(%q)`, w))
	}
}

// At waits until the tab is at a path.
func (b *Tab) At(path string) {
	b.t.Helper()
	b.Until("the page is "+path, fmt.Sprintf(`location.pathname + location.search === %q && document.readyState === "complete"`, path))
}

// Variables that name folders for pictures, none when they are empty: of each screen, whole, to be looked at; and of some as a
// screen shows them, for those who read of the project.
const (
	screensDir  = "CASTELLAN_SCREENS"
	picturesDir = "CASTELLAN_PICTURES"
)

// Picture keeps a picture of the whole page, as it is now.
func (b *Tab) Picture(name string) {
	b.t.Helper()
	b.keep(os.Getenv(screensDir), name, cd.FullScreenshot(100))
}

// Portrait keeps a picture of what the screen shows, in a look, which stays.
func (b *Tab) Portrait(name string, l Look) {
	b.t.Helper()
	b.Look(l)
	b.Settle()
	b.keep(os.Getenv(picturesDir), name, cd.CaptureScreenshot())
}

func (b *Tab) keep(dir, name string, take cd.Action[[]byte]) {
	b.t.Helper()
	if dir == "" {
		return
	}
	b.do(func(ctx context.Context) error {
		png, err := cd.Run(ctx, take)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	})
}
