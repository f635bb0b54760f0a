// Package testenv gives tests the real things beside an appliance: a container engine, a registry, and images made
// from small Go programs. Engines come from tests/with-engine.sh, which runs a test command in namespaces of its own;
// without it the tests that need one are skipped on a desk and fail on CI, where no test may pass by skipping.
package testenv

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// HostIP is an address of the host inside with-engine.sh that is not loopback: published ports reached through it
// take the engine's NAT rules, as those of a neighbour in the house do.
const HostIP = "192.0.2.2"

// Engine is the address ("unix:///…") of the private engine that with-engine.sh started.
func Engine(t testing.TB) string {
	t.Helper()
	host := os.Getenv("CASTELLAN_TEST_ENGINE")
	if host == "" {
		missing(t, "no private engine: run this under tests/with-engine.sh")
	}
	return host
}

// missing skips the test, or fails it where skipping is not allowed.
func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("CASTELLAN_TEST_STRICT") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Registry serves an empty registry on 127.0.0.1 until the test ends and returns its "host:port".
func Registry(t testing.TB) string {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	srv := httptest.NewServer(registry.New(registry.Logger(quiet)))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// Eventually calls ok every 10 ms until it holds, and fails the test when it does not within the time.
func Eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// engineAnswers tells whether the engine behind a unix socket answers a ping.
func engineAnswers(socket string) bool {
	c := http.Client{Timeout: time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	resp, err := c.Get("http://engine/_ping")
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // only the status is of interest
	return resp.StatusCode == http.StatusOK
}
