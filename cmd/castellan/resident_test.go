package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
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

// TestWhenMemoryIsGivenBack: after the start, and after a burst when it is over; what came to stay is not asked for again.
func TestWhenMemoryIsGivenBack(t *testing.T) {
	const mb = 1 << 20
	at, l := time.Duration(0), lean{}
	for _, step := range []struct {
		held  uint64
		spent time.Duration
		want  bool
		least uint64 // 0 = nothing was given back
	}{
		{60 * mb, 3 * time.Second, true, 30 * mb}, // the start
		{31 * mb, leanQuiet / 2, false, 0},
		{45 * mb, leanQuiet, false, 0}, // a burst
		{45 * mb, leanQuiet / 2, true, 40 * mb},
		{42 * mb, leanQuiet / 2, false, 0}, // most of it came to stay
		{43 * mb, leanQuiet * 3, false, 0},
		{44 * mb, 0, true, 28 * mb},
		{20 * mb, 0, false, 0}, // the kernel took some
		{24 * mb, 0, true, 20 * mb},
	} {
		at += step.spent
		if got := l.worth(step.held, at); got != step.want {
			t.Errorf("with %d MB after %v more of processor time: %v", step.held/mb, step.spent, got)
		}
		if step.least != 0 {
			l.least = step.least
		}
	}
	if held, spent := ownUse(); held < 1*mb || spent <= 0 {
		t.Errorf("this test holds %d bytes and has had %v", held, spent)
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
