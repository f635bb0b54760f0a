package main

import (
	"errors"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/engine"
)

// TestTheEngineIsAskedAboutItselfOnceInAWhile: a failure is not kept, what it said is, and asked for anew in time.
func TestTheEngineIsAskedAboutItselfOnceInAWhile(t *testing.T) {
	var e engineSays
	asked, answer := 0, errors.New("away")
	at := func(after time.Duration, want string) {
		t.Helper()
		info, err := e.get(time.Unix(0, 0).Add(after), func() (engine.Info, error) {
			asked++
			return engine.Info{Version: string(rune('0' + asked))}, answer
		})
		if answer == nil && (err != nil || info.Version != want) {
			t.Errorf("after %s: %+v, %v, want version %s", after, info, err, want)
		} else if answer != nil && !errors.Is(err, answer) {
			t.Errorf("after %s: %v", after, err)
		}
	}
	at(0, "")
	answer = nil
	at(time.Second, "2")
	at(time.Minute, "2")
	at(time.Second+saidFor, "3")
}
