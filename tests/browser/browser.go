// Package browser drives Debian's Chromium for the tests of the web UI, as a person would: things are found by what they are
// and what they are called, not by how they are marked up.
//
// There is one Chromium for a test binary. Each [Tab] has cookies of its own, so it is somebody's device. Whatever goes wrong in
// a tab fails its test: a message on the console, an exception, a breach of the Content-Security-Policy, a request that fails.
package browser

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	cd "github.com/chromedp/chromedp"
)

// patience is how long a tab waits for what is to come.
const patience = 20 * time.Second

// chromium is the one of this process.
var chromium struct {
	sync.Mutex
	ctx  context.Context
	dir  string
	stop func()
}

// start starts Chromium if it does not run.
func start() (context.Context, error) {
	chromium.Lock()
	defer chromium.Unlock()
	if chromium.ctx != nil {
		return chromium.ctx, nil
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		return nil, errors.New("cannot find chromium: install Debian's package chromium")
	}
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return nil, err
	}
	ctx, stopProcess := cd.NewExecAllocator(context.Background(), append(cd.DefaultExecAllocatorOptions[:],
		cd.ExecPath(program), cd.UserDataDir(dir), cd.DisableGPU, cd.WindowSize(1280, 900),
		cd.NoSandbox,        // tests run as root, whom the sandbox does not take
		cd.IgnoreCertErrors, // the appliance makes its own certificate
		cd.Flag("lang", "en-US"),
	)...)
	ctx, stopBrowser := cd.NewContext(ctx)
	stop := func() {
		stopBrowser()
		stopProcess()
		_ = os.RemoveAll(dir) // a folder for temporary files
	}
	if err := cd.Do(ctx); err != nil {
		stop()
		return nil, err
	}
	chromium.ctx, chromium.dir, chromium.stop = ctx, dir, stop
	return ctx, nil
}

// Close ends Chromium if it runs. TestMain calls it.
func Close() {
	chromium.Lock()
	defer chromium.Unlock()
	if chromium.ctx != nil {
		chromium.stop()
		chromium.ctx = nil
	}
}

// Tab is a tab on a device of its own, for one test. It is not safe for concurrent use.
type Tab struct {
	t    testing.TB
	ctx  context.Context
	base string // "https://127.0.0.1:8480"

	close func()

	mu       sync.Mutex // guards the rest, which events fill
	faults   []string
	heardAll []string // faults and what was allowed
	allowed  []string
	asked    map[network.RequestID]string // method and address of requests that go on
}

// Open opens a tab on what answers at base. It is closed when the test ends, which fails if anything went wrong in it.
func Open(t testing.TB, base string) *Tab {
	t.Helper()
	root, err := start()
	if err != nil {
		t.Fatal(err)
	}
	ctx, closeTab := cd.NewContext(root, cd.WithNewBrowserContext())
	b := &Tab{t: t, ctx: ctx, base: base, asked: map[network.RequestID]string{}}
	b.close = sync.OnceFunc(func() {
		b.Clean()
		closeTab()
	})
	t.Cleanup(b.close)
	b.must(cd.Listen(ctx, b.heard))
	b.do(func(ctx context.Context) error {
		_, err := cd.Call(ctx, network.Enable, network.EnableParams{})
		return err
	})
	b.do(func(ctx context.Context) error {
		_, err := cd.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch})
		return err
	})
	b.Look(Light)
	return b
}

// Close closes the tab before the end of its test, as when what it is at ends first.
func (b *Tab) Close() { b.close() }

// do does something that must succeed in time.
func (b *Tab) do(f func(ctx context.Context) error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	b.must(f(ctx))
}

func (b *Tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// On gives the same tab to another test, a subtest as a rule, until that ends.
func (b *Tab) On(t testing.TB) {
	was := b.t
	b.t = t
	t.Cleanup(func() {
		b.Clean()
		b.t = was
	})
}

// Visit goes to a path, as by the address bar.
func (b *Tab) Visit(path string) {
	b.t.Helper()
	b.Go(b.base + path)
}

// Go goes to an address, which may be another site's.
func (b *Tab) Go(address string) {
	b.t.Helper()
	b.do(func(ctx context.Context) error { return cd.Do(ctx, cd.Navigate(address)) })
}

// Path is where the tab is, without the base.
func (b *Tab) Path() string {
	b.t.Helper()
	return Eval[string](b, `location.pathname + location.search`)
}

// Eval runs a script in the page and takes its result; it waits for a promise.
func Eval[T any](b *Tab, script string) (out T) {
	b.t.Helper()
	b.do(func(ctx context.Context) (err error) {
		out, err = cd.Run(ctx, cd.Evaluate[T](script, cd.EvalAwaitPromise))
		return err
	})
	return out
}

// SetCookie takes a cookie that somebody got elsewhere: "name=value".
func (b *Tab) SetCookie(cookie string) {
	b.t.Helper()
	name, value, _ := strings.Cut(cookie, "=")
	b.do(func(ctx context.Context) error {
		_, err := cd.Call(ctx, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: b.base + "/ui/", Path: map[bool]string{true: "/", false: "/ui/"}[strings.HasPrefix(name, "__Host-")], Secure: ptr(true), HTTPOnly: ptr(true)})
		return err
	})
}

func ptr[T any](v T) *T { return &v }
