package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// TestAxeIsThePublishedOne compares the file with its sum and its version with what is told of it.
func TestAxeIsThePublishedOne(t *testing.T) {
	sums, err := os.ReadFile("axe/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("axe/README.md")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(axe))
	if got := hex.EncodeToString(sum[:]) + "  axe.min.js\n"; got != string(sums) {
		t.Errorf("axe.min.js has %q, SHA256SUMS says %q", got, sums)
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(axe, "/*! axe v"), "\n")
	if !strings.Contains(string(readme), "| axe-core | "+version+" |") {
		t.Errorf("the file is of axe %q, the README tells of another", version)
	}
}
