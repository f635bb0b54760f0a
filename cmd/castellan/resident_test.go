package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestDropProgramPages: what it unmaps is not resident afterwards, and the program goes on.
func TestDropProgramPages(t *testing.T) {
	before := residentOf(t, "RssFile")
	if err := dropProgramPages(); err != nil {
		t.Fatal(err)
	}
	after := residentOf(t, "RssFile")
	if after >= before {
		t.Errorf("%d kB of files are resident, %d kB before", after, before)
	}
	var help strings.Builder
	root := newRoot()
	root.SetOut(&help)
	root.SetArgs([]string{"--help"})
	if err := root.Execute(); err != nil || help.Len() == 0 {
		t.Errorf("the program does not go on: %v", err)
	}
}

func residentOf(t *testing.T, name string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if field, value, _ := strings.Cut(line, ":"); field == name {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("the kernel tells no %s", name)
	return 0
}
