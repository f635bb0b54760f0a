package main

import (
	"context"
	"encoding/json"
	"os"
)

// release makes an image of core, notarizes it, and makes it the channel's.
func (d *demo) release(ctx context.Context, version string, ill bool) error {
	if err := d.pushCore(ctx, version, ill); err != nil {
		return err
	}
	if err := d.cas(ctx, 0, nil, "notarize", d.coreImage(version)); err != nil {
		return err
	}
	file, err := json.MarshalIndent(channelFile(d.images.host, version), "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.path("channel", "stable.json"), file, 0o644); err != nil {
		return err
	}
	return d.cas(ctx, 0, nil, "channel", "stable", d.path("channel", "stable.json"))
}

// channelFile is a channel in Home Assistant's format.
func channelFile(registry, core string) map[string]any {
	parts := map[string]string{"core": registry + "/demo/core"}
	out := map[string]any{
		"channel":       "stable",
		"supervisor":    "2026.11.0",
		"homeassistant": map[string]string{"default": core, "generic-x86-64": core, "generic-aarch64": core},
		"hassos":        map[string]string{"ova": "18.2"},
		"ota":           "https://os.example/{version}/{os_name}_{board}-{version}.raucb",
	}
	for _, p := range []string{"supervisor", "cli", "dns", "audio", "multicast", "observer"} {
		parts[p] = registry + "/demo/{arch}-" + p
		if p != "supervisor" {
			out[p] = "2026.11.0"
		}
	}
	out["images"] = parts
	return out
}

func (d *demo) pushCore(ctx context.Context, version string, ill bool) error {
	_, err := d.images.push(ctx, release{repo: "demo/core", version: version, ill: ill})
	return err
}

func (d *demo) pushAddon(ctx context.Context, version string) error {
	_, err := d.images.push(ctx, release{repo: "demo/lights", version: version})
	return err
}

func (d *demo) coreImage(version string) string { return d.images.host + "/demo/core:" + version }
