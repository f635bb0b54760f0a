package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestTemperature: the warmest zone that can be believed counts, and a machine without one says nothing.
func TestTemperature(t *testing.T) {
	sys := t.TempDir()
	if got := temperature(sys); got != nil {
		t.Errorf("a machine without sensors says %v", *got)
	}
	for zone, says := range map[string]string{"thermal_zone0": "48312\n", "thermal_zone1": "41000\n", "thermal_zone2": "-274000\n", "thermal_zone3": "hot\n", "thermal_zone4": "999000\n"} {
		dir := filepath.Join(sys, "class/thermal", zone)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "temp"), []byte(says), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := temperature(sys); got == nil || *got != 48.312 {
		t.Errorf("got %v, want 48.312", got)
	}
	d := device(t.TempDir(), sys)
	if d.DiskTotal <= 0 || d.DiskFree <= 0 || d.DiskFree > d.DiskTotal || d.MemoryTotal <= 0 || d.MemoryFree > d.MemoryTotal {
		t.Errorf("the machine says %+v", d)
	}
}
