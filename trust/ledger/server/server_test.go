package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

// replay reads the whole served tree as an appliance would, and returns the keys of its records.
func (l *testLedger) replay(t testing.TB) []string {
	t.Helper()
	c := l.checkpoint(t)
	prev := ledger.Genesis
	var keys []string
	for n := uint64(0); ledger.SegmentWidth(n, c.Count) > 0; n++ {
		resp, b := l.get(t, "/tx/"+ledger.SegmentPath(n, ledger.SegmentWidth(n, c.Count)))
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("segment %d: %s", n, resp.Status)
		}
		r := ledger.NewSegmentReader(bytes.NewReader(b))
		for {
			exported, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			tx, err := ledger.CheckTransaction(prev, exported)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range tx.Entries {
				keys = append(keys, string(e.Key[1:]))
			}
			prev = ledger.Point{Count: tx.ID, Alh: tx.Alh}
		}
	}
	if prev != c.Point {
		t.Fatalf("the segments end at %v, the checkpoint says %v", prev, c.Point)
	}
	return keys
}

func TestWhatIsPostedIsServedAndVerifies(t *testing.T) {
	l := startLedger(t, nil)
	if c := l.checkpoint(t); c.Point != ledger.Genesis || c.Origin != testOrigin || !c.Time.Equal(testNow) {
		t.Fatalf("empty ledger: %+v", c)
	}
	p := newPublisher(t)
	doc, word := p.document(nil), p.notarization(nil)
	if got := l.mustPost(t, doc, word); !slices.Equal(got, []trust.Position{{Tx: 1, Entry: 0}, {Tx: 1, Entry: 1}}) {
		t.Errorf("positions %v", got)
	}
	status, m := l.post(t, "/v1/records", p.notarization(nil)) // one envelope without an array
	if status != http.StatusOK || m["checkpoint"] != 2.0 {
		t.Errorf("single envelope: %d %v", status, m)
	}
	if keys := l.replay(t); len(keys) != 3 || keys[0] != "p/"+p.doc.ID+"/0000000001" {
		t.Errorf("keys %v", keys)
	}
}

func TestTheSameRecordAgainGetsTheSameAnswer(t *testing.T) {
	l := startLedger(t, nil)
	p := newPublisher(t)
	doc, word := p.document(nil), p.notarization(nil)
	first := l.mustPost(t, doc, word)
	spaced := bytes.ReplaceAll(word, []byte(`":"`), []byte(`" : "`)) // the same envelope spelled otherwise
	for range 3 {
		if again := l.mustPost(t, doc, spaced); !slices.Equal(first, again) {
			t.Errorf("again: %v, first: %v", again, first)
		}
	}
	l.start2(t)
	if again := l.mustPost(t, doc, word); !slices.Equal(first, again) {
		t.Errorf("after a restart: %v, first: %v", again, first)
	}
	if n := len(l.replay(t)); n != 2 {
		t.Errorf("%d records in the ledger, want 2", n)
	}
}

// start2 restarts the server on the same folder.
func (l *testLedger) start2(t testing.TB) {
	t.Helper()
	if err := l.Server.Close(); err != nil {
		t.Fatal(err)
	}
	l.start(t)
}

func TestRestartGoesOnWhereItWas(t *testing.T) {
	l := startLedger(t, nil)
	p := newPublisher(t)
	l.mustPost(t, p.document(nil))
	for range ledger.SegmentTxs + 10 {
		l.mustPost(t, p.notarization(nil))
	}
	before, keys := l.checkpoint(t), l.replay(t)
	l.start2(t)
	if after := l.checkpoint(t); after.Point != before.Point {
		t.Errorf("head after the restart %v, before %v", after.Point, before.Point)
	}
	l.mustPost(t, p.notarization(nil))
	if got := l.replay(t); !slices.Equal(got[:len(keys)], keys) || len(got) != len(keys)+1 {
		t.Errorf("history changed: %d keys, had %d", len(got), len(keys))
	}
	// What an older checkpoint asks for is still there, also inside a segment that is full by now.
	for _, path := range []string{"000.p/1", "000.p/255", "001.p/3"} {
		resp, b := l.get(t, "/tx/"+path)
		_, width, _ := ledger.ParseSegmentPath(path)
		r, n := ledger.NewSegmentReader(bytes.NewReader(b)), 0
		for ; ; n++ {
			if _, err := r.Next(); err != nil {
				break
			}
		}
		if resp.StatusCode != http.StatusOK || n != width {
			t.Errorf("%s: %s with %d transactions", path, resp.Status, n)
		}
	}
}

