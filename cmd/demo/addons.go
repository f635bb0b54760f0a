package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// The five add-ons of the repository, by what becomes of them.
const signed, unsigned, withdrawnLater, alteredLater, breaks = "melody", "notepad", "beacon", "mirror", "glasswork"

func addonsInstalled(ctx context.Context, d *demo) (map[string]any, error) {
	claim := "castellan: {publisher: " + d.publisher + "}"
	if err := d.repo.write("repository.yaml", "name: Add-ons of the demo\nurl: https://castellan.example\nmaintainer: The demo\n"); err != nil {
		return nil, err
	}
	for _, a := range []addon{
		{slug: signed, version: "1.0", notarize: true, more: claim},
		{slug: unsigned, version: "1.0"},
		{slug: withdrawnLater, version: "1.0", notarize: true, more: claim},
		{slug: alteredLater, version: "1.0", notarize: true, more: claim},
		{slug: breaks, version: "1.0", notarize: true, more: claim},
	} {
		if err := d.addon(ctx, a); err != nil {
			return nil, err
		}
	}
	if err := d.repo.publish(ctx, "five add-ons"); err != nil {
		return nil, err
	}
	if err := d.castellan(ctx, 0, nil, "check"); err != nil { // the ledger's newest records
		return nil, err
	}
	var added api.Repository
	if err := d.castellan(ctx, 0, &added, "repo", "add", d.repo.url, "--json"); err != nil {
		return nil, err
	}
	d.slug = added.Slug
	d.say("castellan repo add %s", d.repo.url)
	d.say("%s: %d add-ons", added.Name, added.Addons)
	for _, name := range []string{signed, unsigned, withdrawnLater, alteredLater, breaks} {
		if err := d.castellan(ctx, 0, nil, "addon", "install", d.full(name), "--start", "--yes"); err != nil {
			return nil, err
		}
		want := "verified"
		if name == unsigned {
			want = "unsigned"
		}
		if err := d.addonIs(ctx, name, "1.0", "running", want); err != nil {
			return nil, err
		}
	}
	return map[string]any{"addons": added.Addons}, nil
}

func addonsUpdated(ctx context.Context, d *demo) (map[string]any, error) {
	claim := "castellan: {publisher: " + d.publisher + "}"
	for _, a := range []addon{
		{slug: signed, version: "1.1", notarize: true, more: claim + "\nprivileged: [NET_ADMIN]"},
		{slug: withdrawnLater, version: "1.1", notarize: true, more: claim},
		{slug: alteredLater, version: "1.1", notarize: true, more: claim},
		{slug: breaks, version: "1.1", notarize: true, ill: true, more: claim},
	} {
		if err := d.addon(ctx, a); err != nil {
			return nil, err
		}
	}
	// Somebody puts another image in the place of the notarized one.
	if _, err := d.images.push(ctx, release{repo: "demo/" + alteredLater, version: "1.1", ill: true}); err != nil {
		return nil, err
	}
	if err := d.repo.publish(ctx, "next versions"); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"check"}, {"repo", "refresh"}} {
		if err := d.castellan(ctx, 0, nil, args...); err != nil {
			return nil, err
		}
	}

	// One asks for more than its owner granted, and waits.
	if err := d.castellan(ctx, 3, nil, "addon", "update", d.full(signed)); err != nil {
		return nil, err
	}
	info, err := d.addonInfo(ctx, signed)
	if err != nil {
		return nil, err
	}
	if len(info.Asks) != 1 || info.Waiting == nil {
		return nil, fmt.Errorf("%s asks for %v and waits for %v", signed, info.Asks, info.Waiting)
	}
	d.say("%s 1.1 waits: it wants to %s", signed, info.Asks[0].Words)
	if err := d.castellan(ctx, 0, nil, "addon", "consent", d.full(signed), "--yes"); err != nil {
		return nil, err
	}
	if _, err := d.change(ctx, 0, "addon", "update", d.full(signed)); err != nil {
		return nil, err
	}
	if err := d.addonIs(ctx, signed, "1.1", "running", "verified"); err != nil {
		return nil, err
	}

	// One was altered: nobody vouches for what the registry gives now.
	altered, err := d.change(ctx, 4, "addon", "update", d.full(alteredLater))
	if err != nil {
		return nil, err
	}
	// Within the hour it may be the ledger that lags; then it would be refused.
	if altered.State != "deferred" || altered.Reason != "EVIDENCE_UNAVAILABLE" {
		return nil, fmt.Errorf("%s ended %s %s: %s", alteredLater, altered.State, altered.Reason, altered.Why)
	}
	d.say("%s: %s", alteredLater, altered.Why)
	if err := d.addonIs(ctx, alteredLater, "1.0", "running", "verified"); err != nil {
		return nil, err
	}

	// One breaks, and goes back.
	broken, err := d.change(ctx, 1, "addon", "update", d.full(breaks))
	if err != nil {
		return nil, err
	}
	if broken.State != "rolled-back" {
		return nil, fmt.Errorf("%s ended %s: %s", breaks, broken.State, broken.Why)
	}
	d.say("%s: %s", breaks, broken.Why)
	if err := d.addonIs(ctx, breaks, "1.0", "running", "verified"); err != nil {
		return nil, err
	}

	// One is good, and will be withdrawn.
	if _, err := d.change(ctx, 0, "addon", "update", d.full(withdrawnLater)); err != nil {
		return nil, err
	}
	return map[string]any{"altered": altered.Reason}, d.addonIs(ctx, withdrawnLater, "1.1", "running", "verified")
}

