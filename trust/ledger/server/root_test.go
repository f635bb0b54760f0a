package server

import (
	"crypto/ed25519"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
)

// writeRoot writes the next root document into dir.
func writeRoot(t *testing.T, dir string, key ed25519.PrivateKey, version int, change func(*trust.Root)) {
	t.Helper()
	_, vk := noteKey(t)
	r := trust.Root{
		Version: version, Expires: time.Unix(2_000_000_000, 0).UTC(), Keys: []trust.PublisherKey{workingKey(key)}, Threshold: 1,
		Ledgers: []trust.RootLedger{{Origin: "other.example/ledger", NoteKeys: []string{vk}}},
	}
	change(&r)
	payload, err := trust.EncodeRoot(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(version)+".json"), seal(t, trust.RootType, payload, key), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestServerFollowsTheRoot(t *testing.T) {
	roots, key, p := t.TempDir(), newKey(t), newPublisher(t)
	writeRoot(t, roots, key, 1, func(*trust.Root) {})
	l := startLedger(t, func(c *Config) { c.RootDir, c.Open = roots, false })
	if c := l.checkpoint(t); c.Root != 1 {
		t.Errorf("checkpoint names root %d, want 1", c.Root)
	}
	doc := p.document(nil)
	if status, _ := l.post(t, "/v1/records", doc); status != http.StatusForbidden {
		t.Errorf("publisher that the root does not name: %d", status)
	}
	if resp, _ := l.get(t, "/root/2.json"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("/root/2.json: %s", resp.Status)
	}

	// A document that does not verify changes nothing; the next good one counts at once.
	writeRoot(t, roots, newKey(t), 2, func(r *trust.Root) { r.Core = []string{p.doc.ID} })
	if err := l.upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := l.checkpoint(t); c.Root != 1 {
		t.Errorf("after a forged root the checkpoint names %d", c.Root)
	}
	writeRoot(t, roots, key, 2, func(r *trust.Root) { r.Core = []string{p.doc.ID} })
	if err := l.upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := l.checkpoint(t); c.Root != 2 {
		t.Errorf("after a new root the checkpoint names %d", c.Root)
	}
	l.mustPost(t, doc)
	want, _ := os.ReadFile(filepath.Join(roots, "2.json"))
	if resp, b := l.get(t, "/root/2.json"); resp.StatusCode != http.StatusOK || string(b) != string(want) {
		t.Errorf("/root/2.json: %s", resp.Status)
	}
}

func TestTransferOfTheRootCountsAtTheGateAtOnce(t *testing.T) {
	roots, key, p := t.TempDir(), newKey(t), newPublisher(t)
	writeRoot(t, roots, key, 1, func(r *trust.Root) { r.Core = []string{p.doc.ID} })
	l := startLedger(t, func(c *Config) { c.RootDir, c.Open = roots, false })
	owner := *p
	l.mustPost(t, owner.document(nil))
	thief := owner // has the root key, and makes himself at home
	thief.key = newKey(t)
	l.mustPost(t, thief.document(func(d *trust.Publisher) { d.Keys = []trust.PublisherKey{workingKey(thief.key)} }))
	l.mustPost(t, thief.notarization(nil))

	owner.root = newKey(t)
	pub := owner.root.Public().(ed25519.PublicKey)
	writeRoot(t, roots, key, 2, func(r *trust.Root) {
		r.Core = []string{p.doc.ID}
		r.Transfers = []trust.Transfer{{Publisher: p.doc.ID, Root: pub, Version: 3}}
	})
	if err := l.upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	owner.doc.Version = 2
	l.mustPost(t, owner.document(func(d *trust.Publisher) { d.Root = pub }))
	thief.uid, owner.uid = thief.uid+100, thief.uid+200
	if status, _ := l.post(t, "/v1/records", thief.notarization(nil)); status != http.StatusUnprocessableEntity {
		t.Errorf("the thief's record: %d, want 422", status)
	}
	l.mustPost(t, owner.notarization(nil))
	l.start2(t)
	owner.uid += 100
	l.mustPost(t, owner.notarization(nil))
}

func TestServerDoesNotSignWithAKeyTheRootDoesNotList(t *testing.T) {
	roots, key := t.TempDir(), newKey(t)
	writeRoot(t, roots, key, 1, func(r *trust.Root) { r.Ledgers[0].Origin = testOrigin })
	s, _ := noteKey(t)
	_, err := Open(Config{Dir: t.TempDir(), Signer: s, RootDir: roots, Log: discard()})
	if err == nil || !strings.Contains(err.Error(), "does not list this note key") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(Config{Dir: t.TempDir(), Signer: s, RootDir: t.TempDir(), Log: discard()}); err == nil {
		t.Error("an empty root folder was taken for a ledger without a root")
	}
}

// The way out of a lost history: a root version whose resume names where the line continues.
func TestRootResumeContinuesARestoredLedger(t *testing.T) {
	roots, key, p := t.TempDir(), newKey(t), newPublisher(t)
	var vk string
	l := startLedger(t, func(c *Config) {
		s, v := noteKey(t)
		c.Signer, c.RootDir, vk = s, roots, v
		writeRoot(t, roots, key, 1, func(r *trust.Root) {
			r.Ledgers[0] = trust.RootLedger{Origin: testOrigin, NoteKeys: []string{vk}}
		})
	})
	l.mustPost(t, p.document(nil))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	backup := t.TempDir()
	copyDir(t, backup, filepath.Join(l.cfg.Dir, "immudb"))
	srv, err := Open(l.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.submit([][]byte{p.notarization(nil)}); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	// Disaster: only the backup is left.
	if err := os.RemoveAll(filepath.Join(l.cfg.Dir, "immudb")); err != nil {
		t.Fatal(err)
	}
	copyDir(t, filepath.Join(l.cfg.Dir, "immudb"), backup)
	_, err = Open(l.cfg)
	if err == nil {
		t.Fatal("a restored ledger started by itself")
	}
	store := openStore(t, l.cfg.Dir)
	head, err := store.Head()
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
	writeRoot(t, roots, key, 2, func(r *trust.Root) {
		r.Ledgers[0] = trust.RootLedger{Origin: testOrigin, NoteKeys: []string{vk}, Resume: &head}
	})
	if srv, err = Open(l.cfg); err != nil {
		t.Fatalf("with a resume in the root: %v", err)
	}
	defer srv.Close()
	if _, err := srv.submit([][]byte{p.notarization(nil)}); err != nil {
		t.Error(err)
	}
}
