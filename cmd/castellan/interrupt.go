package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// endWithin is how long a command that was interrupted may take to tidy up.
const endWithin = time.Second

// errInterrupted says that a person had enough before an answer was typed.
var errInterrupted = errors.New("interrupted")

// leaves ends the program when it was interrupted and goes on: what waits for a file or a pipe hears of no context. The daemon
// takes the time it needs.
func leaves(args []string) {
	if cmd, _, err := newRoot().Find(args); err == nil && cmd.Name() == "run" {
		return
	}
	time.Sleep(endWithin)
	fmt.Fprintln(os.Stderr, "castellan: interrupted\nNext: castellan status")
	os.Exit(exitFailed)
}

// orInterrupted is what read gives, unless ctx ends before: what waits for a key can't be ended, and is left.
func orInterrupted[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	c := make(chan answer, 1)
	go func() {
		v, err := read()
		c <- answer{v, err}
	}()
	select {
	case a := <-c:
		return a.v, a.err
	case <-ctx.Done():
		var none T
		return none, errInterrupted
	}
}