func addonWithdrawn(ctx context.Context, d *demo) (map[string]any, error) {
	ref := d.images.host + "/demo/" + withdrawnLater + ":1.1"
	if err := d.cas(ctx, 0, nil, "untrust", ref, "--reason", "calls home", "--severity", "update"); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := d.castellan(ctx, 0, nil, "check"); err != nil {
		return nil, err
	}
	if err := d.addonIs(ctx, withdrawnLater, "1.0", "running", "verified"); err != nil {
		return nil, err
	}
	took := seconds(began)
	if err := d.castellan(ctx, 0, nil, "addon", "uninstall", d.full(unsigned)); err != nil {
		return nil, err
	}
	kept := d.path("state", "addons", "data", d.full(unsigned), "options.json")
	if _, err := os.Stat(kept); err != nil {
		return nil, fmt.Errorf("the data of %s is gone: %w", unsigned, err)
	}
	if info, err := d.addonInfo(ctx, unsigned); err != nil || info.Kept == nil {
		return nil, fmt.Errorf("nothing says that the data of %s is kept: %+v, %v", unsigned, info.Kept, err)
	}
	d.say("%s is removed; its data stays in %s", unsigned, filepath.Dir(kept))
	return map[string]any{"seconds_to_good_version": took}, nil
}

// full is an add-on's slug with its repository's.
func (d *demo) full(name string) string { return d.slug + "_" + name }

func (d *demo) addonInfo(ctx context.Context, name string) (info api.AddonInfo, err error) {
	err = d.castellan(ctx, 0, &info, "addon", "info", d.full(name), "--json")
	return info, err
}

// addonIs waits until an add-on stands as told, and says so.
func (d *demo) addonIs(ctx context.Context, name, version, state, badge string) error {
	err := d.until(ctx, time.Minute, func() error {
		info, err := d.addonInfo(ctx, name)
		if err != nil {
			return err
		}
		if info.Version != version || info.State != state || info.Badge != badge {
			return fmt.Errorf("%s %s is %s, %s; want %s %s, %s", name, info.Version, info.State, info.Badge, version, state, badge)
		}
		return nil
	})
	if err == nil {
		d.say("%-9s %s  %s, %s", name, version, state, badge)
	}
	return err
}
