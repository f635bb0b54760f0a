package api

import (
	"context"
	"io"
	"net/http"
	"time"
)

// rawAnswer is an answer that is a file or a stream, not an envelope.
type rawAnswer struct {
	contentType string
	body        io.ReadCloser
	cursor      string // of the first entry of a log; "" = it can't be told
}

// send copies the body out as it comes, until it ends or the caller leaves. Nothing of it is taken for more than it is
// said to be: an add-on wrote it.
func (a rawAnswer) send(w http.ResponseWriter, r *http.Request) {
	defer a.body.Close()
	left := context.AfterFunc(r.Context(), func() { _ = a.body.Close() }) // wakes a read that waits for more
	defer left()
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy in between must not collect lines either
	if a.cursor != "" {
		h.Set("X-First-Cursor", a.cursor)
	}
	w.WriteHeader(http.StatusOK)
	// The status is on its way: a stream that breaks off ends short, and the caller sees what came until then. Half an archive
	// must not look like a whole one.
	if _, err := io.Copy(flusher{w, http.NewResponseController(w)}, a.body); err != nil && a.contentType == mediaTar {
		panic(http.ErrAbortHandler) // the server's way to cut a connection
	}
}

// mediaTar is the type of archives.
const mediaTar = "application/tar"

// takeWithin is how long a caller may take to take in a piece of an answer. One that does not holds a connection and what
// stands behind it, and is cut.
const takeWithin = 30 * time.Second

// flusher sends each piece at once: who follows a log waits for its next line.
type flusher struct {
	w   io.Writer
	ctl *http.ResponseController
}

func (f flusher) Write(p []byte) (int, error) {
	_ = f.ctl.SetWriteDeadline(time.Now().Add(takeWithin)) // a writer that knows no deadlines is no connection
	n, err := f.w.Write(p)
	if err == nil {
		_ = f.ctl.Flush() // a writer that keeps no buffer has none to flush
	}
	return n, err
}

// streamed is a body of any size. Each piece must come in time, not all of it.
type streamed struct {
	io.ReadCloser
	ctl *http.ResponseController
}

func (s streamed) Read(p []byte) (int, error) {
	_ = s.ctl.SetReadDeadline(time.Now().Add(takeWithin)) // a reader that knows no deadlines is no connection
	return s.ReadCloser.Read(p)
}
