package engine

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// namespace is a network namespace without a name. It lasts as long as its handle is open or a socket lives in it, so
// the kernel takes it and its interfaces away with the process, however that ends.
type namespace struct{ handle netns.NsHandle }

func newNamespace() (namespace, error) {
	n := namespace{netns.None()}
	err := visit(func() (err error) {
		n.handle, err = netns.New()
		return err
	})
	if err != nil && n.handle.IsOpen() {
		n.close()
	}
	return n, err
}

// do runs f in the namespace. f must stay on its goroutine: another one would run in the host's.
func (n namespace) do(f func() error) error {
	return visit(func() error {
		if err := netns.Set(n.handle); err != nil {
			return err
		}
		return f()
	})
}

func (n namespace) close() { _ = n.handle.Close() } // nothing is written through it

// visit runs f, which may change the network namespace of its thread. The thread is f's alone and is given back only
// when it is where it was; otherwise it ends with its goroutine, so that nothing else ever runs in the wrong namespace.
func visit(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("cannot tell the network namespace of a thread: %w", err)
			return
		}
		err = f()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		_ = home.Close() // nothing is written through it
		done <- err
	}()
	return <-done
}
