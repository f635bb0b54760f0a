package main

import (
	"strconv"
	"testing"
	"time"
)

func TestTheEngineIsAskedForItsVersionNowAndThen(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var m engineMark
	asked := 0
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{0, "1"}, {time.Second, "1"}, {engineFresh - 1, "1"}, {engineFresh, "2"}, {engineFresh + time.Second, "2"},
		{-time.Hour, "3"}, // the clock was set back
	} {
		got := m.get(began.Add(c.after), func() string { asked++; return strconv.Itoa(asked) })
		if got != c.want {
			t.Errorf("after %s: version %s, want %s", c.after, got, c.want)
		}
	}
}
