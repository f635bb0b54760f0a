package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/castellan/castellan/addons"
)

// LocalRepository is the name under which an image that was built here is judged and kept. Slugs may have capitals, names
// of images not.
func LocalRepository(slug string) string { return "localhost/addon/" + strings.ToLower(slug) }

// Build makes the image of an add-on that has none, from its folder on this appliance, and installs or updates it. No one
// vouches for it: it has no badge and is never updated by itself. asks are those of [Manager.Install], for one that is not
// installed.
func (m *Manager) Build(ctx context.Context, slug string, asks []string) (change string, err error) {
	o, err := m.offer(slug)
	if err != nil {
		return "", fmt.Errorf("cannot build add-on %s: %w", slug, err)
	}
	if o.Manifest.Image != "" {
		return "", fmt.Errorf("cannot build add-on %s: it comes as an image; install it with: castellan addon install %s", slug, slug)
	}
	more, err := m.Asks(slug, o.Manifest)
	if err != nil {
		return "", err
	}
	if !m.record(slug).installed() {
		more = addons.Rights(more).Beyond(asks)
	}
	if len(more) > 0 { // a build takes minutes: asked before, not after
		return "", &ConsentError{Slug: slug, Version: o.Manifest.Version, Asks: more}
	}
	end, ok := m.beginBuild(slug)
	if !ok {
		return "", fmt.Errorf("cannot build add-on %s: it is being built already; wait for that", slug)
	}
	defer end()
	defer m.cfg.Discard(ctx, slug) // what comes of this build unless it is placed, and what a cut has left of others
	image, err := m.cfg.Build(ctx, o)
	if err != nil {
		return "", fmt.Errorf("cannot build add-on %s: %w", slug, err)
	}
	m.work.Lock()
	defer m.work.Unlock()
	if m.record(slug).installed() {
		err = m.keep(slug, o, true)
	} else {
		err = m.want(o, asks)
	}
	if err != nil {
		return "", fmt.Errorf("cannot build add-on %s: %w", slug, err)
	}
	if change, err = m.cfg.Changer.Place(ctx, Service(slug), o.Manifest.Version, image); err != nil {
		return "", errors.Join(err, m.giveUp(ctx, slug))
	}
	return change, m.begun(slug, change)
}

// beginBuild notes that an add-on is being built; ok is false when it is so already. Until end is called nobody else
// discards its images: one that is not placed yet is needed by nothing that could be seen.
func (m *Manager) beginBuild(slug string) (end func(), ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.builds[slug] {
		return nil, false
	}
	m.builds[slug] = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.builds, slug)
	}, true
}

// discard removes the images that were built of an add-on that is gone.
func (m *Manager) discard(ctx context.Context, slug string) {
	if end, ok := m.beginBuild(slug); ok { // else the build does it when it ends
		defer end()
		m.cfg.Discard(ctx, slug)
	}
}
