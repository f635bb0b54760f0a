package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/addons/store"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/engine"
)

// addonPower runs add-ons for the API.
type addonPower struct{ addonView }

var _ api.AddonPower = addonPower{}

// Start implements api.AddonPower.
func (h addonPower) Start(ctx context.Context, slug string) (api.Accepted, error) {
	change, err := h.addons.installs.Start(context.WithoutCancel(ctx), slug)
	if err != nil {
		return api.Accepted{}, h.addonError(slug, err)
	}
	return oneChange(change), nil
}

// Stop implements api.AddonPower.
func (h addonPower) Stop(ctx context.Context, slug string) (api.Accepted, error) {
	if err := h.addons.installs.Stop(context.WithoutCancel(ctx), slug); err != nil {
		return api.Accepted{}, h.addonError(slug, err)
	}
	return oneChange(""), nil
}

// Restart implements api.AddonPower.
func (h addonPower) Restart(ctx context.Context, slug string) (api.Accepted, error) {
	change, err := h.addons.installs.Restart(context.WithoutCancel(ctx), slug)
	if err != nil {
		return api.Accepted{}, h.addonError(slug, err)
	}
	return oneChange(change), nil
}

// Stdin implements api.AddonPower.
func (h addonPower) Stdin(ctx context.Context, slug string, data []byte) error {
	m, err := h.addons.installs.Manifest(slug)
	if err != nil {
		return h.addonError(slug, err)
	}
	if !m.Stdin {
		return &api.Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("%s does not read its standard input", m.Name)}
	}
	return h.engine.WriteStdin(ctx, lifecycle.Service(slug), data)
}

// addonSettings keeps what the owner decides.
type addonSettings struct{ addonView }

var _ api.AddonSettings = addonSettings{}

// SetOptions implements api.AddonSettings.
func (h addonSettings) SetOptions(ctx context.Context, slug string, options json.RawMessage) (api.Kept, error) {
	parsed, err := optionsOf(options)
	if err != nil {
		return api.Kept{}, err
	}
	return h.configure(ctx, slug, lifecycle.Patch{Options: &parsed})
}

// optionsOf reads a JSON object, or null for none.
func optionsOf(raw json.RawMessage) (map[string]any, error) {
	if len(bytes.TrimSpace(raw)) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil, nil
	}
	parsed, err := addons.ParseOptions("options.json", raw)
	if err != nil {
		return nil, &api.Error{Status: http.StatusBadRequest, Key: api.KeyAddonOptions, Message: err.Error()}
	}
	return parsed, nil
}

func (h addonSettings) configure(ctx context.Context, slug string, p lifecycle.Patch) (api.Kept, error) {
	out, err := h.addons.installs.Configure(context.WithoutCancel(ctx), slug, p)
	if err != nil {
		return api.Kept{}, h.addonError(slug, err)
	}
	h.wake() // a plan may have waited for it
	return api.Kept{Dropped: slices.Concat([]string{}, out.Dropped), Restart: out.Restart}, nil
}

// CheckOptions implements api.AddonSettings.
func (h addonSettings) CheckOptions(_ context.Context, slug string, options json.RawMessage) (api.OptionsCheck, error) {
	parsed, err := optionsOf(options)
	if err != nil {
		return api.OptionsCheck{}, err
	}
	if parsed == nil {
		r, _ := h.addons.installs.Record(slug)
		parsed = r.Settings.Options
	}
	_, dropped, err := h.addons.installs.Check(slug, parsed)
	out := api.OptionsCheck{Valid: err == nil, Dropped: slices.Concat([]string{}, dropped)}
	if wrong := (*addons.OptionError)(nil); errors.As(err, &wrong) {
		out.Message, out.Path = wrong.What, wrong.Path
		return out, nil
	}
	if err != nil {
		return out, h.addonError(slug, err)
	}
	return out, nil
}

