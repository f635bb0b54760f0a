package browser

import (
	"context"
	"os"
	"path/filepath"
	"time"

	bro "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/runtime"
	cd "github.com/chromedp/chromedp"
)

// Choose puts a file of this machine into what takes one.
func (b *Tab) Choose(css, path string) {
	b.t.Helper()
	b.Settle()
	b.do(func(ctx context.Context) error {
		field, err := cd.Run(ctx, cd.Evaluate[*runtime.RemoteObject](`document.querySelector("`+css+`")`))
		if err != nil {
			return err
		}
		_, err = cd.Call(ctx, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{path}, ObjectID: field.ObjectID})
		return err
	})
}

// Download presses what has a role and a name, and gives the name and the bytes of the file that comes of it.
func (b *Tab) Download(role, name string) (file string, content []byte) {
	b.t.Helper()
	dir := b.t.TempDir()
	b.must(b.downloadTo(dir))
	b.click(b.find(role, name))
	for end := time.Now().Add(patience); ; time.Sleep(40 * time.Millisecond) {
		list, err := os.ReadDir(dir)
		b.must(err)
		if len(list) == 1 && filepath.Ext(list[0].Name()) != ".crdownload" {
			content, err := os.ReadFile(filepath.Join(dir, list[0].Name()))
			b.must(err)
			return list[0].Name(), content
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s %q gives no file: there are %v", role, name, list)
		}
	}
}

// downloadTo says where files go.
func (b *Tab) downloadTo(dir string) error {
	_, err := cd.CallBrowser(b.ctx, bro.SetDownloadBehavior, bro.SetDownloadBehaviorParams{
		Behavior: bro.SetDownloadBehaviorBehaviorAllow, BrowserContextID: cd.FromContext(b.ctx).BrowserContextID, DownloadPath: dir})
	return err
}
