package addons

import (
	"math"
	"slices"
	"strings"
)

func readMachine(d *decoder, m *Manifest, n *node, where *at) {
	m.Machine = []string{}
	d.list(n, where, "a list, as [raspberrypi4-64]", func(n *node, where *at) {
		name := d.oneLine(n, where)
		if n.kind == kindText && !slices.Contains(machines, strings.TrimPrefix(name, "!")) {
			d.fail(n, where, "want the name of a machine, as raspberrypi4-64, with a ! in front to exclude it")
		}
		m.Machine = append(m.Machine, name)
	})
	if n.kind == kindList && !unique(m.Machine) {
		d.fail(n, where, "a machine stands twice; keep one of the two")
	}
}

func readStartup(d *decoder, m *Manifest, n *node, where *at) {
	switch {
	case n.kind == kindText && n.text == "before":
		m.Startup = StartServices
	case n.kind == kindText && n.text == "after":
		m.Startup = StartApplication
	default:
		m.Startup = Startup(d.oneOf(n, where, string(StartInitialize), string(StartSystem), string(StartServices), string(StartApplication), string(StartOnce)))
	}
}

// ports calls read for each port of a dictionary.
func (d *decoder) ports(n *node, where *at, example string, read func(port string, n *node, where *at)) {
	d.dict(n, where, example, func(port string, n *node, where *at) {
		if port = strings.TrimSuffix(port, "\n"); !portForm.MatchString(port) {
			d.fail(n, where, "want a port as 80/tcp, 53/udp or \"80\"")
			return
		}
		read(port, n, where)
	})
}

func readPorts(d *decoder, m *Manifest, n *node, where *at) {
	m.Ports = map[string]*uint16{}
	d.ports(n, where, "as 80/tcp: 8080", func(port string, n *node, where *at) {
		m.Ports[port] = nil
		if n.kind != kindNull {
			host := uint16(d.whole(n, where, 1, 65535))
			m.Ports[port] = &host
		}
	})
}

func readPortDescriptions(d *decoder, m *Manifest, n *node, where *at) {
	m.PortDescriptions = map[string]string{}
	d.ports(n, where, "as 80/tcp: Web interface", func(port string, n *node, where *at) { m.PortDescriptions[port] = d.text(n, where) })
}

// readDevices cuts the form of old ("a:b:rwm") to the path, as soon as one of the devices has it.
func readDevices(d *decoder, m *Manifest, n *node, where *at) {
	m.Devices = []string{}
	for _, device := range d.texts(n, where) {
		path, _, _ := strings.Cut(device, ":")
		m.Devices = append(m.Devices, path)
	}
}

// readMap drops what Home Assistant drops: a text that is no folder, a dictionary without a type.
func readMap(d *decoder, m *Manifest, n *node, where *at) {
	if !d.is(n, where, kindList, "a list, as [ssl, \"share:rw\"]") {
		return
	}
	for _, item := range n.items {
		switch {
		case item.kind == kindText:
			if parts := volumeForm.FindStringSubmatch(item.text); parts != nil {
				m.Map = append(m.Map, MapEntry{Type: parts[1], ReadOnly: parts[2] != "rw"})
			}
		case item.kind == kindDict && item.get("type") != nil:
			m.Map = append(m.Map, d.mapEntry(item, where.index(len(m.Map))))
		}
	}
}

func (d *decoder) mapEntry(n *node, where *at) MapEntry {
	e := MapEntry{ReadOnly: true}
	d.dict(n, where, "", func(key string, n *node, where *at) {
		switch key {
		case "type":
			e.Type = d.oneOf(n, where, mapTypes...)
		case "read_only":
			if d.is(n, where, kindBool, "true or false") {
				e.ReadOnly = n.yes
			}
		case "path":
			e.Path = d.text(n, where)
		default:
			d.fail(n, where, "want type, read_only or path; delete it")
		}
	})
	return e
}

func readServices(d *decoder, m *Manifest, n *node, where *at) {
	m.Services = []ServiceUse{}
	d.list(n, where, "a list, as [\"mqtt:want\"]", func(n *node, where *at) {
		service, use, _ := strings.Cut(d.formed(n, where, serviceForm, "mqtt or mysql, and what for, as mqtt:want, mqtt:need or mqtt:provide"), ":")
		m.Services = append(m.Services, ServiceUse{service, use})
	})
}

func readUlimits(d *decoder, m *Manifest, n *node, where *at) {
	d.dict(n, where, "as nofile: 1024", func(key string, n *node, where *at) {
		if n.kind != kindDict {
			v := d.whole(n, where, math.MinInt64, math.MaxInt64)
			m.Ulimits[key] = Ulimit{Soft: v, Hard: v, single: true}
			return
		}
		var u Ulimit
		limits := map[string]*int64{"soft": &u.Soft, "hard": &u.Hard}
		d.dict(n, where, "", func(key string, n *node, where *at) {
			limit := limits[key]
			if limit == nil {
				d.fail(n, where, "want soft and hard; delete it")
				return
			}
			*limit = d.whole(n, where, math.MinInt64, math.MaxInt64)
		})
		for _, key := range []string{"soft", "hard"} {
			if n.get(key) == nil {
				d.fail(n, where.key(key), "it is missing; write soft and hard, or one number for both")
			}
		}
		m.Ulimits[key] = u
	})
}
