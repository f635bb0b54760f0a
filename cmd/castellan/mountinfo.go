package main

import (
	"bufio"
	"io"
	"os"
	"strings"

	"github.com/castellan/castellan/supervisor/spec"
)

// hostMounts is the mount table of the host, as its first process sees it: the daemon's own may be another.
const hostMounts = "/proc/1/mountinfo"

// propagate takes out of a container what its host cannot do: mounts that come later are passed on only where the host's
// mounts are shared, as systemd makes them. Elsewhere such a container would not start at all.
func propagate(c spec.Container) spec.Container {
	f, err := os.Open(hostMounts)
	if err != nil {
		return c // the engine says what is wrong
	}
	defer f.Close()
	points := mountPoints(f)
	mounts := make([]spec.Mount, len(c.Mounts))
	for i, m := range c.Mounts {
		if m.Propagation != "" && !passesOn(points, m.Source) {
			m.Propagation = ""
		}
		mounts[i] = m
	}
	c.Mounts = mounts
	return c
}

// mountPoints reads which mount points pass mounts on: those that are shared, or follow one that is (proc(5)).
func mountPoints(r io.Reader) map[string]bool {
	out := map[string]bool{}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 7 {
			continue
		}
		passes := false
		for _, f := range fields[6:] {
			if f == "-" {
				break
			}
			passes = passes || strings.HasPrefix(f, "shared:") || strings.HasPrefix(f, "master:")
		}
		out[fields[4]] = passes // the last one on a point is what is seen
	}
	return out
}

// passesOn looks the mount of a path up.
func passesOn(points map[string]bool, path string) bool {
	for {
		if passes, ok := points[path]; ok {
			return passes
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 || path == "/" {
			return false
		}
		path = path[:max(i, 1)]
	}
}
