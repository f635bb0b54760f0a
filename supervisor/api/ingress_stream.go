package api

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

// patientBody is a body of any length that comes in as slowly as it likes, but comes.
type patientBody struct {
	io.ReadCloser
	ctl *http.ResponseController
}

// Read implements [io.Reader].
func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.ctl.SetReadDeadline(time.Now().Add(takeWithin)) // a connection that knows no deadlines has none
	n, err := b.ReadCloser.Read(p)
	_ = b.ctl.SetReadDeadline(time.Time{}) // as above; the answer may take longer than the next piece
	return n, err
}

// lingering is how much more is taken in of a body that is too long, in bytes.
const lingering = 256 << 10

// measure takes a body of unknown length in: there are add-ons that take none.
func measure(r *http.Request) error {
	b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody)) // the connection stays, so that the refusal arrives
	if err != nil {
		_, _ = io.CopyN(io.Discard, r.Body, lingering) // a caller that still sends may drop the refusal with its connection
		return err
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
	return nil
}

// pageWriter cuts who takes nothing in, and passes no provisional answers on: nobody looks at their headers.
type pageWriter struct {
	http.ResponseWriter
	ctl *http.ResponseController
}

// WriteHeader implements [http.ResponseWriter].
func (w *pageWriter) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [io.Writer].
func (w *pageWriter) Write(p []byte) (int, error) {
	_ = w.ctl.SetWriteDeadline(time.Now().Add(takeWithin)) // as above
	n, err := w.ResponseWriter.Write(p)
	_ = w.ctl.SetWriteDeadline(time.Time{}) // as above
	return n, err
}

// Unwrap is for [http.ResponseController].
func (w *pageWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
