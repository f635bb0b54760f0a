package access

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/config/durable"
)

// cheap keeps tests fast; what is about the cost uses its own.
var cheap = cost{kib: 8, passes: 1, lanes: 1}

var (
	begin = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	home  = Origin{Addr: netip.MustParseAddr("192.168.1.20"), Agent: "Firefox"}
	away  = Origin{Addr: netip.MustParseAddr("192.168.1.66")}
	anna  = Credentials{Name: "anna", Password: "correct horse"}
)

type handClock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *handClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

var errCut = errors.New("the power is gone")

// cutDisk counts what reaches the disk and cuts the power at one of those calls: before it, after it, or in between,
// which leaves a temporary file. From then on nothing reaches the disk.
type cutDisk struct {
	calls   int
	cutAt   int // 1 is the first, 0 = never
	how     string
	refuses bool // a full disk: every write fails
	during  func()
}

func (d *cutDisk) do(name string, fn func() error) error {
	if d.during != nil {
		d.during()
	}
	d.calls++
	switch {
	case d.refuses:
		return errors.New("no space left on device")
	case d.cutAt == 0 || d.calls < d.cutAt:
		return fn()
	case d.calls > d.cutAt:
		return errCut
	}
	switch d.how {
	case "applied":
		if err := fn(); err != nil {
			return err
		}
	case "half":
		if err := os.WriteFile(filepath.Join(filepath.Dir(name), ".access.json.tmp-1"), []byte(`{"format":2,"us`), 0o600); err != nil {
			return err
		}
	}
	return errCut
}

func (d *cutDisk) write(name string, data []byte) error {
	return d.do(name, func() error { return durable.WriteFile(name, data, 0o600) })
}

func (d *cutDisk) rename(from, to string) error {
	return d.do(from, func() error { return durable.Rename(from, to) })
}

// world is an appliance's folder with its clock and disk.
type world struct {
	*Access
	t     testing.TB
	dir   string
	clock *handClock
	disk  *cutDisk
	opts  Options
}

func empty(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), clock: &handClock{t: begin}, disk: &cutDisk{}}
	w.opts.Now = w.clock.now
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) start() {
	w.t.Helper()
	a, err := open(w.dir, w.opts, w.disk, cheap)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Access = a
}

// stop is the end of the process without a word: the system takes the lock back.
func (w *world) stop() { _ = w.lock.Close() }

// restart cuts the power and starts again.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.disk = &cutDisk{}
	w.start()
}

// owned is an appliance whose owner is anna, logged in at home.
func owned(t testing.TB) (*world, Login) {
	t.Helper()
	w := empty(t)
	code, err := w.SetupCode()
	if err != nil {
		t.Fatal(err)
	}
	l, err := w.Setup(context.Background(), code, anna, home)
	if err != nil {
		t.Fatal(err)
	}
	return w, l
}

func (w *world) addUser(name string, role Role) Credentials {
	w.t.Helper()
	c := Credentials{Name: name, Password: Secret("password of " + name)}
	if err := w.AddUser(context.Background(), c, role); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) login(c Credentials, from Origin) Login {
	w.t.Helper()
	l, err := w.Login(context.Background(), c, from)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *world) token(user, name string, role Role, end time.Time) (Secret, TokenInfo) {
	w.t.Helper()
	text, info, err := w.AddToken(user, name, role, end)
	if err != nil {
		w.t.Fatal(err)
	}
	return text, info
}

func (w *world) wantSession(cookie Secret, want error) {
	w.t.Helper()
	if _, err := w.Session(cookie); !errors.Is(err, want) {
		w.t.Fatalf("session: %v, want %v", err, want)
	}
}

func (w *world) wantToken(text Secret, want error) {
	w.t.Helper()
	if _, err := w.Token(text); !errors.Is(err, want) {
		w.t.Fatalf("token: %v, want %v", err, want)
	}
}

func want(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}
