package web

import (
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

func TestTheMarkOfTheDiskIsWhereLittleIsLeft(t *testing.T) {
	for free, tight := range map[int64]bool{100: false, 11: false, 10: false, 9: true, 0: true} {
		d := device{Device: api.Device{DiskTotal: 100, DiskFree: free}}
		if d.DiskTight() != tight || (d.DiskUsed() > d.DiskMark()) != tight {
			t.Errorf("%d of 100 free is tight: %v", free, d.DiskTight())
		}
	}
	if (device{}).DiskTight() {
		t.Error("a disk that nothing is known of is tight")
	}
}
