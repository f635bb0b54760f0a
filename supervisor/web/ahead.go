package web

import (
	"bytes"
	"compress/gzip"
	"net/http"
)

// A browser takes about as long to make room for a page and fetch its style as the appliance takes to draw it. So the head of the
// first page goes ahead as soon as it is known that there will be one, and both work beside each other.

// endOfHead is where the rest of a page begins.
const endOfHead = "</head>"

// partly is a page whose head has been sent.
type partly struct {
	w http.ResponseWriter
	z *gzip.Writer // nil = the visitor does not take that
}

// sendAhead sends the head of a page that a browser opens; from then on there is no other answer. What a script asks for comes
// whole.
func (v *visit) sendAhead(title string) {
	if v.r.Method != http.MethodGet || v.r.Header.Get("HX-Request") != "" {
		return
	}
	var b bytes.Buffer
	if err := v.ui.in(v.lang).draw(&b, "top", page{v: v}.Head("", title, "")); err != nil {
		return // the page will say so
	}
	head, _, _ := bytes.Cut(b.Bytes(), []byte(endOfHead))
	h := pageHeader(v.w)
	v.sent = &partly{w: v.w}
	if takesGzip(v.r) {
		h.Set("Content-Encoding", "gzip")
		v.sent.z = packers[gzip.BestSpeed].Get().(*gzip.Writer)
		v.sent.z.Reset(v.w)
	}
	v.w.WriteHeader(http.StatusOK)
	v.sent.write(head)
	if v.sent.z != nil {
		_ = v.sent.z.Flush() // a visitor who left does not concern us
	}
	_ = http.NewResponseController(v.w).Flush() // likewise
}

func (p *partly) write(b []byte) {
	if p.z != nil {
		_, _ = p.z.Write(b) // a visitor who left does not concern us
		return
	}
	_, _ = p.w.Write(b) // likewise
}

// rest ends a page.
func (p *partly) rest(page []byte) {
	if at := bytes.Index(page, []byte(endOfHead)); at >= 0 {
		page = page[at:]
	}
	p.write(page)
	if p.z != nil {
		_ = p.z.Close() // likewise
		packers[gzip.BestSpeed].Put(p.z)
	}
}
