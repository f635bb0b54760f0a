package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestCallersThatDribbleGiveTheirPlacesBack: 64 connections of one address say a byte at a time and never come to the point.
// Nobody gets another place at that address meanwhile, and everybody does once they were cut.
func TestCallersThatDribbleGiveTheirPlacesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.furnish()
		l := make(piped)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.srv.ServeAddons(ctx, l) }()
		dial := func() net.Conn {
			here, there := net.Pipe()
			l <- there
			return here
		}
		began := time.Now()
		ends := make(chan time.Duration, 128)
		dribble := func(c net.Conn, begin, more string) {
			_, err := io.WriteString(c, begin)
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(c, more)
			}
			ends <- time.Since(began)
		}
		for i := range 64 {
			begin, more := "GET /info HTTP/1.1\r\nX-Slow: ", "a"
			if i%2 == 0 {
				begin, more = "POST /core/update HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+hostToken+"\r\nContent-Length: 1000000\r\n\r\n", " "
			}
			go dribble(dial(), begin, more)
		}
		synctest.Wait()
		asked := time.Now()
		if _, err := dial().Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(asked) != 0 {
			t.Errorf("the 65th connection: %v after %s", err, time.Since(asked))
		}
		for range 64 {
			if took := <-ends; took > 65*time.Second { // half of it for the body, half for an answer that it does not read either
				t.Errorf("a slow caller was cut after %s", took)
			}
		}
		c := dial()
		go func() { _, _ = io.WriteString(c, wire("GET", "/info", "")) }() // the pipe keeps nothing
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("after they were cut: %v, %v", resp, err)
		}
		if got := s.reached(); len(got) != 0 {
			t.Errorf("half a request reached the house: %q", got)
		}
		_ = c.Close()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
