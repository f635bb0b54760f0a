package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The start touches nearly all of the program: it opens the ledger's replica, reads the journal, sets up libraries. A page that is
// drawn, or a turn of the update loop, leaves about as much garbage as all that is in use. What runs on needs a small part of that,
// and when nothing goes on no collector comes. On an appliance with little memory the rest should not look like something in use.
const (
	leanAfter = 10 * time.Second // after the start
	leanPages = time.Hour        // until pages of the program are given back again: they are clean, and soon wanted again
	leanEvery = 5 * time.Second  // a look at how much the program has for itself
	leanQuiet = leanEvery / 20   // of processor time between two looks: nothing much goes on
	leanWorth = 4 << 20          // bytes over the least; less is not worth a collection
	leanHeap  = 50               // percent of garbage, beside what is in use, before it is collected
)

// lean knows when memory is needed no more. It is for one goroutine.
type lean struct {
	least uint64        // what was held when something was given back last, in bytes, or less
	spent time.Duration // processor time at the last look
}

// stayLean gives back what only the start needed, and later what a burst of work left when it is over, until ctx ends.
func stayLean(ctx context.Context, log *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(leanHeap)
	}
	var l lean
	var pages time.Time // when they are given back again
	for wait := leanAfter; ; wait = leanEvery {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if l.worth(ownUse()) {
			debug.FreeOSMemory()
			l.least, l.spent = ownUse()
		}
		if now := time.Now(); now.After(pages) {
			pages = now.Add(leanPages)
			if err := dropProgramPages(); err != nil {
				log.Debug("pages of the program stay resident", "error", err) // they are clean: the kernel takes them when it must
			}
		}
	}
}

// worth tells whether it is time to give something back: there is more than there was, and nothing goes on.
func (l *lean) worth(held uint64, spent time.Duration) bool {
	first, quiet := l.spent == 0, spent-l.spent < leanQuiet
	l.spent, l.least = spent, min(l.least, held)
	return first || quiet && held >= l.least+leanWorth
}

// ownUse is the memory that the process has for itself, in bytes (proc_pid_statm(5): resident, less what is of files), and the
// processor time it has had (getrusage(2)).
func ownUse() (held uint64, spent time.Duration) {
	text, _ := os.ReadFile("/proc/self/statm") // 0 where the kernel does not tell: then nothing is ever worth it
	var size, resident, files uint64
	_, _ = fmt.Sscan(string(text), &size, &resident, &files) // likewise
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // it can't fail
	return (resident - files) * uint64(os.Getpagesize()), time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// atFixedAddress tells of an ELF file whether it is always loaded at the address it was linked for, so that no address in it was
// fixed up (e_type ET_EXEC, in the byte order of its machine, which is ours).
func atFixedAddress(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [18]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return false, err
	}
	return binary.NativeEndian.Uint16(head[16:]) == 2, nil
}

// dropProgramPages unmaps the pages of the program's own file that are never written: code, and constants where no address in
// them was fixed up when it was loaded. The kernel keeps them in its cache as long as it likes and maps them again, at the
// price of a minor fault, when they are needed (madvise(2), MADV_DONTNEED on a private mapping of a file).
func dropProgramPages() error {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	fixed, err := atFixedAddress("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var start, end uintptr
		var rights string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &start, &end, &rights); err != nil || !strings.HasSuffix(lines.Text(), " "+self) {
			continue
		}
		if rights != "r-xp" && !(rights == "r--p" && fixed) {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, start, end-start, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("cannot give back the pages at %x: %w", start, errno)
		}
	}
	return lines.Err()
}
