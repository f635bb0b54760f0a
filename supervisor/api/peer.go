package api

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// peer is the local user at the other end of a unix socket, as the kernel tells it. The zero peer is nobody.
type peer struct {
	known bool
	uid   uint32
}

type peerKey struct{}

func withPeer(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx // stays nobody
	}
	var p peer
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p = peer{known: true, uid: cred.Uid}
		}
	})
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, p)
}

func peerOf(ctx context.Context) peer {
	p, _ := ctx.Value(peerKey{}).(peer)
	return p
}

func (p peer) admin(owner uint32) bool { return p.known && (p.uid == 0 || p.uid == owner) }

func (p peer) String() string {
	switch {
	case !p.known:
		return "an unknown user"
	case p.uid == 0:
		return "root"
	}
	return fmt.Sprintf("uid %d", p.uid)
}
