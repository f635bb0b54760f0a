package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	execRoot = "/run/castellan-demo-docker" // sockets of an own engine; their names are limited to 108 bytes
	bridge   = "docker0"
	keyFile  = "/etc/docker/key.json" // an engine makes it and cannot be told to leave it
)

// traces is what a demo has put outside its folder. It is written down before it happens, so that a demo that was
// killed can be cleaned up after.
type traces struct {
	Host      string `json:"host"`                // engine in use
	Own       bool   `json:"own,omitempty"`       // it is the demo's
	Bridge    bool   `json:"bridge,omitempty"`    // and made the bridge
	Key       bool   `json:"key,omitempty"`       // and the key file
	Installed bool   `json:"installed,omitempty"` // docker.io was not there before
}

func tracesFile(dir string) string { return filepath.Join(dir, "engine.json") }

// readTraces is nil without an error when no demo came as far as an engine.
func readTraces(dir string) (*traces, error) {
	b, err := os.ReadFile(tracesFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t := new(traces)
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", tracesFile(dir), err)
	}
	return t, nil
}

// begin notes what is about to be made. What an earlier demo left is this one's to clean up.
func (t *traces) begin(dir string) error {
	if t.Own {
		_, err := net.InterfaceByName(bridge)
		t.Bridge = err != nil
		_, err = os.Stat(keyFile)
		t.Key = errors.Is(err, fs.ErrNotExist)
	}
	old, err := readTraces(dir)
	if err != nil {
		return err
	}
	if old != nil {
		t.Bridge, t.Key, t.Installed = t.Bridge || old.Bridge, t.Key || old.Key, t.Installed || old.Installed
	}
	return t.write(dir)
}

func (t *traces) write(dir string) error {
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return os.WriteFile(tracesFile(dir), b, 0o644)
}

// remove takes away what t names; the engine of our own has ended.
func (t *traces) remove(ctx context.Context, dir string) error {
	if !t.Own {
		if _, err := engineVersion(ctx, t.Host); err != nil {
			return fmt.Errorf("cannot remove the demo's containers and images: %w; start the engine and run make clean-run again", err)
		}
		return removeTraces(ctx, t.Host)
	}
	errs := []error{unmountBelow(execRoot), unmountBelow(filepath.Join(dir, "docker")), os.RemoveAll(execRoot)}
	made := []string{addonNetwork} // the engine is gone: nobody else can remove what a killed demo left
	if t.Bridge {
		made = append(made, bridge)
	}
	for _, name := range made {
		if link, err := netlink.LinkByName(name); err == nil {
			errs = append(errs, netlink.LinkDel(link))
		}
	}
	if t.Key {
		_ = os.Remove(keyFile) // not every engine makes one
		_ = os.Remove(filepath.Dir(keyFile))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	t.Bridge, t.Key = false, false
	return t.write(dir)
}

// unmountBelow lets go of what an engine that was killed left mounted, the innermost first.
func unmountBelow(dir string) error {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return err
	}
	defer f.Close()
	var found []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			found = append(found, fields[1])
		}
	}
	errs := []error{lines.Err()}
	for _, path := range slices.Backward(found) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("cannot unmount %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}
