package tlscert

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var begin = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// world is an appliance with a folder, a clock, and the owner's files.
type world struct {
	t   *testing.T
	cfg Config
	now time.Time
}

func appliance(t *testing.T, hosts ...string) *world {
	w := &world{t: t, now: begin}
	w.cfg = Config{Dir: filepath.Join(t.TempDir(), "tls"), Hosts: hosts, Now: func() time.Time { return w.now }}
	return w
}

func (w *world) open() *Source {
	w.t.Helper()
	s, err := Open(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// issue gives a certificate with its key as PEM, of an own source, made at a time.
func issue(t *testing.T, at time.Time) (cert, key []byte) {
	t.Helper()
	w := appliance(t, "owner.example")
	w.now = at
	w.open()
	b, err := os.ReadFile(filepath.Join(w.cfg.Dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, []byte("-----BEGIN PRIVATE KEY"))
	return b[:i], b[i:]
}

func (w *world) put(cert, key []byte) {
	w.t.Helper()
	if w.cfg.Cert == "" {
		dir := w.t.TempDir()
		w.cfg.Cert, w.cfg.Key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	}
	for name, b := range map[string][]byte{w.cfg.Cert: cert, w.cfg.Key: key} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

func says(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("says %v, want %q", err, want)
	}
}

// TestABrowserGetsIn over a real connection, by name and by address, when it trusts the certificate.
func TestABrowserGetsIn(t *testing.T) {
	s := func() *Source {
		w := appliance(t, "castellan.local", "192.168.1.5", "fe80::1%eth0")
		w.now = time.Now()
		return w.open()
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") })}
	go func() { _ = srv.Serve(tls.NewListener(l, &tls.Config{GetCertificate: s.GetCertificate})) }()
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.now.Load().cert.Leaf)
	for _, name := range []string{"castellan.local", "192.168.1.5", "fe80::1", "localhost", "::1"} {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = c.Close()
	}
	if _, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "elsewhere"}); err == nil {
		t.Error("it is for everybody")
	}
	i := s.Info()
	if !i.SelfMade || i.Issuer != "" || !regexp.MustCompile(`^([0-9A-F]{2}:){31}[0-9A-F]{2}$`).MatchString(i.Fingerprint) || i.NotAfter.Sub(i.NotBefore) != life {
		t.Errorf("%+v", i)
	}
}

func TestTheSelfMadeOneStaysUntilItMustNot(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(w *world, path string)
		stay bool
	}{
		{"a restart", func(*world, string) {}, true},
		{"long before its end", func(w *world, _ string) { w.now = w.now.Add(life - renew - 2*day) }, true},
		{"near its end", func(w *world, _ string) { w.now = w.now.Add(life - renew) }, false},
		{"after its end", func(w *world, _ string) { w.now = w.now.Add(3 * life) }, false},
		{"a clock that is not set", func(w *world, _ string) { w.now = time.Unix(0, 0) }, true},
		{"a clock that was ahead", func(w *world, _ string) { w.now = w.now.Add(-100 * day) }, false},
		{"another name", func(w *world, _ string) { w.cfg.Hosts = append(w.cfg.Hosts, "other.local") }, false},
		{"another address", func(w *world, _ string) { w.cfg.Hosts = append(w.cfg.Hosts, "10.0.0.7") }, false},
		{"a name less", func(w *world, _ string) { w.cfg.Hosts = nil }, true},
		{"the same name", func(w *world, _ string) { w.cfg.Hosts = []string{" Castellan.Local. "} }, true},
		{"lost", func(_ *world, path string) { _ = os.Remove(path) }, false},
		{"damaged", func(_ *world, path string) { _ = os.Truncate(path, 300) }, false},
		{"empty", func(_ *world, path string) { _ = os.Truncate(path, 0) }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := appliance(t, "castellan.local")
			first := w.open().Info()
			path := filepath.Join(w.cfg.Dir, FileName)
			if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", fi, err)
			}
			tc.do(w, path)
			s := w.open()
			says(t, s.Problem(), "")
			if got := s.Info().Fingerprint == first.Fingerprint; got != tc.stay {
				t.Errorf("stays: %v, want %v", got, tc.stay)
			}
			if again := w.open().Info(); again.Fingerprint != s.Info().Fingerprint {
				t.Error("and is another one after each start")
			}
		})
	}
}

func TestTheSelfMadeOneIsRenewedInUse(t *testing.T) {
	w := appliance(t)
	s := w.open()
	first := s.Info().Fingerprint
	says(t, s.Refresh(), "")
	if s.Info().Fingerprint != first {
		t.Error("made anew for nothing")
	}
	w.now = w.now.Add(life - renew)
	says(t, s.Refresh(), "")
	if i := s.Info(); i.Fingerprint == first || i.NotAfter.Before(w.now.Add(700*day)) {
		t.Errorf("%+v", i)
	}
}

