package main

import (
	"context"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/supervisor/api"
)

// Host implements api.HomeAssistant. It says what the kernel and the engine tell; the rest is the host's own business.
func (h haView) Host(ctx context.Context) (api.Host, error) {
	h.mu.Lock()
	cfg, online := h.cfg, h.syncErr == "" && h.pollErr == ""
	h.mu.Unlock()
	net := cfg.Addons.Network
	out := api.Host{Info: h.hostInfo(), Device: device(cfg.DataDir, "/sys"), Network: api.NetworkInfo{Interfaces: interfaces(), SupervisorInternet: online,
		Docker: api.DockerNetwork{Interface: net.Name, Address: net.Prefix().String(), Gateway: net.Gateway().String(), DNS: ""}},
		Docker: api.DockerInfo{Registries: map[string]any{}}}
	within, cancel := context.WithTimeout(ctx, engineWithin)
	defer cancel()
	if info, err := h.engineInfo(within); err == nil { // an engine that is away says nothing, and the status why
		out.Docker.Version, out.Docker.Storage = info.Version, info.Store
	}
	creds, err := credentials(cfg.Registry.CredentialsFile)
	for host, c := range creds {
		out.Docker.Registries[host] = map[string]string{"username": c.Username}
	}
	return out, err
}

func (h haView) hostInfo() api.HostInfo {
	out := api.HostInfo{Features: []string{}}
	var fs unix.Statfs_t
	if unix.Statfs(h.config().DataDir, &fs) == nil { // a folder we live in can be asked
		gib := func(blocks uint64) float64 { return math.Round(float64(blocks)*float64(fs.Bsize)/(1<<30)*10) / 10 }
		out.DiskTotal, out.DiskFree, out.DiskUsed = gib(fs.Blocks), gib(fs.Bavail), gib(fs.Blocks-fs.Bfree)
	}
	if name, err := os.Hostname(); err == nil {
		out.Hostname = &name
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		kernel := unix.ByteSliceToString(uts.Release[:])
		out.Kernel = &kernel
	}
	if name := osName("/etc/os-release"); name != "" {
		out.OperatingSystem = &name
	}
	if tz := h.config().Addons.Timezone; tz != "" {
		out.Timezone = &tz
	}
	now, synced := h.clock.Now()
	now = now.UTC()
	out.Now, out.Synchronized = &now, &synced
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		boot := time.Now().Add(-time.Duration(info.Uptime) * time.Second).UnixMicro()
		out.BootTimestamp = &boot
	}
	return out
}

// osName is the host's operating system in words, "" when it does not say.
func osName(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"'`)
		}
	}
	return ""
}

// interfaces are those of the host that are devices, with their addresses. The first that is up and has one is the
// primary one.
func interfaces() []api.NetworkInterface {
	out := []api.NetworkInterface{}
	all, err := net.Interfaces()
	if err != nil {
		return out // there are none to see
	}
	primary := false
	for _, i := range all {
		if !onHost(filepath.Join("/sys/class/net", i.Name, "device")) {
			continue
		}
		n := api.NetworkInterface{Interface: i.Name, Type: "ethernet", Enabled: i.Flags&net.FlagUp != 0, Connected: i.Flags&net.FlagRunning != 0,
			MAC: i.HardwareAddr.String(), IPv4: noAddress(), IPv6: noAddress()}
		if onHost(filepath.Join("/sys/class/net", i.Name, "wireless")) {
			n.Type = "wireless"
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it went meanwhile
		}
		for _, a := range addrs {
			ip, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			to := &n.IPv6
			if ip.IP.To4() != nil {
				to = &n.IPv4
			}
			to.Method, to.Ready, to.Address = "auto", true, append(to.Address, ip.String())
		}
		n.Primary = !primary && n.Connected && n.IPv4.Ready
		primary = primary || n.Primary
		out = append(out, n)
	}
	return out
}

func noAddress() api.NetworkIP {
	return api.NetworkIP{Method: "disabled", Address: []string{}, Nameservers: []string{}}
}

func round2(f float64) float64 { return math.Round(f*100) / 100 }

func cpus() int { return runtime.NumCPU() }
