package web

import "github.com/castellan/castellan/supervisor/api"

// mood is the house in one word, the worst that holds, and what it is about.
type mood struct {
	word     string // bad, engine, ledger, some, ok
	verified int    // services whose image is verified, or the owner's own word
	of       int    // services that have an image
	bad      []api.ServiceStatus
	loose    []api.ServiceStatus // run without being verified: unsigned, forced, not checked
}

// badges that say an image must not run, and those of images that were let in without a signature that counts.
var (
	badBadges   = map[string]bool{"withdrawn": true, "refused": true}
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
	}
	switch state := s.Ledger.State; {
	case len(m.bad) > 0 || state == "quarantined":
		m.word = "bad"
	case s.Engine.Error != "":
		m.word = "engine"
	case state != "fresh":
		m.word = "ledger"
	case len(m.loose) > 0:
		m.word = "some"
	}
	return m
}
