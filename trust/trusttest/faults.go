package trusttest

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// Status answers with a status and nothing else: 404, 500.
func Status(code int) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler, _ <-chan struct{}) {
		http.Error(w, http.StatusText(code), code)
	}
}

// Answer gives the same bytes whatever is asked, as a captive portal or a broken proxy does.
func Answer(contentType string, body []byte) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler, _ <-chan struct{}) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body) // the client is free to go
	}
}

// Portal is a captive portal.
func Portal() Fault {
	return Answer("text/html; charset=utf-8", []byte("<!DOCTYPE html><html><title>Welcome</title><p>Please accept our terms.</p></html>\n"))
}

// Garbage is bytes that mean nothing.
func Garbage() Fault {
	return Answer("application/octet-stream", bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef, 0x00, 0xff}, 1000))
}

// Nothing is an empty answer.
func Nothing() Fault { return Answer("application/octet-stream", nil) }

// Redirect sends the client elsewhere.
func Redirect(url string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler, _ <-chan struct{}) {
		http.Redirect(w, r, url, http.StatusFound)
	}
}

// Endless never stops sending: prefix, and then zeros.
func Endless(prefix []byte) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler, gone <-chan struct{}) {
		_, err := w.Write(prefix)
		for zeros := make([]byte, 32<<10); err == nil; {
			select {
			case <-gone:
				return
			default:
				_, err = w.Write(zeros)
			}
		}
	}
}

// Mute takes the request and never answers.
func Mute() Fault {
	return func(_ http.ResponseWriter, _ *http.Request, _ http.Handler, gone <-chan struct{}) { <-gone }
}

// ResetAt breaks the connection after k bytes of the honest body; at the end of a shorter body.
func ResetAt(k int) Fault {
	return part(k, func(http.ResponseWriter, []byte, <-chan struct{}) { panic(http.ErrAbortHandler) })
}

// StallAt sends k bytes of the honest body and then nothing, with the connection open.
func StallAt(k int) Fault {
	return part(k, func(_ http.ResponseWriter, _ []byte, gone <-chan struct{}) { <-gone })
}

// Drip sends the honest body one byte at a time: the slow retrieval attack.
func Drip(every time.Duration) Fault {
	return part(0, func(w http.ResponseWriter, rest []byte, gone <-chan struct{}) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for _, b := range rest {
			select {
			case <-gone:
				return
			case <-tick.C:
			}
			if _, err := w.Write([]byte{b}); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush() // a client that has gone ends the loop above
		}
	})
}

// part announces the honest answer whole, sends k bytes of it and leaves the rest to then.
func part(k int, then func(w http.ResponseWriter, rest []byte, gone <-chan struct{})) Fault {
	return func(w http.ResponseWriter, r *http.Request, honest http.Handler, gone <-chan struct{}) {
		rec := httptest.NewRecorder()
		honest.ServeHTTP(rec, r)
		for key, values := range rec.Header() {
			w.Header()[key] = values
		}
		body := rec.Body.Bytes()
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(rec.Code)
		k := min(k, len(body))
		_, _ = w.Write(body[:k]) // the client is free to go
		_ = http.NewResponseController(w).Flush()
		then(w, body[k:], gone)
	}
}
