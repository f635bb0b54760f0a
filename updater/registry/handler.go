package registry

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/castellan/castellan/trust"
)

// ServeHTTP answers the pull half of the OCI distribution specification, by digest only.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A web page can make a browser in the house ask us under a name of its own (DNS rebinding); the engine uses our
	// address.
	if !s.isOurs(r.Host) {
		refuse(w, http.StatusMisdirectedRequest, "DENIED", "this registry answers only under "+s.Addr())
		return
	}
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "this registry is read-only")
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path+"/", "/v2/")
	path = strings.TrimSuffix(path, "/")
	if !ok {
		refuse(w, http.StatusNotFound, "UNSUPPORTED", "no such endpoint")
		return
	}
	if path == "" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}") // the client is gone, which is its business
		return
	}
	rest, id := cutLast(path)
	repo, kind := cutLast(rest)
	d, err := trust.ParseDigest(id)
	switch {
	case err == nil && kind == "manifests":
		s.serveManifest(w, r, repo, d)
	case err == nil && kind == "blobs":
		s.serveBlob(w, r, repo, d)
	default:
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "only content that is on offer is served, by digest")
	}
}

func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s
	}
	return s[:i], s[i+1:]
}

// isOurs tells whether a Host header is our address, or localhost with our port.
func (s *Server) isOurs(hostport string) bool {
	host, port, err := net.SplitHostPort(hostport)
	_, ours, ourErr := net.SplitHostPort(s.Addr())
	return err == nil && ourErr == nil && port == ours && isLoopback(host)
}

func (s *Server) serveManifest(w http.ResponseWriter, r *http.Request, repo string, d trust.Digest) {
	s.mu.Lock()
	o := s.offers[offerKey{repo, d}]
	s.mu.Unlock()
	if o == nil {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest is not on offer")
		return
	}
	h := w.Header()
	h.Set("Content-Type", o.doc.MediaType)
	h.Set("Docker-Content-Digest", string(d))
	h.Set("ETag", `"`+string(d)+`"`)
	h.Set("Content-Length", strconv.Itoa(len(o.raw)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(o.raw) // the engine compares the digest itself
	}
}

func (s *Server) serveBlob(w http.ResponseWriter, r *http.Request, repo string, d trust.Digest) {
	o, size := s.offerOf(repo, d)
	if o == nil {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob is not on offer")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Docker-Content-Digest", string(d))
	h.Set("ETag", `"`+string(d)+`"`)
	if r.Method == http.MethodHead {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		h.Set("Accept-Ranges", "bytes")
		return
	}
	out := &response{ResponseWriter: w}
	dl, err := s.await(r.Context(), o, d, size)
	switch {
	case errors.Is(err, errGrace):
		// containerd gives up when no header comes for 30 s. From here on a failure can only cut the answer off, and
		// the engine asks again.
		out.early = true
	case r.Context().Err() != nil:
		return // the engine left; the download goes on as long as the offer
	case err != nil:
		refuseBlob(w, err)
		return
	}
	body := &blobReader{ctx: r.Context(), dl: dl, atEnd: func() {
		s.mu.Lock()
		o.served[d] = true
		s.mu.Unlock()
	}}
	defer body.Close()
	http.ServeContent(out, r, "", time.Time{}, body)
}

// errGrace says that a download is not finished yet.
var errGrace = errors.New("under way")

// await starts or joins a download and waits for it, but not for longer than the grace.
func (s *Server) await(ctx context.Context, o *Offer, d trust.Digest, size int64) (*download, error) {
	grace := time.NewTimer(s.cfg.Grace)
	defer grace.Stop()
	for {
		dl := s.store.start(o, d, size)
		select {
		case <-dl.done:
		case <-grace.C:
			return dl, errGrace
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !errors.Is(dl.err, context.Canceled) || o.ctx.Err() != nil {
			return dl, dl.err
		}
		// It was stopped for somebody else while we joined.
	}
}

// offerOf finds an offer in repo that names blob d.
func (s *Server) offerOf(repo string, d trust.Digest) (*Offer, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, o := range s.offers {
		if key.repo != repo {
			continue
		}
		for _, b := range o.doc.blobs() {
			if b.Digest == d {
				return o, b.Size
			}
		}
	}
	return nil, 0
}

// blobReader reads a blob that may still be on its way: no byte leaves before all of them are proved.
type blobReader struct {
	ctx  context.Context
	dl   *download
	file *os.File
	pos  int64
	// atEnd is called before the last bytes leave, not after: an engine that has them may be done with the whole
	// image before we come to say so.
	atEnd func()
}

func (b *blobReader) Read(p []byte) (int, error) {
	if b.file == nil {
		select {
		case <-b.dl.done:
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
		if b.dl.err != nil {
			return 0, b.dl.err
		}
		f, err := b.dl.open()
		if err != nil {
			return 0, err
		}
		b.file = f
	}
	if b.pos >= b.dl.size {
		b.atEnd()
		return 0, io.EOF
	}
	n, err := b.file.ReadAt(p[:min(int64(len(p)), b.dl.size-b.pos)], b.pos)
	b.pos += int64(n)
	if b.pos == b.dl.size {
		b.atEnd()
		err = nil
	}
	return n, err
}

func (b *blobReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.pos
	case io.SeekEnd:
		offset += b.dl.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	b.pos = offset
	return offset, nil
}

func (b *blobReader) Close() {
	if b.file != nil {
		_ = b.file.Close() // read only
	}
}

// response sends the header at once when early is set.
type response struct {
	http.ResponseWriter
	early bool
}

func (w *response) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	if w.early {
		_ = http.NewResponseController(w.ResponseWriter).Flush() // an engine that left is found out by the next write
	}
}

// refuseBlob says why a blob can't be had. All mirrors were tried, several times, so the engine must not try again: it
// would for more than a minute after any 5xx, and show nothing but the status. This code ends the pull at once and is
// shown with its message; DENIED would as well, but with advice to log in.
func refuseBlob(w http.ResponseWriter, err error) {
	refuse(w, http.StatusForbidden, "UNSUPPORTED", err.Error())
}

// refuse writes an error as the distribution specification has it.
func refuse(w http.ResponseWriter, status int, code, message string) {
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Del("ETag")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone, which is its business.
	_ = json.NewEncoder(w).Encode(map[string][]entry{"errors": {{code, message}}})
}
