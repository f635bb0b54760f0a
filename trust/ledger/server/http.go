package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
)

// Limits of the HTTP side.
const (
	maxBody     = maxTxBytes + 64<<10 // records and the array around them
	maxFile     = 1 << 20             // a channel file
	maxWriters  = 64                  // requests with a body at once; each may take maxBody of memory
	readTimeout = 30 * time.Second    // for a request with its body
)

// Handler serves the ledger:
//
//	GET  /checkpoint          the newest signed note
//	GET  /tx/x001/067         a full segment; /tx/x001/068.p/12 its first 12 transactions
//	GET  /root/3.json         a root document
//	GET  /file/sha256/<hex>   a channel file
//	POST /v1/records          one DSSE envelope or an array of them = one transaction
//	POST /v1/files            a channel file whose digest a channel notarization in the ledger names
//
// Reading is anonymous, answers conditional and range requests, and everything but the checkpoint may be cached for
// ever. Writing is answered with JSON: {"checkpoint": n, "positions": [{"tx": n, "entry": n}]} once the records are
// durable and covered by the published checkpoint, or {"error", "field", "next"}.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkpoint", s.getCheckpoint)
	mux.HandleFunc("GET /tx/{path...}", s.getSegment)
	mux.HandleFunc("GET /root/{name}", s.getRoot)
	mux.HandleFunc("GET /file/sha256/{hex}", s.getFile)
	writers := make(chan struct{}, maxWriters)
	mux.HandleFunc("POST /v1/records", s.limited(writers, s.postRecords))
	mux.HandleFunc("POST /v1/files", s.limited(writers, s.postFile))
	return mux
}

// Serve answers on l until ctx ends, then lets running requests finish for a few seconds. It returns nil after an
// orderly end, and the reason when the ledger must not go on.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTimeout,
		WriteTimeout:      15 * time.Minute, // a full segment of large records over a slow line
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	run := make(chan error, 1)
	go func() {
		err := s.Run(ctx)
		stop, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		if srv.Shutdown(stop) != nil {
			_ = srv.Close() // the slow ones had their time
		}
		run <- err
	}()
	err := srv.Serve(l)
	cancel()
	runErr := <-run
	if runErr == nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve the ledger: %w", err)
	}
	return runErr
}

const forever = "public, max-age=31536000, immutable"

func serve(w http.ResponseWriter, r *http.Request, contentType, etag, cache string, content io.ReadSeeker) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("ETag", `"`+etag+`"`)
	h.Set("Cache-Control", cache)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*") // public, and read without credentials
	http.ServeContent(w, r, "", time.Time{}, content)
}

func (s *Server) getCheckpoint(w http.ResponseWriter, r *http.Request) {
	p := s.current.Load()
	serve(w, r, "text/plain; charset=utf-8", trust.DigestOf(p.note).Hex(), "public, no-cache", bytes.NewReader(p.note))
}

func (s *Server) getSegment(w http.ResponseWriter, r *http.Request) {
	n, width, err := ledger.ParseSegmentPath(r.PathValue("path"))
	if err != nil || ledger.SegmentWidth(n, s.current.Load().point.Count) < width {
		notFound(w)
		return
	}
	alh, err := s.store.Alh(n*ledger.SegmentTxs + uint64(width)) // names the transaction and all before it: the perfect tag
	if err != nil {
		s.broken(w, r, err)
		return
	}
	content, c, err := s.segs.open(n, width)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	defer c.Close()
	serve(w, r, "application/octet-stream", alh.Hex(), forever, content)
}

func (s *Server) getRoot(w http.ResponseWriter, r *http.Request) {
	num, ok := strings.CutSuffix(r.PathValue("name"), ".json")
	v, err := strconv.Atoi(num)
	if !ok || err != nil || v < 1 || v > s.roots.Load().version || strconv.Itoa(v) != num {
		notFound(w)
		return
	}
	s.serveSmall(w, r, s.rootPath(v), "application/json", "")
}

func (s *Server) getFile(w http.ResponseWriter, r *http.Request) {
	d, err := trust.ParseDigest("sha256:" + r.PathValue("hex"))
	if err != nil {
		notFound(w)
		return
	}
	s.serveSmall(w, r, s.filePath(d), "application/octet-stream", d)
}

func (s *Server) filePath(d trust.Digest) string { return filepath.Join(s.cfg.Dir, "files", d.Hex()) }

