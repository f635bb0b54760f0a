package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/supervisor/api"
)

// device is what the machine says of itself; the paths are Linux's.
func device(dataDir, sys string) api.Device {
	out := api.Device{MemoryTotal: kilobytes("/proc/meminfo", "MemTotal:"), MemoryFree: kilobytes("/proc/meminfo", "MemAvailable:")}
	room := storage(dataDir)
	out.DiskTotal, out.DiskFree = room.Total, room.Free
	out.Temperature = temperature(sys)
	return out
}

// storage is how much room there is on the disk of a folder.
func storage(dir string) (out api.StorageStatus) {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil { // a folder we live in can be asked
		out.Total, out.Free = int64(fs.Blocks)*fs.Bsize, int64(fs.Bavail)*fs.Bsize
	}
	return out
}

// temperature is the warmest the kernel's thermal zones tell, in °C; nil where there is none. Zones that say what no
// processor survives, or the absolute zero, are broken.
func temperature(sys string) *float64 {
	zones, err := filepath.Glob(filepath.Join(sys, "class/thermal/thermal_zone*/temp"))
	if err != nil {
		return nil
	}
	var warmest *float64
	for _, z := range zones {
		b, err := os.ReadFile(z)
		if err != nil {
			continue // a sensor that is switched off
		}
		milli, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
		if c := milli / 1000; err == nil && c > -40 && c < 150 && (warmest == nil || c > *warmest) {
			warmest = &c
		}
	}
	return warmest
}
