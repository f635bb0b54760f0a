package addons

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// group is a kind of devices, by their major numbers.
type group struct {
	majors []uint32
	names  []string // in /proc/devices, of those that the kernel numbers as it likes
}

// The groups are Home Assistant's; the numbers are Linux's (Documentation/admin-guide/devices.txt).
var (
	uartDevices  = group{majors: []uint32{166, 188, 204}} // ttyACM, ttyUSB, ttyAMA
	videoDevices = group{majors: []uint32{29, 81, 226}, names: []string{"cec", "media", "vchiq"}}
	audioDevices = group{majors: []uint32{116}}
	usbDevices   = group{majors: []uint32{180, 189}, names: []string{"hidraw"}}
	gpioDevices  = group{names: []string{"bcm2835-gpiomem", "gpiochip", "gpiomem"}}
)

// deviceRules are the kernel's: which devices of /dev the container may open.
func (m Manifest) deviceRules(p Place, s Settings) []string {
	if m.FullAccess && s.Unprotect {
		return []string{"a *:* rwm"}
	}
	majors := map[uint32]bool{}
	for _, g := range []struct {
		when bool
		group
	}{{m.UART, uartDevices}, {m.Video, videoDevices}, {m.Audio, audioDevices}, {m.USB, usbDevices}, {m.GPIO, gpioDevices}} {
		if !g.when {
			continue
		}
		for _, major := range g.majors {
			majors[major] = true
		}
		for _, name := range g.names {
			if major, ok := p.Majors[name]; ok {
				majors[major] = true
			}
		}
	}
	var out []string
	for _, major := range slices.Sorted(maps.Keys(majors)) {
		out = append(out, fmt.Sprintf("c %d:* rwm", major))
	}
	return out
}

// devices are those that the author names and those that the owner picked in an option, as far as they are there.
func (m Manifest) devices(p Place, s Settings) []string {
	var out []string
	for _, d := range append(slices.Clone(m.Devices), picked(m.Schema.fields, Merge(m.Options, s.Options))...) {
		if d, ok := deviceOf(d); ok && p.has(d) {
			out = append(out, d)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// deviceOf is the path of a device as the container gets it; anything else is none, whatever an option says.
func deviceOf(text string) (string, bool) {
	d := path.Clean(text)
	return d, strings.HasPrefix(d, "/dev/")
}

// picked are the values of the options that the schema calls a device.
func picked(fields []field, options map[string]any) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.picked(options[f.name])...)
	}
	return out
}

func (e element) picked(value any) []string {
	switch {
	case e.isDict:
		below, _ := value.(map[string]any) // nil has none
		return picked(e.dict, below)
	case e.isList:
		var out []string
		items, _ := value.([]any)
		for _, item := range items {
			for _, of := range e.list {
				out = append(out, of.picked(item)...)
			}
		}
		return out
	}
	if text, ok := value.(string); ok && e.word == "device" {
		return []string{text}
	}
	return nil
}
