package health

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
)

func TestCoreOverTLS(t *testing.T) {
	for _, c := range []struct {
		name       string
		tls        *tls.Config
		note, want string
	}{
		{"own certificate", &tls.Config{}, noteNoToken, ""},
		{"wants a client's, TLS 1.3", &tls.Config{ClientAuth: tls.RequireAnyClientCert}, noteTLS, ""},
		{"wants a client's, TLS 1.2", &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, noteTLS, ""},
		{"too old", &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}, "", "its page: remote error: tls: protocol version not supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(&fakeCore{})
			s.TLS = c.tls
			s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes
			s.StartTLS()
			defer s.Close()
			check := spec.CoreCheck{Port: portOf(t, s.Listener.Addr().String()), SSL: true}
			note, err := prober(spec.Check{Core: &check})(t.Context(), Target{})
			if note != c.note || c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
				t.Errorf("got %v, note %q; want %q, %q", err, note, c.want, c.note)
			}
		})
	}
	s := httptest.NewServer(&fakeCore{})
	defer s.Close()
	check := spec.Check{Core: &spec.CoreCheck{Port: portOf(t, s.Listener.Addr().String()), SSL: true}}
	if err := Try(t.Context(), Target{}, check); err == nil || !strings.Contains(err.Error(), "server gave HTTP response") {
		t.Errorf("plain HTTP where TLS is said to be: %v", err)
	}
}

// hostile talks to every connection and never ends.
func hostile(t *testing.T, talk func(net.Conn)) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { _ = conn.Close() }) // the context ends before the clean-up
			talk(conn)
			stop()
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return portOf(t, l.Addr().String())
}

func TestHostileCores(t *testing.T) {
	endless := func(start, more string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 16))
			_, err := io.WriteString(c, start)
			for err == nil {
				_, err = io.WriteString(c, more)
			}
		}
	}
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for _, c := range []struct {
		name string
		ssl  bool
		talk func(net.Conn)
	}{
		{"never-ending headers", false, endless("HTTP/1.1 200 OK\r\n", "X: "+strings.Repeat("y", 1000)+"\r\n")},
		{"never-ending header", false, endless("HTTP/1.1 200 OK\r\nX: ", strings.Repeat("y", 1000))},
		{"never-ending body", false, endless("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", strings.Repeat("y", 1000))},
		{"never-ending chunks", false, endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\ny\r\n")},
		{"never-ending continue", false, endless("", "HTTP/1.1 100 Continue\r\n\r\n")},
		{"garbage", false, endless("", "\x00\x01\x02\x03")},
		{"silence", false, silent},
		{"a handshake without end", true, silent},
		{"a handshake of garbage", true, endless("", "\x16\x03\x01\xff\xff")},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := spec.Check{Core: &spec.CoreCheck{Port: hostile(t, c.talk), SSL: c.ssl}}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := Try(ctx, Target{}, check)
			if err == nil || len(err.Error()) > 500 {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHandshakesEndThoughNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(nil)
		ours, theirs := net.Pipe()
		c.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) { return theirs, nil }
		old := coreClient
		defer func() { coreClient = old }()
		coreClient = c
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := Try(ctx, Target{}, spec.Check{Core: &spec.CoreCheck{SSL: true}}); err == nil || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		_, _ = io.Copy(io.Discard, ours) // until they hang up
		if time.Since(began) != dialTime {
			t.Errorf("hung up after %v, want %v", time.Since(began), dialTime)
		}
	})
}
