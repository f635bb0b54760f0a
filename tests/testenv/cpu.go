package testenv

import (
	"syscall"
	"testing"
	"time"
)

// ProcessorTime is what the program has taken of the processors so far. A shared machine changes how long something takes
// by the clock, and hardly this.
func ProcessorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
