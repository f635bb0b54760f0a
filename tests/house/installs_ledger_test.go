package house

import (
	"encoding/pem"
	"fmt"
	"net/http/cgi"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/addons/store"
	"github.com/castellan/castellan/tests/testenv"
)

// gitRepository is a repository of add-ons that is served over http.
type gitRepository struct {
	t   testing.TB
	dir string
	url string
}

func newGitRepository(t testing.TB) *gitRepository {
	t.Helper()
	r := &gitRepository{t: t, dir: filepath.Join(t.TempDir(), "addons")}
	must(t, os.Mkdir(r.dir, 0o755))
	lib, err := exec.Command("git", "--exec-path").Output()
	must(t, err)
	r.git("init", "-q", "-b", "main")
	srv := httptest.NewServer(&cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(lib)), "git-http-backend"), Env: []string{
		"GIT_PROJECT_ROOT=" + filepath.Dir(r.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}})
	t.Cleanup(srv.Close)
	r.url = srv.URL + "/addons/.git"
	return r
}

func (r *gitRepository) git(args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Test", "-c", "user.email=test@example.org"}, args...)...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git %v: %v: %s", args, err, out)
	}
}

// publish commits a file.
func (r *gitRepository) publish(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	must(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(r.t, os.WriteFile(path, []byte(text), 0o644))
	r.git("add", "--all")
	r.git("commit", "-q", "-m", name)
}

// ownLedger is a second ledger with a publisher of its own, behind TLS as ledgers of repositories must be.
type ownLedger struct {
	store.Ledger
	publisher string
	cas       func(args ...string) answer
	authority string // a file with the certificate that its server has
}

func (w *world) ownLedger() ownLedger {
	t := w.t
	t.Helper()
	const name = "ledger.author.test/radio"
	o := ownLedger{authority: w.path("authority.pem")}
	home := []string{"CAS_HOME=" + w.path("author"), "CAS_PLAIN_HTTP=true"}
	o.cas = func(args ...string) answer {
		t.Helper()
		a := run(t, home, bin(t, "cas"), args...)
		a.says(t, 0)
		return a
	}
	key := strings.TrimSpace(o.cas("key", "ledger", name, w.path("author.key")).stdout)
	var me struct {
		Publisher string `json:"publisher"`
	}
	o.cas("login", "--no-passphrase", "--origin", name, "--label", "Author", "-o", "json").decode(t, &me)
	o.publisher = me.Publisher
	address := w.path("author.url")
	p := start(t, w.path("author.log"), home, bin(t, "cas"), "serve", "--data", w.path("author.ledger"), "--key", w.path("author.key"),
		"--listen", "127.0.0.1:0", "--allow", o.publisher, "--address-file", address)
	var at string
	testenv.Eventually(t, 30*time.Second, "the author's ledger answers", func() bool {
		if !p.running() {
			t.Fatalf("cas serve has ended:\n%s", p.tail())
		}
		b, _ := os.ReadFile(address) // empty until it listens
		at = strings.TrimSpace(string(b))
		return at != ""
	})
	o.cas("login", "--ledger", at, "--ledger-key", key)
	u, err := url.Parse(at)
	must(t, err)
	srv := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(u))
	t.Cleanup(srv.Close)
	must(t, os.WriteFile(o.authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o644))
	o.Ledger = store.Ledger{Origin: name, Keys: []string{key}, URLs: []string{srv.URL}}
	return o
}

