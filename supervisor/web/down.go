package web

import (
	"bytes"
	"net/http"
	"strings"
	"time"
)

// Trouble is a state of the appliance in which there is no API to ask.
type Trouble string

// Troubles.
const (
	Starting     Trouble = "starting"      // it opens what it has
	CannotStart  Trouble = "cannot_start"  // and can't
	StorageFull  Trouble = "storage_full"  // because there is no room
	RegisterShut Trouble = "register_shut" // who may log in can't be read
)

// Down answers every request with one page: what is the matter, what goes on as it was, and the one next step. It asks
// nobody: its texts and its style are in the program. A program gets the same as an error of the API.
func Down(cfg Config, what func() Trouble) http.Handler {
	u := &UI{cfg: cfg, views: map[string]*views{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ui/static/{name}", serveAsset)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { u.down(w, r, what()) })
	return guarded(mux)
}

func (u *UI) down(w http.ResponseWriter, r *http.Request, t Trouble) {
	v := &visit{ui: u, w: w, r: r, lang: languageOf(r), theme: themeOf(r), now: time.Now()}
	w.Header().Set("Retry-After", "5")
	if !Mine(r.URL.Path) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"result":"error","error_key":"` + string(t) + `","message":"` + u.in("en").text("down."+string(t)+".title") + `"}` + "\n")) // as below
		return
	}
	var b bytes.Buffer
	if err := u.in(v.lang).draw(&b, "down", page{v, string(t)}); err != nil {
		u.cfg.Log.Error("cannot draw a page", "page", "down", "error", err)
		http.Error(w, "Castellan does not answer yet.", http.StatusServiceUnavailable)
		return
	}
	sendPacked(w, r, http.StatusServiceUnavailable, b.Bytes())
}

// troubleIn is the trouble that an error's text tells of, "" = none of those that have a page.
func troubleIn(text string) string {
	switch text = strings.ToLower(text); {
	case strings.Contains(text, "no space left on device"), strings.Contains(text, "disk quota exceeded"):
		return string(StorageFull)
	case strings.Contains(text, "docker daemon"), strings.Contains(text, "docker.sock"):
		return "engine_away"
	}
	return ""
}
