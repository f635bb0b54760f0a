package main

import "testing"

func TestWhatACheckOfTheConfigurationFound(t *testing.T) {
	for _, c := range []struct {
		exit         int
		output, want string
	}{
		{0, "Testing configuration at /config\n", ""},
		{1, "\x1b[1mFailed config\x1b[0m\n  light: line 3\n", "Failed config\n  light: line 3"},
		{127, "", "the check of the configuration ended with 127 and said nothing"},
	} {
		if got := checkFound(c.exit, []byte(c.output)); got != c.want {
			t.Errorf("%d %q: got %q, want %q", c.exit, c.output, got, c.want)
		}
	}
}
