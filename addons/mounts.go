package addons

import (
	"fmt"
	"path"
	"slices"

	"github.com/castellan/castellan/supervisor/spec"
)

// folder is what a word of `map` stands for.
type folder struct {
	types  []string // newest name first; of two in one manifest the newer counts
	below  string   // of [Place.Dir]
	own    bool     // a folder of the add-on's own in it
	target string   // the usual place
	legacy string   // where the older name puts it, "" = the same
	slave  bool     // disks that are mounted later are seen
}

// folders are all of them but data, which every add-on has, in Home Assistant's order.
var folders = []folder{
	{types: []string{"config"}, below: "homeassistant", target: "/config"},
	{types: []string{"app_config", "addon_config"}, below: "addon_configs", own: true, target: "/config"},
	{types: []string{"homeassistant_config"}, below: "homeassistant", target: "/homeassistant"},
	{types: []string{"all_app_configs", "all_addon_configs"}, below: "addon_configs", target: "/app_configs", legacy: "/addon_configs"},
	{types: []string{"ssl"}, below: "ssl", target: "/ssl"},
	{types: []string{"local_apps", "addons"}, below: "local", target: "/local_apps", legacy: "/addons"},
	{types: []string{"backup"}, below: "backup", target: "/backup"},
	{types: []string{"share"}, below: "share", target: "/share", slave: true},
	{types: []string{"media"}, below: "media", target: "/media", slave: true},
}

// mapped are the folders that the manifest asks for, as mounts. An add-on that still asks for "config" means Core's
// folder by /config, so the two newer ways to it are not heard then.
func (m Manifest) mapped(p Place) []spec.Mount {
	asked := map[string]MapEntry{}
	for _, e := range m.Map {
		asked[e.Type] = e
	}
	data := spec.Mount{Source: path.Join(p.Dir, "data", p.Slug), Target: "/data"}
	if own := asked["data"].Path; own != "" {
		data.Target = own
	}
	out := []spec.Mount{data}
	_, old := asked["config"]
	for _, f := range folders {
		if old && (f.types[0] == "app_config" || f.types[0] == "homeassistant_config") {
			continue
		}
		for i, word := range f.types {
			e, ok := asked[word]
			if !ok {
				continue
			}
			mount := spec.Mount{Source: path.Join(p.Dir, f.below), Target: f.target, ReadOnly: e.ReadOnly}
			if f.own {
				mount.Source, mount.Plain = path.Join(mount.Source, p.Slug), true // another may be allowed to write beside it
			}
			if i > 0 && f.legacy != "" {
				mount.Target = f.legacy
			}
			if e.Path != "" {
				mount.Target = e.Path
			}
			if f.slave {
				mount.Propagation = "rslave"
			}
			out = append(out, mount)
			break
		}
	}
	return out
}

// Folders are the folders of the appliance that must be there before the add-on's container is made, ordered.
func (m Manifest) Folders(p Place) []string {
	var out []string
	for _, mount := range m.mapped(p) {
		out = append(out, mount.Source)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// mounts are all of them: /dev, the folders, and what of the host a right opens.
func (m Manifest) mounts(p Place, s Settings) ([]spec.Mount, error) {
	// Read-only ends at /dev/pts and /dev/mqueue, where programs write.
	out := []spec.Mount{{Source: "/dev", Target: "/dev", ReadOnly: true, NonRecursive: true}}
	taken := map[string]string{"/dev": "/dev"}
	for _, mount := range m.mapped(p) {
		target := path.Clean(mount.Target)
		if !path.IsAbs(target) || target == "/" {
			return nil, fmt.Errorf("`map` wants %s at %q: want an absolute path below /", path.Base(mount.Source), mount.Target)
		}
		if other, ok := taken[target]; ok {
			return nil, fmt.Errorf("`map` wants both %s and %s at %s: leave one out", other, mount.Source, target)
		}
		taken[target] = mount.Source
		mount.Target = target
		out = append(out, mount)
	}
	for _, h := range m.hostMounts(s) {
		if _, ok := taken[h.Target]; ok || !p.has(h.Source) {
			continue
		}
		out = append(out, h)
	}
	return out, nil
}

// hostMounts are the folders and sockets of the host that rights open.
func (m Manifest) hostMounts(s Settings) []spec.Mount {
	var out []spec.Mount
	for _, h := range []struct {
		when           bool
		source, target string // target "" = the same
		write          bool
	}{
		{m.GPIO, "/sys/class/gpio", "", true},
		{m.GPIO, "/sys/devices/platform/soc", "", true},
		{m.DeviceTree, "/sys/firmware/devicetree/base", "/device-tree", false},
		{m.Udev, "/run/udev", "", false},
		{m.KernelModules, "/lib/modules", "", false},
		{m.DockerAPI && s.Unprotect, "/run/docker.sock", "", false},
		{m.HostDBus, "/run/dbus", "", false},
		{m.Journald, "/var/log/journal", "", false},
		{m.Journald, "/run/log/journal", "", false},
	} {
		if !h.when {
			continue
		}
		if h.target == "" {
			h.target = h.source
		}
		out = append(out, spec.Mount{Source: h.source, Target: h.target, ReadOnly: !h.write})
	}
	return out
}

func (p Place) has(name string) bool { return p.Exists == nil || p.Exists(name) }
