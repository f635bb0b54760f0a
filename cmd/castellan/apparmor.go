package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/config/durable"
)

// profiles loads the AppArmor profiles of add-ons into the kernel, where it has AppArmor and apparmor_parser is installed.
type profiles struct {
	dir      string // where the profiles lie that are loaded
	security string // AppArmor's folder in securityfs

	mu     sync.Mutex
	loaded map[string]string // slug -> profile as it was loaded since the start
}

// Bounds of a profile and its loading.
const (
	maxProfile    = 256 << 10
	profileWithin = 30 * time.Second
)

// profileName is the line that names the profile. Home Assistant wants exactly one, which it renames to the slug.
var profileName = regexp.MustCompile(`(?m)^[ \t]*profile[ \t]+("?)([^ \t"{]+)("?)`)

// rename makes a profile the slug's own.
func renameProfile(slug, profile string) (string, error) {
	if len(profile) > maxProfile {
		return "", fmt.Errorf("apparmor.txt is larger than %d bytes", maxProfile)
	}
	found := profileName.FindAllStringIndex(profile, -1)
	if len(found) != 1 {
		return "", fmt.Errorf("apparmor.txt must hold one profile, it holds %d", len(found))
	}
	return profileName.ReplaceAllString(profile, "profile "+slug), nil
}

// load makes the kernel know an add-on's profile; ok is false where it has no AppArmor. A profile that is wrong is an
// error: an add-on that its author confined does not run unconfined.
func (p *profiles) load(ctx context.Context, slug, profile string) (ok bool, err error) {
	if _, err := os.Stat(p.security); err != nil {
		return false, nil
	}
	parser, err := exec.LookPath("apparmor_parser")
	if errors.Is(err, exec.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if profile, err = renameProfile(slug, profile); err != nil {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loaded == nil {
		p.loaded = map[string]string{}
	}
	if p.loaded[slug] == profile {
		return true, nil
	}
	if err := durable.MkdirAll(p.dir, 0o700); err != nil {
		return false, err
	}
	name := filepath.Join(p.dir, slug)
	if err := durable.WriteFile(name, []byte(profile), 0o600); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, profileWithin)
	defer cancel()
	names, err := runParser(ctx, parser, "--names", name)
	if err != nil {
		return false, err
	}
	// Only the parser knows how many profiles a text holds. One of another name would confine the host's programs, or
	// free other containers: docker-default is a profile too.
	for line := range strings.Lines(names) {
		if got := strings.TrimSpace(line); got != slug && !strings.HasPrefix(got, slug+"//") {
			return false, fmt.Errorf("apparmor.txt must hold one profile, it holds %.60q too", got)
		}
	}
	if _, err := runParser(ctx, parser, "--replace", name); err != nil {
		return false, err
	}
	p.loaded[slug] = profile
	return true, nil
}

// runParser lets apparmor_parser do something with a file.
func runParser(ctx context.Context, parser, do, name string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, parser, do, "--skip-cache", name)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("apparmor_parser does not take apparmor.txt: %w: %.300q", err, errs.String())
	}
	return out.String(), nil
}

// kernel tells whether the kernel has AppArmor.
func (p *profiles) kernel() bool { return onHost(p.security) }

// here tells whether profiles take effect on this appliance.
func (p *profiles) here() bool {
	_, err := exec.LookPath("apparmor_parser")
	return err == nil && onHost(p.security)
}
