package house

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/castellan/castellan/tests/browser"
)

// testExport hands on what a filter of the log chooses, and nothing else.
func (u *ui) testExport(t *testing.T) {
	b := u.on(t)
	u.lamp("1.0", "")
	u.castellan("addon", "install", "local_lamp", "--start", "--yes").says(t, 0)
	b.Visit("/ui/trust?service=addon_local_lamp&kind=verdict")
	b.Sees("lamp")
	u.check(b, "log-filtered")
	shown := browser.Eval[int](b, `document.querySelectorAll("#log-table tbody tr").length`)

	name, lines := b.Download("link", "JSON lines")
	if !strings.HasSuffix(name, ".jsonl") {
		t.Errorf("the file is called %q", name)
	}
	n := 0
	for line := range strings.Lines(string(lines)) {
		var row struct {
			Kind    string
			Payload struct {
				Verdict struct{ Subject struct{ Component string } }
			}
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if row.Kind != "verdict" || !strings.Contains(line, "addon_local_lamp") {
			t.Errorf("a line is of something else: %s", line)
		}
		n++
	}
	if n == 0 || n != shown {
		t.Errorf("%d lines, and %d rows on the page", n, shown)
	}

	name, table := b.Download("link", "CSV table")
	if !strings.HasSuffix(name, ".csv") {
		t.Errorf("the file is called %q", name)
	}
	rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	must(t, err)
	if len(rows) != n+1 {
		t.Errorf("%d lines of a table, want %d and their heading", len(rows), n)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+@\t\r") {
				t.Errorf("a cell is a formula for a spreadsheet: %q", cell)
			}
		}
	}

	b.Click("link", fmt.Sprintf("lamp 1.0 Record %s", u.newestOf(b)))
	b.Sees("lamp", "Nobody")
	u.check(b, "log-record")
}

// newestOf is the number of the first row of the log.
func (u *ui) newestOf(b *browser.Tab) string {
	u.t.Helper()
	return browser.Eval[string](b, `document.querySelector("#log-table tbody tr").id.replace("log-", "")`)
}

// testVerifyAll has everything judged anew.
func (u *ui) testVerifyAll(t *testing.T) {
	b := u.on(t)
	b.Visit("/ui/trust")
	b.Click("button", "Verify everything now")
	b.Until("it is told", `document.querySelector(".note")`)
	says := b.Text(".note")
	if !strings.Contains(says, "2") {
		t.Errorf("the page says %q", says)
	}
	u.check(b, "verified-all")
	b.Visit("/ui/trust/images")
	b.Sees("lamp", "just now")
}

// testSupportBundle looks at what would be handed on, and takes it: it is whole, and holds no secret.
func (u *ui) testSupportBundle(t *testing.T) {
	const secret = "the-lamps-own-secret-word"
	b := u.on(t)
	u.image("lamp", "1.1")
	u.addonConfig("lamp", "1.1", "options: {colour: red}", "schema: {colour: str, word: \"password?\"}")
	u.offers()
	u.castellan("addon", "update", "local_lamp").says(t, 0)
	u.castellan("addon", "options", "local_lamp", "--set", "word="+secret).says(t, 0)

	b.Visit("/ui/settings/support")
	b.Sees("Support bundle")
	u.check(b, "support")
	b.Click("link", "Gather it")
	b.Until("the files are listed", `document.querySelectorAll("table.files tbody tr").length > 3`)
	u.check(b, "support-files")
	listed := browser.Eval[[]string](b, `Array.prototype.map.call(document.querySelectorAll("table.files tbody a"), function (e) { return e.closest("tr").querySelector("b").innerText })`)
	_, bundle := b.Download("link", "Download")
	z, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	must(t, err)
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		must(t, err)
		files[strings.TrimPrefix(f.Name, "castellan-support/")], err = io.ReadAll(r)
		must(t, err)
		_ = r.Close() // it was read
	}
	_, sums, _ := strings.Cut(string(files["MANIFEST"]), "sha256:\n")
	checked := 0
	for line := range strings.Lines(sums) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if got := fmt.Sprintf("%x", sha256.Sum256(files[name])); !ok || got != sum {
			t.Errorf("the manifest says %q, %s is %s", line, name, got)
		}
		checked++
	}
	if checked < 4 {
		t.Errorf("the manifest names %d files: %s", checked, files["MANIFEST"])
	}
	for _, name := range listed {
		if _, ok := files[name]; !ok {
			t.Errorf("%s is listed and not in the bundle", name)
		}
	}
	_, token, _ := strings.Cut(u.enter("anna", "another phrase of anna's").cookie, "=")
	for name, content := range files {
		for what, s := range map[string]string{"an option": secret, "a password": "another phrase of anna's", "a cookie": token} {
			if bytes.Contains(content, []byte(s)) {
				t.Errorf("%s holds %s", name, what)
			}
		}
	}
	b.Click("link", "Look "+listed[0])
	b.Sees(listed[0], "SHA-256")
	u.check(b, "support-file")
}