func TestConcurrentWritersLoseNothing(t *testing.T) {
	l := startLedger(t, func(c *Config) { c.DailyBytes = 1 << 30 })
	p := newPublisher(t)
	l.mustPost(t, p.document(nil))
	const writers, each = 8, 10
	records := make([][]byte, writers*each)
	for i := range records {
		records[i] = p.notarization(nil)
	}
	var wg sync.WaitGroup
	answers := make([][]trust.Position, 2*writers)
	for w := range 2 * writers { // each record is sent by two connections at once
		wg.Go(func() {
			for i := range each {
				answers[w] = append(answers[w], l.mustPost(t, records[w%writers*each+i])...)
			}
		})
	}
	wg.Wait()
	for w := range writers {
		if !slices.Equal(answers[w], answers[w+writers]) {
			t.Errorf("two writers of the same records were told %v and %v", answers[w], answers[w+writers])
		}
	}
	keys := l.replay(t)
	slices.Sort(keys)
	if len(keys) != writers*each+1 || len(slices.Compact(keys)) != len(keys) {
		t.Errorf("%d keys in the ledger, want %d different ones", len(keys), writers*each+1)
	}
}

func TestReadersGetCacheableConditionalAnswers(t *testing.T) {
	l := startLedger(t, nil)
	l.mustPost(t, newPublisher(t).document(nil))
	for path, cache := range map[string]string{"/checkpoint": "public, no-cache", "/tx/000.p/1": forever} {
		resp, body := l.get(t, path)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != cache || resp.Header.Get("ETag") == "" {
			t.Errorf("%s: %s %v", path, resp.Status, resp.Header)
		}
		req, _ := http.NewRequest(http.MethodGet, l.url+path, nil)
		req.Header.Set("If-None-Match", resp.Header.Get("ETag"))
		again, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		again.Body.Close()
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %s", path, again.Status)
		}
		head, err := http.Head(l.url + path)
		if err != nil {
			t.Fatal(err)
		}
		if head.StatusCode != http.StatusOK || head.ContentLength != int64(len(body)) {
			t.Errorf("HEAD %s: %s, %d bytes", path, head.Status, head.ContentLength)
		}
		req, _ = http.NewRequest(http.MethodGet, l.url+path, nil)
		req.Header.Set("Range", "bytes=5-")
		part, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(part.Body)
		part.Body.Close()
		if part.StatusCode != http.StatusPartialContent || !bytes.Equal(rest, body[5:]) {
			t.Errorf("range of %s: %s", path, part.Status)
		}
	}
	for _, path := range []string{
		"/tx/000", "/tx/000.p/2", "/tx/001.p/1", "/tx/000.p/0", "/tx/0", "/tx/../checkpoint.x", "/tx/x999/999",
		"/root/1.json", "/root/x.json", "/root/..%2f..%2fetc%2fpasswd", "/file/sha256/aa", "/file/sha256/..%2f..%2fsigned.json", "/signed.json", "/",
	} {
		if resp, _ := l.get(t, path); resp.StatusCode != http.StatusNotFound || resp.Header.Get("Cache-Control") == forever {
			t.Errorf("%s: %s, cache %q", path, resp.Status, resp.Header.Get("Cache-Control"))
		}
	}
}

