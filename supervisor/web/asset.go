package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed static/* static/vendor/*.js static/css/*.css
var staticFiles embed.FS

// asset is a static file, also as it goes over the wire.
type asset struct {
	media  string
	sum    string // of what it holds: a new version has a new address
	plain  []byte
	packed []byte // nil = not worth it
}

var media = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// assets are all static files by name. They are packed when the first is asked for.
var assets = sync.OnceValue(func() map[string]asset {
	out := map[string]asset{}
	add := func(name, kind string, b []byte) {
		sum := sha256.Sum256(b)
		out[name] = asset{media: kind, sum: hex.EncodeToString(sum[:6]), plain: b, packed: pack(b, gzip.BestCompression)}
	}
	for _, dir := range []string{"static", "static/vendor"} {
		list, _ := staticFiles.ReadDir(dir) // of what is embedded: it is there
		for _, f := range list {
			kind := media[path.Ext(f.Name())]
			if f.IsDir() || kind == "" {
				continue
			}
			b, _ := staticFiles.ReadFile(dir + "/" + f.Name()) // as above
			add(f.Name(), kind, b)
		}
	}
	var style []byte                               // one file for the browser: the base, then each room's by name
	sheets, _ := staticFiles.ReadDir("static/css") // as above
	for _, f := range sheets {
		b, _ := staticFiles.ReadFile("static/css/" + f.Name()) // as above
		style = append(style, b...)
	}
	add("app.css", media[".css"], style)
	return out
})

// assetPath is the address of a static file, which changes with it.
func assetPath(name string) string { return "/ui/static/" + name + "?v=" + assets()[name].sum }

// serveAsset answers with a static file. A name that is not in the list is not there, whatever it looks like.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets()[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.media)
	h.Set("ETag", `"`+a.sum+`"`)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.sum {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == `"`+a.sum+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	b := a.plain
	h.Set("Vary", "Accept-Encoding")
	if a.packed != nil && takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		b = a.packed
	}
	_, _ = w.Write(b) // a visitor who left does not concern us
}

// smallest is what is worth packing, in bytes.
const smallest = 1400

// packers are writers that rest: each holds a megabyte, and pages come often.
var packers = map[int]*sync.Pool{gzip.BestSpeed: newPackers(gzip.BestSpeed), gzip.BestCompression: newPackers(gzip.BestCompression)}

func newPackers(level int) *sync.Pool {
	return &sync.Pool{New: func() any {
		z, _ := gzip.NewWriterLevel(io.Discard, level) // of a level that there is
		return z
	}}
}

// pack compresses, or gives nil when that gains nothing.
func pack(b []byte, level int) []byte {
	if len(b) < smallest {
		return nil
	}
	z := packers[level].Get().(*gzip.Writer)
	defer packers[level].Put(z)
	var out bytes.Buffer
	z.Reset(&out)
	_, _ = z.Write(b) // to memory: it can't fail
	_ = z.Close()
	return out.Bytes()
}

func takesGzip(r *http.Request) bool {
	return strings.Contains(strings.ToLower(r.Header.Get("Accept-Encoding")), "gzip")
}

// pageHeader sets what every page has.
func pageHeader(w http.ResponseWriter) http.Header {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "Accept-Encoding, Accept-Language, Cookie")
	return h
}

// sendPacked writes a page, compressed when the visitor takes that. Session cookies are SameSite=Strict: another site can't
// have pages drawn with its own words beside the token of a form and measure them.
func sendPacked(w http.ResponseWriter, r *http.Request, status int, b []byte) {
	h := pageHeader(w)
	if takesGzip(r) {
		if z := pack(b, gzip.BestSpeed); z != nil {
			h.Set("Content-Encoding", "gzip")
			b = z
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) // a visitor who left does not concern us
}