func TestADiskThatTakesNothing(t *testing.T) {
	w := appliance(t)
	if err := os.WriteFile(w.cfg.Dir, nil, 0o600); err != nil { // no folder can be there
		t.Fatal(err)
	}
	s := w.open()
	says(t, s.Problem(), "cannot keep the self-made certificate")
	first := s.Info().Fingerprint
	says(t, s.Refresh(), "cannot keep")
	if err := os.Remove(w.cfg.Dir); err != nil {
		t.Fatal(err)
	}
	says(t, s.Refresh(), "")
	if s.Info().Fingerprint != first || w.open().Info().Fingerprint != first {
		t.Error("what is kept is another one")
	}
}

func TestTheOwnersMistakesAreNamed(t *testing.T) {
	cert, key := issue(t, begin)
	_, otherKey := issue(t, begin)
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	oldLocked := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("x")})
	for _, tc := range []struct {
		name, says string
		cert, key  []byte
		later      time.Duration
		serves     bool
	}{
		{"good", "", cert, key, 0, true},
		{"good, with text around", "", append([]byte("CN = owner\n"), cert...), append([]byte("\n\n"), key...), 0, true},
		{"other key", "is of another one; renew both together", cert, otherKey, 0, false},
		{"exchanged", "are cert and key exchanged?", key, cert, 0, false},
		{"no certificate", "holds no certificate in PEM", []byte("hello"), key, 0, false},
		{"no key", "holds no key in PEM", cert, cert, 0, false},
		{"empty", "is empty", nil, key, 0, false},
		{"passphrase", "it is under a passphrase", cert, locked, 0, false},
		{"old passphrase", "it is under a passphrase", cert, oldLocked, 0, false},
		{"half a certificate", "cannot use the certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), key, 0, false},
		{"large", "is larger than", bytes.Repeat([]byte("x"), maxBytes+1), key, 0, false},
		{"ended", "has ended on 2028-07-30; renew it", cert, key, life, true},
		{"ends soon", "ends on 2028-07-30; renew it", cert, key, life - 10*day, true},
		{"not yet", "check the clock", cert, key, -10 * day, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := appliance(t)
			w.now = begin.Add(tc.later)
			w.put(tc.cert, tc.key)
			s := w.open()
			says(t, s.Problem(), tc.says)
			if s.Info().SelfMade == tc.serves {
				t.Errorf("serves %+v", s.Info())
			}
			if !tc.serves {
				says(t, s.Problem(), "a self-made one is in use meanwhile")
				says(t, s.Problem(), filepath.Dir(w.cfg.Cert))
			}
			says(t, s.Refresh(), tc.says) // still
			w.now = begin
			w.put(cert, key)
			says(t, s.Refresh(), "")
			if i := s.Info(); i.SelfMade || i.Names[0] != "owner.example" || i.Issuer == "" {
				t.Errorf("after it was put right: %+v", i)
			}
		})
	}
}

func TestTheOwnersFilesAreTakenUpWhenTheyChange(t *testing.T) {
	w := appliance(t)
	cert, key := issue(t, begin)
	w.put(cert, key)
	s := w.open()
	first := s.Info().Fingerprint
	next, nextKey := issue(t, begin.Add(day))
	old, oldKey := issue(t, begin.Add(-2*life))

	for _, step := range []struct {
		name      string
		cert, key []byte
		says      string
		changes   bool
	}{
		{"half of a renewal", next, key, "the one before is in use meanwhile", false},
		{"an ended one", old, oldKey, "has ended", false},
		{"the renewal", next, nextKey, "", true},
	} {
		w.put(step.cert, step.key)
		says(t, s.Refresh(), step.says)
		if got := s.Info().Fingerprint != first; got != step.changes {
			t.Errorf("%s: another one is served: %v", step.name, got)
		}
	}
	for _, name := range []string{w.cfg.Cert, w.cfg.Key} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		says(t, s.Refresh(), "no such file")
	}
	if s.Info().SelfMade {
		t.Error("a missing file ends what was good")
	}
	w.put(next, nextKey)
	says(t, s.Refresh(), "")
}

func TestWhatIsNoConfigIsRefused(t *testing.T) {
	for _, cfg := range []Config{
		{Cert: "x"}, {Key: "x"}, {Hosts: []string{""}}, {Hosts: []string{"a b"}}, {Hosts: []string{"../x"}}, {Hosts: []string{"-x"}},
		{Hosts: []string{strings.Repeat("x", 64)}}, {Hosts: make([]string, maxHosts+1)},
	} {
		cfg.Dir = t.TempDir()
		if _, err := Open(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
		if left, _ := os.ReadDir(cfg.Dir); len(left) > 0 {
			t.Errorf("%v was made", left)
		}
	}
}

func TestServingWhileItIsRenewed(t *testing.T) {
	w := appliance(t)
	var mu sync.Mutex
	now := begin
	w.cfg.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	s := w.open()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				mu.Lock()
				now = now.Add(life / 4)
				mu.Unlock()
				says(t, s.Refresh(), "")
				if c, err := s.GetCertificate(nil); err != nil || c.Leaf == nil || s.Info().Fingerprint == "" {
					t.Error(err)
				}
				says(t, s.Problem(), "")
			}
		})
	}
	wg.Wait()
}