func TestChannelFilesNeedANotarization(t *testing.T) {
	l := startLedger(t, nil)
	p := newPublisher(t)
	file := []byte(`{"channel":"stable"}`)
	if status, m := l.post(t, "/v1/files", file); status != http.StatusForbidden || m["next"] == "" {
		t.Errorf("before the notarization: %d %v", status, m)
	}
	channel := func(kind string, status trust.Status, d trust.Digest) []byte {
		return p.notarization(func(n *trust.Notarization) {
			n.Kind, n.Name, n.Version, n.Status = kind, "stable", "", status
			n.Subjects = []trust.RecordSubject{{Name: "stable", Digest: d}}
		})
	}
	l.mustPost(t, p.document(nil), channel(trust.KindFile, trust.Trusted, trust.DigestOf(file)))
	if status, _ := l.post(t, "/v1/files", file); status != http.StatusForbidden {
		t.Errorf("with a notarization of another kind: %d", status)
	}
	l.mustPost(t, channel(trust.KindChannel, trust.Trusted, trust.DigestOf(file)))
	if status, m := l.post(t, "/v1/files", file); status != http.StatusOK {
		t.Errorf("after the notarization: %d %v", status, m)
	}
	path := "/file/sha256/" + trust.DigestOf(file).Hex()
	if resp, b := l.get(t, path); resp.StatusCode != http.StatusOK || !bytes.Equal(b, file) {
		t.Errorf("%s: %s %q", path, resp.Status, b)
	}
	if status, _ := l.post(t, "/v1/files", make([]byte, maxFile+1)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("oversized: %d", status)
	}
	// A file damaged on our disk is not handed out under its name.
	if err := os.WriteFile(l.filePath(trust.DigestOf(file)), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if resp, _ := l.get(t, path); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("damaged file: %s", resp.Status)
	}
}

func TestStrangersFillNoDiskWithChannelFiles(t *testing.T) {
	friend, spammer := newPublisher(t), newPublisher(t)
	now := time.Now() // transactions carry immudb's own clock
	l := startLedger(t, func(c *Config) {
		c.Allow, c.Now = []string{friend.doc.ID}, func() time.Time { return now }
	})
	upload := func(p *publisher, fill byte) int {
		file := bytes.Repeat([]byte{fill}, maxFile/2)
		l.mustPost(t, p.notarization(func(n *trust.Notarization) {
			n.Kind, n.Name, n.Version = trust.KindChannel, "stable", ""
			n.Subjects = []trust.RecordSubject{{Name: "stable", Digest: trust.DigestOf(file)}}
		}))
		for range 2 { // a repeat costs nothing
			if status, _ := l.post(t, "/v1/files", file); status != http.StatusOK {
				return status
			}
		}
		return http.StatusOK
	}
	l.mustPost(t, friend.document(nil))
	l.mustPost(t, spammer.document(nil))
	if got := upload(spammer, 0); got != http.StatusOK {
		t.Errorf("the first: %d, want 200", got)
	}
	if got := upload(spammer, 1); got != http.StatusTooManyRequests {
		t.Errorf("over the bytes of a day: %d, want 429", got)
	}
	for fill := byte(1); fill < 5; fill++ { // one of them the spammer has notarized, too
		if got := upload(friend, fill); got != http.StatusOK {
			t.Errorf("friend: %d, want 200", got)
		}
	}
}

func TestCheckpointIsSignedAgainInTime(t *testing.T) {
	now := testNow
	l := startLedger(t, func(c *Config) { c.Now = func() time.Time { return now } })
	first := l.checkpoint(t)
	now = now.Add(resignAfter - time.Second)
	if err := l.upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := l.checkpoint(t); !c.Time.Equal(first.Time) {
		t.Errorf("signed again after %v", c.Time.Sub(first.Time))
	}
	now = now.Add(time.Second)
	if err := l.upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := l.checkpoint(t); !c.Time.Equal(now) || c.Point != first.Point {
		t.Errorf("after %v the checkpoint is %+v", resignAfter, c)
	}
}

