package supervisor

import (
	"testing"
	"time"
)

func TestChangesOfOneSecondKeepTheirOrder(t *testing.T) {
	now, last := time.Date(2026, 11, 20, 20, 0, 0, 999_999_000, time.UTC), ""
	for range 2000 {
		id := newID(now)
		if id <= last {
			t.Fatalf("%s comes after %s", id, last)
		}
		now, last = now.Add(time.Nanosecond), id
	}
}
