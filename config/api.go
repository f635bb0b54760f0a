package config

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// API says who may call Castellan from the network of the house. People and programs log in there; the unix socket and the
// add-ons' bridge are not concerned. Changes take effect at once; people who are connected are cut.
type API struct {
	// Listen is where: ":8480" for all addresses of the appliance, or an address with a port, as "192.168.1.5:8480". Default:
	// nowhere.
	Listen string `yaml:"listen"`

	// IngressListen is where add-ons' own pages answer those who have logged in at Listen, in the form of Listen: "off" =
	// nowhere. It is an origin of its own, with another port than Listen, so that a script of such a page is not taken for one
	// of Castellan's. Default: the port after Listen's, on the same addresses.
	IngressListen string `yaml:"ingress_listen"`

	// TLS is "self" (a certificate the appliance makes for itself; castellan status shows its fingerprint), "files" (Cert and
	// Key), or "off": passwords and sessions are then sent in the clear, which is for a proxy on this machine. Default "self".
	TLS string `yaml:"tls"`

	// Cert and Key are the owner's own certificate with its chain, and its key, as PEM files. Needed with "files", excluded
	// otherwise. Absolute. Files that change are taken up within a minute.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`

	// Hosts are names under which people call, besides the host's name, that name with .local, localhost and addresses: those
	// of a proxy or of the house's name server. At most 32. Calls for other names are refused, because another site may
	// have given its own name our address.
	Hosts []string `yaml:"hosts"`
}

// Equal tells whether two are the same.
func (a API) Equal(b API) bool {
	return a.Listen == b.Listen && a.IngressListen == b.IngressListen && a.TLS == b.TLS && a.Cert == b.Cert && a.Key == b.Key && slices.Equal(a.Hosts, b.Hosts)
}

// Ingress is the address at which add-ons' own pages answer, in the form of Listen; "" = nowhere.
func (a API) Ingress() string {
	switch {
	case a.Listen == "" || a.IngressListen == "off":
		return ""
	case a.IngressListen != "":
		return a.IngressListen
	}
	host, port, _ := net.SplitHostPort(a.Listen) // the check has seen it
	n, _ := strconv.ParseUint(port, 10, 16)
	if n != 0 { // 0 is any port, and so is the one after it
		n++
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10))
}

// maxHosts bounds api.hosts.
const maxHosts = 32

var namePatternDNS = regexp.MustCompile(`^(?i)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

func (s *source) api(c *Config) error {
	a := c.API
	if a.Listen != "" {
		if _, ok := addressOf(a.Listen); !ok {
			return s.field("$.api.listen", `%.80q: want a port, as ":8480", or an address with one, as "192.168.1.5:8480"`, a.Listen)
		}
	}
	if err := s.ingress(a); err != nil {
		return err
	}
	if err := s.oneOf("$.api.tls", a.TLS, "off", "self", "files"); err != nil {
		return err
	}
	for _, f := range []struct{ name, path string }{{"cert", a.Cert}, {"key", a.Key}} {
		at := "$.api." + f.name
		switch {
		case a.TLS == "files" && f.path == "":
			return s.field(at, `%s is missing; api.tls "files" needs cert and key`, f.name)
		case a.TLS != "files" && f.path != "":
			return s.field(at, `it counts with api.tls "files" only, tls is %q; change tls or delete the key`, a.TLS)
		case f.path != "":
			if err := s.folder(at, f.path); err != nil {
				return err
			}
		}
	}
	if len(a.Hosts) > maxHosts {
		return s.field("$.api.hosts", "%d names: at most %d are allowed", len(a.Hosts), maxHosts)
	}
	for i, h := range a.Hosts {
		if _, err := netip.ParseAddr(h); err != nil && (len(h) > 253 || !namePatternDNS.MatchString(h)) {
			return s.field("$.api.hosts"+index(i), `%.80q: want a name without port or slashes, as "castellan.example.org"`, h)
		}
	}
	return nil
}

// ingress checks where add-ons' own pages answer.
func (s *source) ingress(a API) error {
	const at = "$.api.ingress_listen"
	if a.Listen == "" {
		if a.IngressListen != "" && a.IngressListen != "off" {
			return s.field(at, "it counts with api.listen only; set that, or delete ingress_listen")
		}
		return nil
	}
	pages := a.Ingress()
	if pages == "" {
		return nil
	}
	to, ok := addressOf(pages)
	switch {
	case !ok && a.IngressListen == "":
		return s.field(at, `ingress_listen is missing: there is no port after the one of api.listen; want a port, as ":8481", or "off"`)
	case !ok:
		return s.field(at, `%.80q: want a port, as ":8481", an address with one, as "192.168.1.5:8481", or "off"`, a.IngressListen)
	}
	if people, _ := addressOf(a.Listen); people.Port() == to.Port() {
		return s.field(at, "port %d is that of api.listen: pages of add-ons need a port of their own", to.Port())
	}
	return nil
}

// addressOf reads an address to listen at; it is unspecified for all of the appliance.
func addressOf(listen string) (netip.AddrPort, bool) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || !isPort(port) {
		return netip.AddrPort{}, false
	}
	addr := netip.IPv4Unspecified()
	if host != "" {
		if addr, err = netip.ParseAddr(host); err != nil || addr.IsMulticast() || strings.Contains(host, "%") {
			return netip.AddrPort{}, false
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(addr, uint16(n)), err == nil
}
