package house

import "testing"

// TestCasReadsTheEngine authenticates an image by what the Docker engine holds, as an owner would who wonders what runs.
func TestCasReadsTheEngine(t *testing.T) {
	w := newWorld(t)
	i := w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	ref := "docker://" + i.Reference()
	ask := func() answer { return run(t, w.env(), bin(t, "cas"), "authenticate", ref) }
	ask().says(t, 0, "TRUSTED")
	w.untrust(i)
	ask().says(t, 3, "UNTRUSTED")
}
