package main

import (
	"strings"
	"testing"
)

func TestMountsArePassedOnWhereTheHostDoes(t *testing.T) {
	points := mountPoints(strings.NewReader(`21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 8:2 / /var/lib/castellan rw - ext4 /dev/sda2 rw
31 30 8:3 / /var/lib/castellan/addons/media rw master:4 - nfs nas:/media rw
broken
`))
	for path, want := range map[string]bool{
		"/":                                  true,
		"/srv/share":                         true,
		"/var/lib/castellan":                 false,
		"/var/lib/castellan/addons/share":    false,
		"/var/lib/castellan/addons/media/tv": true,
		"/var/lib/castellan2":                true,
		"relative":                           false,
	} {
		if got := passesOn(points, path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if passesOn(map[string]bool{}, "/a/b") {
		t.Error("an unknown host passes nothing on")
	}
}
