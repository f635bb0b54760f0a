package browser

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// watch tells of breaches of the Content-Security-Policy on the console, also of those a browser keeps to itself; and of scripts
// from outside, which tests have set a variable called owned.
const watch = `Object.defineProperty(window, 'owned', {set: function () { console.error('owned: a script from outside runs') }});
document.addEventListener('securitypolicyviolation', function (e) {
	console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI + ' in ' + e.sourceFile + ':' + e.lineNumber + ' ' + e.sample);
});`

// heard takes what the browser tells of a tab.
func (b *Tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			var words []string
			for _, a := range e.Args {
				words = append(words, strings.Trim(string(a.Value), `"`)+a.Description)
				if a.Preview != nil {
					for _, p := range a.Preview.Properties {
						words = append(words, p.Name+"="+p.Value)
					}
				}
			}
			b.fault("console: " + strings.Join(words, " "))
		}
	case *runtime.EventExceptionThrown:
		d := e.ExceptionDetails
		text := d.Text
		if d.Exception != nil {
			text += " " + d.Exception.Description
		}
		b.fault(fmt.Sprintf("exception: %s (%s:%d)", text, d.URL, d.LineNumber))
	case *log.EventEntryAdded:
		// What the network says is told with its address below.
		if x := e.Entry; x.Level == "error" && x.Source != "network" || x.Source == "security" || x.Source == "violation" {
			b.fault(fmt.Sprintf("log: %s: %s (%s:%d)", x.Source, x.Text, x.URL, x.LineNumber))
		}
	case *network.EventRequestWillBeSent:
		b.asked[e.RequestID] = e.Request.Method + " " + strings.TrimPrefix(e.Request.URL, b.base)
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			b.fault(fmt.Sprintf("answer: %d %s", e.Response.Status, b.asked[e.RequestID]))
		}
	case *network.EventLoadingFinished:
		delete(b.asked, e.RequestID)
	case *network.EventLoadingFailed:
		// A request that the page itself gives up, as a stream of the page before, is none that fails.
		if !e.Canceled && e.ErrorText != "net::ERR_ABORTED" {
			b.fault(fmt.Sprintf("request: %s %s %s", e.ErrorText, e.BlockedReason, b.asked[e.RequestID]))
		}
		delete(b.asked, e.RequestID)
	}
}

// fault keeps what went wrong, unless it is allowed.
func (b *Tab) fault(what string) {
	b.heardAll = append(b.heardAll, what)
	if !slices.ContainsFunc(b.allowed, func(word string) bool { return strings.Contains(what, word) }) {
		b.faults = append(b.faults, what)
	}
}

// Allow says which faults are part of the test, by words they hold, until [Tab.Clean] or the end of the test: "answer: 404".
func (b *Tab) Allow(words ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allowed = append(b.allowed, words...)
}

// Faults tells how many faults, allowed or not, hold a word since [Tab.Clean].
func (b *Tab) Faults(word string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.heardAll {
		if strings.Contains(f, word) {
			n++
		}
	}
	return n
}

// Clean fails the test if anything went wrong so far. What was allowed is allowed no longer.
func (b *Tab) Clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Errorf("in the browser: %s", f)
	}
	b.faults, b.allowed, b.heardAll = nil, nil, nil
}
