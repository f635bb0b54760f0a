package browser

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	cd "github.com/chromedp/chromedp"
)

// InFrame is what a script says inside the one frame of the page, as the page in the frame could say it; "" while the
// frame goes elsewhere.
func (b *Tab) InFrame(script string) (says string) {
	b.t.Helper()
	b.do(func(ctx context.Context) error {
		tree, err := cd.Call(ctx, page.GetFrameTree, cdp.Empty{})
		if err != nil {
			return err
		}
		if n := len(tree.FrameTree.ChildFrames); n != 1 {
			return errors.New("the page has no frame, or several")
		}
		world, err := cd.Call(ctx, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: tree.FrameTree.ChildFrames[0].Frame.ID})
		if err != nil {
			return err
		}
		out, err := cd.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: "String(" + script + ")", ContextID: world.ExecutionContextID, ReturnByValue: ptr(true)})
		if err != nil && strings.Contains(err.Error(), "Cannot find context") {
			return nil // the frame goes elsewhere just now
		}
		if err != nil {
			return err
		}
		if out.ExceptionDetails != nil {
			return errors.New(out.ExceptionDetails.Text)
		}
		return json.Unmarshal(out.Result.Value, &says)
	})
	return says
}