func TestRestoredBackupStopsInsteadOfForking(t *testing.T) {
	l := startLedger(t, nil)
	p := newPublisher(t)
	l.mustPost(t, p.document(nil))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "immudb")
	if err := os.CopyFS(backup, os.DirFS(filepath.Join(l.cfg.Dir, "immudb"))); err != nil {
		t.Fatal(err)
	}
	l.start(t)
	l.mustPost(t, p.notarization(nil))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(l.cfg.Dir, "immudb")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(l.cfg.Dir, "immudb"), os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(l.cfg); !errors.Is(err, ErrRolledBack) {
		t.Errorf("opened a restored backup: %v", err)
	}
}

func TestExportedTreeIsTheServedTree(t *testing.T) {
	l := startLedger(t, nil)
	p := newPublisher(t)
	l.mustPost(t, p.document(nil))
	for range ledger.SegmentTxs {
		l.mustPost(t, p.notarization(nil))
	}
	dir := t.TempDir()
	if err := l.Export(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	l.mustPost(t, p.notarization(nil))
	if err := l.Export(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		files = append(files, rel)
		want, err := os.ReadFile(path)
		if _, got := l.get(t, "/"+filepath.ToSlash(rel)); !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is served", rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"checkpoint", "tx/000", "tx/001.p/1", "tx/001.p/2"}; !slices.Equal(files, want) {
		t.Errorf("tree is %v, want %v", files, want)
	}
	// Partials that no cached checkpoint can ask for go away; the newest stays.
	old := testNow.Add(-keepPartials)
	for _, f := range files {
		if err := os.Chtimes(filepath.Join(dir, f), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Export(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for f, want := range map[string]bool{"tx/000": true, "tx/001.p/1": false, "tx/001.p/2": true} {
		if _, err := os.Stat(filepath.Join(dir, f)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", f, err == nil, want)
		}
	}
}

// After a resume the line goes on from an older point, and other bytes stand under the names of the segments.
func TestExportReplacesTheSegmentsOfAnotherLine(t *testing.T) {
	dir := t.TempDir()
	void, l := startLedger(t, nil), startLedger(t, nil)
	for ledger, records := range map[*testLedger]int{void: 5, l: 3} {
		p := newPublisher(t)
		ledger.mustPost(t, p.document(nil))
		for range records {
			ledger.mustPost(t, p.notarization(nil))
		}
	}
	if err := void.Export(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	trusttest.Write(t, filepath.Join(dir, "tx", "000.p", "4"), []byte("a partial segment of the line that ended"))
	for range 2 {
		if err := l.Export(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadDir(filepath.Join(dir, "tx", "000.p"))
		if err != nil || len(list) != 1 || list[0].Name() != "4" {
			t.Fatalf("segments %v, %v; want the one of the new line", list, err)
		}
		for _, name := range []string{"tx/000.p/4", "checkpoint"} {
			got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
			if _, want := l.get(t, "/"+name); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not what is served: %v", name, err)
			}
		}
	}
}

func TestSlowWriterIsCutOffAndBlocksNobody(t *testing.T) {
	tree := t.TempDir()
	l := startLedger(t, func(c *Config) { c.ExportDir = tree })
	l.mustPost(t, newPublisher(t).document(nil))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, ln) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
	resp, err := http.Get("http://" + ln.Addr().String() + "/checkpoint")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("reader beside a slow writer: %v", err)
	}
	resp.Body.Close()
	cancel()
	if err := <-done; err != nil { // the slow connection does not keep the server
		t.Errorf("serve ended with %v", err)
	}
	if _, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("slow writer's connection: %v", err)
	}
	if _, err := os.Stat(filepath.Join(tree, "tx", "000.p", "1")); err != nil {
		t.Errorf("the exported tree lacks what the ledger had when it ended: %v", err)
	}
}
