package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// DialAPI connects to an address of the bridge from the API's own: add-ons show their pages to nobody else.
func (e *Engine) DialAPI(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	e.api.mu.Lock()
	ns := e.api.ns
	e.api.mu.Unlock()
	if ns == nil {
		return nil, fmt.Errorf("cannot connect to %s: network %q is not prepared", to, e.cfg.Network.Name)
	}
	var c net.Conn
	err := ns.do(func() (err error) {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(e.cfg.Network.API, 0))}
		c, err = d.DialContext(ctx, "tcp4", to.String()) // one address, so the socket is made here and nothing is looked up
		return err
	})
	return c, err
}