// Set implements api.AddonSettings.
func (h addonSettings) Set(ctx context.Context, slug string, r api.SettingsRequest, by string) (api.Kept, error) {
	p := lifecycle.Patch{AutoUpdate: r.AutoUpdate, Watchdog: r.Watchdog, Protected: r.Protected, Panel: r.Panel}
	if r.Boot != nil {
		boot := addons.Boot(*r.Boot)
		p.Boot = &boot
	}
	if len(r.Ports) > 0 {
		rec, _ := h.addons.installs.Record(slug)
		ports := maps.Clone(rec.Settings.Ports)
		if ports == nil {
			ports = map[string]*uint16{}
		}
		maps.Copy(ports, r.Ports)
		p.Ports = &ports
	}
	out, err := h.configure(ctx, slug, p)
	if err == nil && r.Protected != nil {
		h.decided(ctx, slug, fmt.Sprintf("protected mode set to %v by %s", *r.Protected, by), nil)
	}
	return out, err
}

// addonOutput is what add-ons and their authors say.
type addonOutput struct{ addonView }

var _ api.AddonOutput = addonOutput{}

// Logs implements api.AddonOutput.
func (h addonOutput) Logs(ctx context.Context, slug string, q api.LogRequest) (io.ReadCloser, error) {
	if err := h.known(slug); err != nil {
		return nil, err
	}
	return h.engine.Logs(ctx, lifecycle.Service(slug), engine.LogQuery(q))
}

// Stats implements api.AddonOutput.
func (h addonOutput) Stats(ctx context.Context, slug string) (api.AddonStats, error) {
	if err := h.known(slug); err != nil {
		return api.AddonStats{}, err
	}
	return h.stats(ctx, lifecycle.Service(slug))
}

// stats is what a service uses.
func (h *house) stats(ctx context.Context, service string) (api.AddonStats, error) {
	s, err := h.engine.Stats(ctx, service)
	return api.AddonStats{CPUPercent: s.CPUPercent, MemoryUsage: int64(s.MemoryUsage), MemoryLimit: int64(s.MemoryLimit), MemoryPercent: s.MemoryPercent,
		NetworkRx: int64(s.NetworkRx), NetworkTx: int64(s.NetworkTx), BlkRead: int64(s.BlkRead), BlkWrite: int64(s.BlkWrite)}, err
}

// File implements api.AddonOutput.
func (h addonOutput) File(_ context.Context, slug string, f api.AddonFile) ([]byte, error) {
	if _, ok := h.addons.store.Entry(slug); !ok {
		return nil, api.AddonNotFound(slug)
	}
	kinds := map[api.AddonFile]store.Kind{api.FileIcon: store.Icon, api.FileLogo: store.Logo, api.FileChangelog: store.Changelog, api.FileDocumentation: store.Docs}
	return h.addons.store.Asset(slug, kinds[f])
}

// folderSize is how much an add-on's folders hold, in bytes; what can't be read counts nothing.
func folderSize(dir, slug string) (bytes int64) {
	for _, kind := range []string{"data", "addon_configs"} {
		_ = filepath.WalkDir(filepath.Join(dir, kind, slug), func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return fs.SkipDir // see above
			}
			if fi, err := d.Info(); err == nil && fi.Mode().IsRegular() {
				bytes += fi.Size()
			}
			return nil
		})
	}
	return bytes
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// devicesOf lists devices for the form: of a subsystem as sysfs has it, else the usual serial ones.
func devicesOf(subsystem string) []string {
	folders := []string{"/dev/serial/by-id"}
	if subsystem != "" && subsystem != "tty" {
		folders = nil
	}
	var out []string
	for _, dir := range folders {
		found, _ := os.ReadDir(dir) // nothing plugged in is no error
		for _, e := range found {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	class := "tty"
	if subsystem != "" {
		class = filepath.Base(subsystem)
	}
	found, _ := os.ReadDir(filepath.Join("/sys/class", class)) // as above
	for _, e := range found {
		name := e.Name()
		if class != "tty" || strings.HasPrefix(name, "ttyUSB") || strings.HasPrefix(name, "ttyACM") || strings.HasPrefix(name, "ttyAMA") {
			if onHost("/dev/" + name) {
				out = append(out, "/dev/"+name)
			}
		}
	}
	return out
}
