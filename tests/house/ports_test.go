package house

import (
	"net"
	"testing"
)

// freePort is a port of the host that nobody has at the moment.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	return port
}

// occupy takes a port of the host until the returned function is called.
func occupy(t testing.TB, port string) func() {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:"+port)
	must(t, err)
	t.Cleanup(func() { _ = l.Close() }) // closing it twice is fine
	return func() { must(t, l.Close()) }
}
