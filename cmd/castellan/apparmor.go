package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	loaded map[string]bool // by the kernel's name, since the start
}

// Bounds of a profile and its loading.
const (
	maxProfile    = 256 << 10
	profileWithin = 30 * time.Second
)

// profileName is the line that names the profile. Home Assistant wants exactly one, which it renames to the slug; here
// the name says the content too.
var profileName = regexp.MustCompile(`(?m)^[ \t]*profile[ \t]+("?)([^ \t"{]+)("?)`)

// profileHead is what may follow the name. A path there would confine a program of the host from its next start on.
var profileHead = regexp.MustCompile(`^\s*(?:(?:flags\s*=\s*)?\([^){}]*\)\s*)?\{`)

// kernelName is what the kernel knows a profile of an add-on by. It holds enough of a digest that nobody can make two
// contents of one name: a version that has not been judged yet, and may never be, is loaded beside the one that runs.
func kernelName(slug, profile string) string {
	sum := sha256.Sum256([]byte(profile))
	return slug + "." + hex.EncodeToString(sum[:16])
}

// renameProfile gives a profile the kernel's name for it.
func renameProfile(slug, profile string) (name, text string, err error) {
	if len(profile) > maxProfile {
		return "", "", fmt.Errorf("apparmor.txt is larger than %d bytes", maxProfile)
	}
	found := profileName.FindAllStringIndex(profile, -1)
	if len(found) != 1 {
		return "", "", fmt.Errorf("apparmor.txt must hold one profile, it holds %d", len(found))
	}
	if rest := profile[found[0][1]:]; !profileHead.MatchString(rest) {
		return "", "", fmt.Errorf("apparmor.txt must name its profile and nothing that it attaches to, as: profile name flags=(attach_disconnected) {; it goes on with %.60q", rest)
	}
	name = kernelName(slug, profile)
	return name, profileName.ReplaceAllString(profile, "profile "+name), nil
}

// load makes the kernel know an add-on's profile and returns its name there, "" where it has no AppArmor. A profile that is
// wrong is an error: an add-on that its author confined does not run unconfined.
func (p *profiles) load(ctx context.Context, slug, profile string) (name string, err error) {
	if _, err := os.Stat(p.security); err != nil {
		return "", nil
	}
	parser, err := exec.LookPath("apparmor_parser")
	if errors.Is(err, exec.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	name, text, err := renameProfile(slug, profile)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loaded[name] {
		return name, nil
	}
	if err := durable.MkdirAll(p.dir, 0o700); err != nil {
		return "", err
	}
	file := filepath.Join(p.dir, name)
	if err := durable.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, profileWithin)
	defer cancel()
	if err := putProfile(ctx, parser, name, file); err != nil {
		return "", errors.Join(err, os.Remove(file)) // nothing was loaded from it
	}
	if p.loaded == nil {
		p.loaded = map[string]bool{}
	}
	p.loaded[name] = true
	return name, nil
}

// putProfile lets the kernel know the one profile of a file.
func putProfile(ctx context.Context, parser, name, file string) error {
	names, err := runParser(ctx, parser, "--names", file)
	if err != nil {
		return err
	}
	// Only the parser knows how many profiles a text holds. One of another name would confine the host's programs, or
	// free other containers: docker-default is a profile too.
	for line := range strings.Lines(names) {
		if got := strings.TrimSpace(line); got != name && !strings.HasPrefix(got, name+"//") {
			return fmt.Errorf("apparmor.txt must hold one profile, it holds %.60q too", got)
		}
	}
	_, err = runParser(ctx, parser, "--replace", file)
	return err
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
