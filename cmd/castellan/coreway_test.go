package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheTokenOfCoreIsReadEachTime(t *testing.T) {
	h, dir := hostOf(t, "  - {name: core, target: core, home_assistant: {config: DIR/own, token_file: DIR/token}}\n")
	way, file := coreWay(h), filepath.Join(dir, "token")
	for _, c := range []struct{ content, want, says string }{
		{"", "", "holds no access token"},
		{"abc.def\n", "abc.def", ""},
		{"abc def", "", "holds no access token"},
		{"next", "next", ""},
		{strings.Repeat("x", maxCoreToken+1) + " y", strings.Repeat("x", maxCoreToken), ""},
	} {
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := way.Token()
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.20q: got %.20q %v", c.content, got, err)
		}
	}
	none, _ := hostOf(t, "  - {name: core, target: core, home_assistant: {config: DIR/own}}\n")
	if got, err := coreWay(none).Token(); got != "" || err == nil {
		t.Errorf("without a file: %q %v", got, err)
	}
}
