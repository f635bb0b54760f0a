package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// restore loads what lies in the folder and the kernel does not know, as after a boot: a container may be started that was
// made before. One that cannot be loaded is found out by the container.
func (p *profiles) restore(ctx context.Context, log *slog.Logger) {
	parser, err := exec.LookPath("apparmor_parser")
	files, _ := os.ReadDir(p.dir) // none before the first profile
	if err != nil || !p.kernel() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range files {
		if known, err := p.known(f.Name()); known && err == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, profileWithin)
		if err := putProfile(ctx, parser, f.Name(), filepath.Join(p.dir, f.Name())); err != nil {
			log.Warn("cannot load the AppArmor profile of an add-on again", "profile", f.Name(), "error", err)
		}
		cancel()
	}
}

// drop unloads and deletes the profiles of an add-on, but not those of these contents nor the one in use: who is confined
// by a profile that is unloaded is free.
func (p *profiles) drop(ctx context.Context, slug, inUse string, contents []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	files, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	keep := map[string]bool{inUse: true}
	for _, c := range contents {
		keep[kernelName(slug, c)] = true
	}
	errs := []error{err}
	for _, f := range files {
		rest, ours := strings.CutPrefix(f.Name(), slug+".")
		if ours && profileDigest.MatchString(rest) && !keep[f.Name()] {
			errs = append(errs, p.unload(ctx, f.Name()))
		}
	}
	return errors.Join(errs...)
}

// profileDigest is the end of a kernelName.
var profileDigest = regexp.MustCompile(`^[0-9a-f]{32}$`)

// unload makes the kernel forget a profile and deletes its file. Where nothing can unload it, the next boot does.
func (p *profiles) unload(ctx context.Context, name string) error {
	known, err := p.known(name)
	if err != nil {
		return err
	}
	file := filepath.Join(p.dir, name)
	if parser, err := exec.LookPath("apparmor_parser"); err == nil && known {
		ctx, cancel := context.WithTimeout(ctx, profileWithin)
		defer cancel()
		if _, err := runParser(ctx, parser, "--remove", file); err != nil {
			return err
		}
	}
	delete(p.loaded, name)
	return os.Remove(file)
}

// known tells whether the kernel has a profile of that name.
func (p *profiles) known(name string) (bool, error) {
	b, err := os.ReadFile(filepath.Join(p.security, "profiles"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without AppArmor has none
		return false, err
	}
	for line := range strings.Lines(string(b)) { // "name (enforce)"
		if got, _, _ := strings.Cut(line, " ("); got == name {
			return true, nil
		}
	}
	return false, nil
}
