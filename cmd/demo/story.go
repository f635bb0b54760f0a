package main

import (
	"context"
	"fmt"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// chapters is the story in order. Each leaves the house in order for the next and answers with what it measured.
var chapters = []chapter{
	{"setup", "An engine, a registry, a ledger, a publisher, a channel", setup},
	{"install", "The appliance starts: core and an add-on are verified and installed", install},
	{"update", "A release is notarized: found, verified, switched, healthy", update},
	{"rollback", "The next release is ill: its health check fails and the old one comes back", rollback},
	{"withdrawn", "A release is withdrawn before it arrives: refused", withdrawn},
	{"running-withdrawn", "What runs is withdrawn: the house goes back to what is good", runningWithdrawn},
	{"addons", "A repository of add-ons is followed: five are installed, each with its badge", addonsInstalled},
	{"addon-updates", "One waits for consent, one was altered, one breaks, one is good", addonsUpdated},
	{"addon-withdrawn", "An add-on is withdrawn: it goes back by itself; another is removed", addonWithdrawn},
	{"ledger-dead", "The ledger dies: nothing is called untrusted, what runs goes on", ledgerDead},
	{"forced", "The owner forces an image nobody vouches for: once, and logged", forced},
	{"log", "The verification log tells all of it, and its chain holds", verifyLog},
}

func setup(ctx context.Context, d *demo) (map[string]any, error) {
	if err := d.startParts(ctx); err != nil {
		return nil, err
	}
	d.say("engine    %s (%s)", d.engine.version, d.engine.started)
	d.say("registry  %s", d.images.host)
	d.say("ledger    %s, %s", ledgerOrigin, d.ledgerURL)
	if err := d.makeTrust(ctx); err != nil {
		return nil, err
	}
	d.say("publisher %s", d.publisher)
	if err := d.release(ctx, "1.0.0", false); err != nil {
		return nil, err
	}
	if err := d.pushAddon(ctx, "1.0.0"); err != nil {
		return nil, err
	}
	return map[string]any{"engine": d.engine.version}, nil
}

func install(ctx context.Context, d *demo) (map[string]any, error) {
	if err := d.startAppliance(ctx); err != nil {
		return nil, err
	}
	core, err := d.service(ctx, "core")
	if err != nil {
		return nil, err
	}
	lights, err := d.service(ctx, "lights")
	if err != nil {
		return nil, err
	}
	d.say("core   %s: %s", core.Version, core.Badge)
	d.say("lights %s: %s", lights.Version, lights.Badge)
	if core.Badge != "verified" || lights.Badge != "unsigned" {
		return nil, fmt.Errorf("badges are %q and %q, want verified and unsigned", core.Badge, lights.Badge)
	}
	return nil, d.answers(ctx, "core 1.0.0")
}

func update(ctx context.Context, d *demo) (map[string]any, error) {
	if err := d.release(ctx, "1.1.0", false); err != nil {
		return nil, err
	}
	began := time.Now()
	outage := d.watch(ctx)
	c, err := d.change(ctx, 0, "update", "core")
	gap := outage()
	if err != nil {
		return nil, err
	}
	d.say("core %s -> %s in %.1f s; it did not answer for %d ms", c.From, c.To, time.Since(began).Seconds(), gap.Milliseconds())
	return map[string]any{"seconds_to_healthy": seconds(began), "outage_ms": gap.Milliseconds()}, d.answers(ctx, "core 1.1.0")
}

func rollback(ctx context.Context, d *demo) (map[string]any, error) {
	if err := d.release(ctx, "1.2.0", true); err != nil {
		return nil, err
	}
	began := time.Now()
	c, err := d.change(ctx, 1, "update", "core")
	if err != nil {
		return nil, err
	}
	if c.State != "rolled-back" {
		return nil, fmt.Errorf("the change ended %s: %s", c.State, c.Why)
	}
	d.say("%s", c.Why)
	return map[string]any{"seconds_to_old_version": seconds(began)}, d.answers(ctx, "core 1.1.0")
}

func withdrawn(ctx context.Context, d *demo) (map[string]any, error) {
	if err := d.release(ctx, "1.3.0", false); err != nil {
		return nil, err
	}
	if err := d.cas(ctx, 0, nil, "untrust", d.coreImage("1.3.0"), "--reason", "built from the wrong branch", "--severity", "update"); err != nil {
		return nil, err
	}
	c, err := d.change(ctx, 4, "update", "core")
	if err != nil {
		return nil, err
	}
	if c.State != "refused" || c.Reason != "REVOKED" {
		return nil, fmt.Errorf("the change ended %s %s: %s", c.State, c.Reason, c.Why)
	}
	d.say("%s", c.Why)
	return map[string]any{"reason": c.Reason}, d.answers(ctx, "core 1.1.0")
}

func runningWithdrawn(ctx context.Context, d *demo) (map[string]any, error) {
	if err := d.cas(ctx, 0, nil, "untrust", d.coreImage("1.1.0"), "--reason", "leaks the guest list", "--severity", "update"); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := d.castellan(ctx, 0, nil, "check"); err != nil {
		return nil, err
	}
	if err := d.until(ctx, 90*time.Second, func() error {
		s, err := d.service(ctx, "core")
		if err != nil {
			return err
		}
		if s.Version == "1.1.0" || s.Change != "" {
			return fmt.Errorf("core %s still runs (badge %s, change %q)", s.Version, s.Badge, s.Change)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	s, err := d.service(ctx, "core")
	if err != nil {
		return nil, err
	}
	d.say("core 1.1.0 was withdrawn; core %s runs, %s", s.Version, s.Badge)
	return map[string]any{"seconds_to_good_version": seconds(began)}, d.answers(ctx, "core 1.0.0")
}

func ledgerDead(ctx context.Context, d *demo) (map[string]any, error) {
	d.ledger.kill()
	if err := d.pushCore(ctx, "1.4.0", false); err != nil {
		return nil, err
	}
	c, err := d.change(ctx, 4, "update", "core", "--to", "1.4.0")
	if err != nil {
		return nil, err
	}
	if c.State != "deferred" {
		return nil, fmt.Errorf("the change ended %s %s, want deferred: %s", c.State, c.Reason, c.Why)
	}
	d.say("%s", c.Why)
	s, err := d.service(ctx, "core")
	if err != nil {
		return nil, err
	}
	if s.Badge != "verified" {
		return nil, fmt.Errorf("the badge of what runs became %q", s.Badge)
	}
	return map[string]any{"reason": c.Reason}, d.answers(ctx, "core 1.0.0")
}

func forced(ctx context.Context, d *demo) (map[string]any, error) {
	var ov api.Override
	if err := d.castellan(ctx, 0, &ov, "trust", "force", "core", "--why", "the vendor gave me this digest by telephone", "--json"); err != nil {
		return nil, err
	}
	d.say("override for %s %s in spite of %v: log record %d", ov.Service, ov.Version, ov.Reasons, ov.Seq)
	c, err := d.change(ctx, 0, "update", "core", "--to", "1.4.0")
	if err != nil {
		return nil, err
	}
	s, err := d.service(ctx, "core")
	if err != nil {
		return nil, err
	}
	if s.Badge != "forced" {
		return nil, fmt.Errorf("the badge is %q, want forced", s.Badge)
	}
	d.say("core %s runs, badge: %s", c.To, s.Badge)
	return map[string]any{"verdict": c.Verdict}, d.answers(ctx, "core 1.4.0")
}

func verifyLog(ctx context.Context, d *demo) (map[string]any, error) {
	if err := d.startLedger(ctx); err != nil { // the house ends in order
		return nil, err
	}
	if err := d.castellan(ctx, 0, nil, "check"); err != nil {
		return nil, err
	}
	var report api.LogReport
	if err := d.castellan(ctx, 0, &report, "log", "verify", "--json"); err != nil {
		return nil, err
	}
	var list api.LogList
	if err := d.castellan(ctx, 0, &list, "log", "--last", "1000", "--json"); err != nil {
		return nil, err
	}
	kinds := map[string]int{}
	for _, r := range list.Records {
		kinds[r.Kind]++
		d.say("%4d %-9s %s", r.Seq, r.Kind, r.Summary)
	}
	if kinds["override"] == 0 || kinds["verdict"] < 6 || kinds["action"] < 6 {
		return nil, fmt.Errorf("the log lacks records: %v", kinds)
	}
	d.say("%d records, chain good", report.Records)
	return map[string]any{"records": report.Records}, nil
}

func seconds(since time.Time) float64 { return float64(time.Since(since).Milliseconds()) / 1000 }
