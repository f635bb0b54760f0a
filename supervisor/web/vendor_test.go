package web

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

// TestVendored: the scripts of others are the ones that were taken, and none is there whose sum is not written down.
func TestVendored(t *testing.T) {
	sums, err := staticFiles.ReadFile("static/vendor/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		want[name] = sum
	}
	list, err := staticFiles.ReadDir("static/vendor")
	if err != nil {
		t.Fatal(err)
	}
	scripts := 0
	for _, f := range list {
		if !strings.HasSuffix(f.Name(), ".js") {
			continue
		}
		scripts++
		b, err := staticFiles.ReadFile("static/vendor/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want[f.Name()] {
			t.Errorf("%s is not the file whose sum is in SHA256SUMS", f.Name())
		}
	}
	if scripts != len(want) {
		t.Errorf("%d scripts, %d sums", scripts, len(want))
	}
}
