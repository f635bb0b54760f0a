package api

import (
	"net"
	"net/netip"
	"sync"
)

// Limits on add-ons: one of them must not take the API, or the daemon's memory and files, from the others.
const (
	maxCalls   = 8   // of one add-on at a time
	maxPerAddr = 64  // connections of one place; add-ons in the host's network share one
	maxConns   = 512 // in all
)

// calls counts the open calls of each add-on.
type calls struct {
	mu   sync.Mutex
	open map[string]int
}

// begin counts a call until done; free is false when the add-on has too many open.
func (c *calls) begin(slug string) (done func(), free bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[string]int{}
	}
	if c.open[slug] >= maxCalls {
		return nil, false
	}
	c.open[slug]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.open[slug]--; c.open[slug] == 0 {
			delete(c.open, slug)
		}
	}, true
}

// limited is a listener that closes connections over the limits, and those that are not from where it listens for, at
// once.
type limited struct {
	net.Listener
	from netip.Prefix // zero = anywhere
	most struct{ all, per int }
	mu   sync.Mutex
	all  int
	per  map[netip.Prefix]int
}

func limitConns(l net.Listener, from netip.Prefix) net.Listener {
	return limitBy(l, from, maxConns, maxPerAddr)
}

// limitBy limits connections in all, and per place, see [placeOf].
func limitBy(l net.Listener, from netip.Prefix, all, per int) net.Listener {
	out := &limited{Listener: l, from: from, per: map[netip.Prefix]int{}}
	out.most.all, out.most.per = all, per
	return out
}

// Accept implements [net.Listener].
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := addrOf(c)
		l.mu.Lock()
		place := placeOf(addr)
		free := l.all < l.most.all && l.per[place] < l.most.per && (!l.from.IsValid() || l.from.Contains(addr))
		if free {
			l.all++
			l.per[place]++
		}
		l.mu.Unlock()
		if free {
			return &counted{Conn: c, gone: sync.OnceFunc(func() { l.leave(place) })}, nil
		}
		_ = c.Close() // nothing was said yet
	}
}

func (l *limited) leave(place netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.per[place]--; l.per[place] == 0 {
		delete(l.per, place)
	}
}

// placeOf is what an address counts as: an address of IPv4 is one place, one of IPv6 its /64, which one device fills at
// will. The zero address is the zero place.
func placeOf(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // these bits suit the address
	return p
}

// addrOf is where a connection comes from; all that have no address share the zero one.
func addrOf(c net.Conn) netip.Addr { return addrIn(c.RemoteAddr()) }

func addrIn(a net.Addr) netip.Addr {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

// counted is a connection that gives its place back once.
type counted struct {
	net.Conn
	gone func()
}

// Close implements [net.Conn].
func (c *counted) Close() error {
	c.gone()
	return c.Conn.Close()
}
