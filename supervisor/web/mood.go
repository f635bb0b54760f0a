package web

import (
	"net/url"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// mood is the house in one word, the worst that holds, and what it is about.
type mood struct {
	word     string // bad, engine, ledger, down, some, ok
	verified int    // services whose image is verified, or the owner's own word
	of       int    // services that have an image
	bad      []api.ServiceStatus
	loose    []api.ServiceStatus // run without being verified: unsigned, forced, not checked
	down     []api.ServiceStatus // should run and do not
	stopped  int                 // are kept stopped
}

// badges that say an image must not run, and those of images that were let in without a signature that counts.
var (
	badBadges   = map[string]bool{"withdrawn": true, "refused": true, "missing": true}
	looseBadges = map[string]bool{"unsigned": true, "forced": true, "not checked": true}
)

// moodOf sums up what the daemon says. An outage is never "bad": that word is for what was withdrawn or altered, and for a
// service that is stuck.
func moodOf(s api.Status) mood {
	m := mood{word: "ok"}
	for _, one := range s.Services {
		if one.Version == "" {
			continue
		}
		m.of++
		switch {
		case badBadges[one.Badge] || one.State == "stuck":
			m.bad = append(m.bad, one)
		case looseBadges[one.Badge]:
			m.loose = append(m.loose, one)
		default:
			m.verified++
		}
		switch {
		case one.Stopped != "":
			m.stopped++
		case one.State == "stopped" || one.State == "absent":
			m.down = append(m.down, one)
		}
	}
	switch state := s.Ledger.State; {
	case len(m.bad) > 0 || state == "quarantined":
		m.word = "bad"
	case s.Engine.Error != "":
		m.word = "engine"
	case state != "fresh":
		m.word = "ledger"
	case len(m.down) > 0:
		m.word = "down"
	case len(m.loose) > 0:
		m.word = "some"
	}
	return m
}

// tone is the colour of the house.
func (m mood) tone() string {
	switch m.word {
	case "ok", "bad":
		return m.word
	}
	return "warn"
}

// cause is one thing that makes the mood what it is, with where to do something about it.
type cause struct {
	Tone string
	Icon string
	Text string
	Href string
}

// mostCauses bounds what the first page lists.
const mostCauses = 6

// causes put the mood in sentences, the worst first.
func (v *visit) causes(m mood, s api.Status) (out []cause) {
	for _, one := range m.bad {
		if one.State == "stuck" {
			out = append(out, cause{"bad", "triangle-alert", v.say("overview.cause_stuck", v.called(one.Name, one.Slug)), servicePath(one.Name)})
			continue
		}
		out = append(out, cause{"bad", "shield-x", v.say("overview.cause_"+one.Badge, v.called(one.Name, one.Slug), one.Version), recordsOf(one)})
	}
	if s.Config.Error != "" {
		out = append(out, cause{"warn", "file-text", v.say("overview.cause_config"), "/ui/settings"})
	}
	for _, one := range m.down {
		if s.Engine.Error == "" { // then nobody knows
			out = append(out, cause{"warn", "power", v.say("overview.cause_down", v.called(one.Name, one.Slug)), v.placeOf(one)})
		}
	}
	for _, one := range m.loose {
		out = append(out, cause{"", "shield-alert", v.say("overview.cause_"+strings.ReplaceAll(one.Badge, " ", "_"), v.called(one.Name, one.Slug), one.Version), recordsOf(one)})
	}
	if more := len(out) - mostCauses + 1; more > 1 {
		out = append(out[:mostCauses-1], cause{"", "list-filter", v.say("overview.cause_more", more), "/ui/trust/images"})
	}
	return out
}

// recordsOf is where the verification log tells why a service is as it is.
func recordsOf(one api.ServiceStatus) string {
	return "/ui/trust?" + url.Values{"service": {one.Name}}.Encode() + "#log"
}

// placeOf is the page about a service: the add-on's, or that of its updates.
func (v *visit) placeOf(one api.ServiceStatus) string {
	if one.Slug != "" {
		return "/ui/addons/" + one.Slug
	}
	return servicePath(one.Name)
}