// serveSmall serves a file that is read whole; a wrong digest is our disk's fault and is not shown.
func (s *Server) serveSmall(w http.ResponseWriter, r *http.Request, path, contentType string, want trust.Digest) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		notFound(w)
		return
	}
	got := trust.DigestOf(b)
	if err == nil && want != "" && got != want {
		err = fmt.Errorf("%s is damaged: it hashes to %s; upload the file again", path, got)
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	serve(w, r, contentType, got.Hex(), forever, bytes.NewReader(b))
}

func notFound(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store") // it may be there in a moment
	http.Error(w, "not found", http.StatusNotFound)
}

func (s *Server) broken(w http.ResponseWriter, r *http.Request, err error) {
	s.log.Error("cannot answer a reader", "path", r.URL.Path, "error", err)
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "this mirror is out of order; try another one", http.StatusInternalServerError)
}

// limited bounds the requests with a body.
func (s *Server) limited(slots chan struct{}, h func(w http.ResponseWriter, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			w.Header().Set("Retry-After", "5")
			s.answerError(w, r, refuse(http.StatusServiceUnavailable, "", "try again in a few seconds", "cannot accept more writers now"))
			return
		}
		answer, err := h(w, r)
		if err != nil {
			s.answerError(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

func (s *Server) answerError(w http.ResponseWriter, r *http.Request, err error) {
	var ref *refusal
	if !errors.As(err, &ref) {
		s.log.Error("cannot write to the ledger", "path", r.URL.Path, "error", err)
		// What went wrong inside is for the operator's log.
		ref = refuse(http.StatusServiceUnavailable, "", "send the same request again; what is written already is found again",
			"cannot write to the ledger now")
	} else {
		s.log.Info("refused a submission", "status", ref.status, "field", ref.field, "error", ref.Error())
	}
	writeJSON(w, ref.status, map[string]string{"error": ref.Error(), "field": ref.field, "next": ref.next})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone; what it asked for is done
}

// accepted is the answer to POST /v1/records.
type accepted struct {
	Checkpoint uint64           `json:"checkpoint"` // the published checkpoint covers at least this many transactions
	Positions  []trust.Position `json:"positions"`  // of the records, in the order they were sent
}

func (s *Server) postRecords(w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return nil, err
	}
	envelopes, err := splitRecords(body)
	if err != nil {
		return nil, err
	}
	list, err := s.submit(envelopes)
	if err != nil {
		return nil, err
	}
	return accepted{Checkpoint: s.current.Load().point.Count, Positions: list}, nil
}

func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return nil, refuse(http.StatusRequestEntityTooLarge, "body", "send less at once", "cannot accept a body of more than %d bytes", limit)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "body", "send the request again", "cannot read the body: %w", err)
	case len(body) == 0:
		return nil, refuse(http.StatusBadRequest, "body", "send a DSSE envelope or an array of them", "cannot accept an empty body")
	}
	return body, nil
}

// splitRecords takes one envelope or an array apart without looking into the envelopes.
func splitRecords(body []byte) ([][]byte, error) {
	var list []json.RawMessage
	if t := bytes.TrimLeft(body, " \t\r\n"); len(t) > 0 && t[0] == '{' {
		list = []json.RawMessage{t}
	} else if err := json.Unmarshal(body, &list); err != nil {
		return nil, refuse(http.StatusBadRequest, "body", "send a DSSE envelope or an array of them", "cannot read the body: %w", err)
	}
	if len(list) == 0 || len(list) > maxTxEntries {
		return nil, refuse(http.StatusBadRequest, "records", fmt.Sprintf("send 1 to %d records at once", maxTxEntries), "cannot accept %d records", len(list))
	}
	out := make([][]byte, len(list))
	for i, m := range list {
		out[i] = m
	}
	return out, nil
}

// postFile stores a channel file. There is no other right to upload than a channel notarization that names the
// digest: notarize first, then upload. A file that is there already is a success.
func (s *Server) postFile(w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := readBody(w, r, maxFile)
	if err != nil {
		return nil, err
	}
	d := trust.DigestOf(body)
	done := map[string]string{"path": "/file/sha256/" + d.Hex()}
	if have, err := os.ReadFile(s.filePath(d)); err == nil && bytes.Equal(have, body) {
		return done, nil
	}
	if err := s.gate.takeFile(d, int64(len(body))); err != nil {
		return nil, err
	}
	if err := durable.WriteFile(s.filePath(d), body, 0o644); err != nil {
		return nil, err
	}
	return done, nil
}
