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

// The start touches nearly all of the program: it opens the ledger's replica, reads the journal, sets up libraries. What runs
// on needs a small part of that. On an appliance with little memory the rest should not look like something in use.
const (
	leanAfter = 10 * time.Second // after the start
	leanEvery = time.Hour
)

// stayLean gives back what only the start, or the last busy hour, needed, until ctx ends.
func stayLean(ctx context.Context, log *slog.Logger) {
	for wait := leanAfter; ; wait = leanEvery {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		debug.FreeOSMemory()
		if err := dropProgramPages(); err != nil {
			log.Debug("pages of the program stay resident", "error", err) // they are clean: the kernel takes them when it must
		}
	}
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