// TestRepositoryWithItsOwnLedger follows a repository whose add-ons another ledger vouches for. It is followed only with
// that ledger's fingerprint, and then no other ledger's word counts for its add-ons, nor its word for others.
func TestRepositoryWithItsOwnLedger(t *testing.T) {
	w := newWorld(t)
	w.core("2026.11.1")
	w.release("2026.11.1")
	own, r := w.ownLedger(), newGitRepository(t)
	r.publish("repository.yaml", fmt.Sprintf("name: Author's\ncastellan:\n  ledger: {origin: %s, keys: [%q], urls: [%q]}\n", own.Origin, own.Keys[0], own.URLs[0]))
	config := func(slug, claim string) string {
		return fmt.Sprintf("name: %s\nversion: \"1.0\"\nslug: %s\ndescription: of the test\narch: [amd64, aarch64]\nimage: %s/house/%s\n%s\n",
			slug, slug, w.registry.host, slug, claim)
	}
	by := func(publisher string) string { return "castellan: {publisher: " + publisher + "}" }
	good, bad, foreign := w.image("radio", "1.0"), w.image("bad", "1.0"), w.image("tv", "1.0")
	w.image("plain", "1.0")
	own.cas("notarize", good.Reference())
	own.cas("notarize", bad.Reference())
	own.cas("untrust", bad.Reference(), "--reason", "for the test")
	w.cas("notarize", foreign.Reference()) // by the root's publisher, in the root's ledger
	r.publish("radio/config.yaml", config("radio", by(own.publisher)))
	r.publish("bad/config.yaml", config("bad", by(own.publisher)))
	r.publish("plain/config.yaml", config("plain", ""))
	r.publish("tv/config.yaml", config("tv", by(w.publisher)))
	h := newHouse(w, withStore)
	h.env = []string{"SSL_CERT_FILE=" + own.authority}
	h.begin()

	print := own.Fingerprint()
	h.castellan("repo", "add", r.url).says(t, 1, print, own.Origin, "compare the key")
	h.castellan("repo", "add", r.url, "--ledger", strings.Repeat("0", len(print))).says(t, 1, print, "ask its owner which one is right")
	if a := h.castellan("repo", "list", "--json"); strings.Contains(a.stdout, r.url) {
		t.Errorf("a refused repository is followed: %s", a)
	}
	a := h.castellan("repo", "add", r.url, "--ledger", print, "--json")
	a.says(t, 0)
	var added struct {
		Slug string `json:"slug"`
	}
	a.decode(t, &added)
	h.castellan("check").says(t, 0)

	radio, tv := added.Slug+"_radio", added.Slug+"_tv"
	for slug, want := range map[string]string{radio: "verified", added.Slug + "_plain": "unsigned", added.Slug + "_bad": "withdrawn"} {
		if a := h.addon(slug); a.Badge != want {
			t.Errorf("before the installation %s has badge %q (%s), want %q", slug, a.Badge, a.Evidence, want)
		}
	}
	h.castellan("addon", "install", added.Slug+"_bad", "--yes").says(t, 4)
	h.castellan("addon", "install", radio, "--start", "--yes").says(t, 0)
	h.addonIs(radio, "1.0", "running", "verified")
	if b := h.addon(tv).Badge; b == "verified" {
		t.Error("the root's ledger vouches for an add-on of the author's repository")
	}
	h.castellan("addon", "install", tv, "--yes").says(t, 4)
	h.addonIs(tv, "", "absent", h.addon(tv).Badge)

	// The author's word counts in his repository only.
	elsewhere := h.image("lamp", "1.0")
	own.cas("notarize", elsewhere.Reference())
	h.addonConfig("lamp", "1.0", "castellan: {publisher: "+own.publisher+"}")
	h.offers()
	h.castellan("check").says(t, 0)
	if b := h.addon("local_lamp").Badge; b == "verified" {
		t.Error("the author's ledger vouches for an add-on of another repository")
	}
	h.castellan("addon", "install", "local_lamp", "--yes").says(t, 4)

	// The root's ledger being away is nothing to the author's add-on, nor a restart.
	h.ledger.shut()
	h.daemon.kill()
	h.start()
	h.castellan("addon", "restart", radio).says(t, 0)
	h.addonIs(radio, "1.0", "running", "verified")
	own.cas("untrust", good.Reference(), "--reason", "for the test")
	h.castellan("check")
	testenv.Eventually(t, 30*time.Second, "what its own ledger withdraws is said to be", func() bool { return h.addon(radio).Badge == "withdrawn" })
	h.castellan("log", "verify").says(t, 0)
}
