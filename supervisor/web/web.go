// Package web is the web UI: pages for people in the house, drawn on the server.
//
// Who attacks it, and what holds. A page of another site sends forms and links: the door checks Host, Origin and
// Sec-Fetch-Site, session cookies are SameSite=Strict, and each form carries the session's token, which the API checks, not
// this package. Text from outside (names, changelogs, logs, options) is hostile: html/template writes it, nothing is marked
// as safe that did not come from our own files, and the Content-Security-Policy lets no script or style run that is not a
// file of ours. A frame around our pages is refused. A visitor without rights: every page asks the API in his name, by
// [client.NewInside], so there is nothing here that he could do and not there. A path in the address of a static file is
// looked up in a list, never on a disk.
//
// What fails, and what is shown. The API refuses or the engine is away: the page says what happened, what is unchanged and
// what to do, and what can still be told is told. JavaScript is off or old: each page is read and each form is sent without
// it. The stream breaks: the page says so, and is read anew when it is back.
package web

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

// Config is what the UI is made of.
type Config struct {
	// API answers calls in a visitor's name: the handler of the door he came through.
	API http.Handler
	// Version is the daemon's, for the foot of the pages.
	Version string
	// Host is the appliance's name, as people call it.
	Host string
	Log  *slog.Logger
}

// UI answers for the pages. Its handler is safe for concurrent use.
type UI struct {
	cfg    Config
	mux    *http.ServeMux
	within time.Duration // for a page that is read
	notes  notes
	begun  begun // what was asked for and is not answered yet

	mu    sync.Mutex // guards the rest
	views map[string]*views
}

// New makes the UI. Templates are read at once, beside what else goes on, so that the first visitor does not wait for them.
func New(cfg Config) *UI {
	u := &UI{cfg: cfg, mux: http.NewServeMux(), within: pageWithin, views: map[string]*views{}}
	for _, s := range screens() {
		u.mux.HandleFunc(s.method+" "+s.path, func(w http.ResponseWriter, r *http.Request) { u.serve(w, r, s) })
	}
	u.mux.HandleFunc("GET /ui/static/{name}", serveAsset)
	u.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ui/", http.StatusSeeOther) })
	u.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, assetPath("logo.svg"), http.StatusSeeOther)
	})
	u.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { u.serve(w, r, screen{show: (*visit).missing}) })
	go u.in(languages[0])
	return u
}

// Mine tells whether a path is one of the UI's.
func Mine(path string) bool {
	return path == "/" || path == "/ui" || strings.HasPrefix(path, "/ui/") || path == "/favicon.ico"
}

// policy is the Content-Security-Policy of pages. frames is where add-ons' own pages may come from, "" = nowhere.
func policy(frames string) string {
	p := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if frames != "" {
		p += "; frame-src " + frames
	}
	return p
}

// ServeHTTP implements [http.Handler].
func (u *UI) ServeHTTP(w http.ResponseWriter, r *http.Request) { guarded(u.mux).ServeHTTP(w, r) }

// guarded sets the headers that keep browsers from making more of an answer than it is.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy(""))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// maxForm bounds what a form sends, in bytes.
const maxForm = 1 << 20

// serve answers one screen.
func (u *UI) serve(w http.ResponseWriter, r *http.Request, s screen) {
	if s.bounded() {
		ctx, cancel := context.WithTimeoutCause(r.Context(), u.within, errSlow)
		defer cancel()
		r = r.WithContext(ctx)
	}
	v := u.visit(w, r)
	if r.Method == http.MethodPost && !carriesFile(r) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := v.readForm(); err != nil {
			u.send(v, v.fault(err))
			return
		}
	}
	if s.role > api.Nobody {
		if to, err := v.enter(); err != nil {
			u.send(v, v.fault(err))
			return
		} else if to != "" {
			u.send(v, seeOther(to))
			return
		}
		if err := v.refused(s); err != nil {
			u.send(v, v.fault(err))
			return
		}
	}
	a, err := s.show(v)
	if err != nil {
		a = v.fault(err)
	}
	u.send(v, a)
}

// send writes an answer. A page is drawn whole before the first byte of its body goes, so that a fault is not half a page.
func (u *UI) send(v *visit, a answer) {
	switch {
	case a.to != "":
		v.w.Header().Set("Location", a.to)
		v.w.WriteHeader(http.StatusSeeOther)
		return
	case a.serve != nil:
		a.serve(v.w, v.r)
		return
	}
	var b bytes.Buffer
	if err := u.in(v.lang).draw(&b, a.view, page{v, a.data}); err != nil { // our own template: it says so rather than show a half
		u.cfg.Log.Error("cannot draw a page", "page", a.view, "error", err)
		const sorry = "This page cannot be drawn. The house is not touched by that; castellan status on the appliance tells more."
		if v.sent != nil {
			v.sent.rest([]byte(endOfHead + "<body><p>" + sorry + "</p></body></html>"))
			return
		}
		http.Error(v.w, sorry, http.StatusInternalServerError)
		return
	}
	if v.sent != nil {
		v.sent.rest(b.Bytes())
		return
	}
	sendPacked(v.w, v.r, max(a.status, http.StatusOK), b.Bytes())
}

// inside is the API in a visitor's name.
func (u *UI) inside(r *http.Request, csrf string) *client.Client {
	return client.NewInside(u.cfg.API, client.Visitor{Request: r, CSRF: csrf})
}
