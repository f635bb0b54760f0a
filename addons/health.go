package addons

import (
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
)

// watchdogParts are the protocol, the option that chooses one, the port and the rest of an address.
var watchdogParts = regexp.MustCompile(`^(?:(https?|tcp)|\[PROTO:(\w+)\])://\[HOST\]:(?:\[PORT:(\d{1,5})\]|(\d{1,5}))(.*)$`)

// Health is what a new version of the add-on must pass: an answer at the manifest's watchdog address where it has one,
// or else to run for ten seconds; one that runs once may end well before. With engine, the HEALTHCHECK of the image must pass too; whether it has one only the
// engine knows.
//
// Behind https only the connection is looked for: an add-on's certificate is for the house's name, which no check of
// its own address could match.
func (m Manifest) Health(s Settings, engine bool) spec.Health {
	var out spec.Health
	if c, ok := m.watchdog(s); ok {
		out.Checks = append(out.Checks, c)
	}
	if engine {
		out.Checks = append(out.Checks, spec.Check{Name: "healthcheck", Engine: true})
	}
	if len(out.Checks) == 0 {
		out.Settle = 10 * time.Second
	}
	out.Ends = m.Startup == StartOnce
	return out
}

func (m Manifest) watchdog(s Settings) (spec.Check, bool) {
	part := watchdogParts.FindStringSubmatch(m.Watchdog)
	if part == nil {
		return spec.Check{}, false
	}
	scheme, option, rest := part[1], part[2], part[5]
	if option != "" {
		scheme = "http"
		if on, _ := truth(Merge(m.Options, s.Options)[option]); on {
			scheme = "https"
		}
	}
	n, err := strconv.ParseUint(part[3]+part[4], 10, 16)
	if err != nil || n == 0 {
		return spec.Check{}, false
	}
	if host := m.published(s)[port{uint16(n), "tcp"}]; m.HostNetwork && host != 0 {
		n = uint64(host) // on the host's network the add-on itself listens where its owner wants it
	}
	address := ":" + strconv.FormatUint(n, 10)
	// What follows the port must not move the address: "80@elsewhere" would.
	_, err = url.Parse("http://host" + address + rest)
	if scheme != "http" || err != nil || rest != "" && rest[0] != '/' {
		return spec.Check{Name: "watchdog", TCP: &spec.TCPCheck{Address: address}}, true
	}
	return spec.Check{Name: "watchdog", HTTP: &spec.HTTPCheck{URL: "http://" + address + rest}}, true
}
