package web

import (
	"slices"

	"github.com/castellan/castellan/supervisor/api"
)

// overviewScreens are the first page and what can be done there.
var overviewScreens = []screen{
	{"GET", "/ui/{$}", api.Viewer, (*visit).overview},
	{"POST", "/ui/check", api.Operator, (*visit).postCheck},
}

// overview is what the first page shows.
type overview struct {
	Mood     string
	Status   api.Status
	Verified int
	Of       int
	Bad      []api.ServiceStatus
	Loose    []api.ServiceStatus
	Waiting  []api.ServiceStatus
	Running  []course // changes that go on
	Recent   []course // and the last that ended
}

// recent is how many past changes the first page tells of.
const recent = 6

func (v *visit) overview() (answer, error) {
	s, err := v.status()
	if err != nil {
		return answer{}, err
	}
	changes, err := v.api.Changes(v.ctx())
	if err != nil {
		return answer{}, err
	}
	m := moodOf(s)
	out := overview{Mood: m.word, Status: s, Verified: m.verified, Of: m.of, Bad: m.bad, Loose: m.loose}
	out.Waiting = slices.DeleteFunc(slices.Clone(s.Services), func(one api.ServiceStatus) bool { return one.Available == "" })
	for _, c := range changes.Changes {
		switch {
		case !c.Done:
			out.Running = append(out.Running, v.course(c))
		case len(out.Recent) < recent:
			out.Recent = append(out.Recent, v.course(c))
		}
	}
	return show("overview", out)
}

func (v *visit) postCheck() (answer, error) {
	if _, err := v.api.Check(v.ctx()); err != nil {
		return v.again(v.back("/ui/"), err)
	}
	return v.done(v.back("/ui/"), "overview.checked")
}
