package web

import (
	"slices"
	"strconv"

	"github.com/castellan/castellan/supervisor/api"
)

// historyScreens are what changed, and each change's own page.
var historyScreens = []screen{
	{"GET", "/ui/updates/history", api.Viewer, (*visit).history},
	{"GET", "/ui/updates/changes/{id}", api.Viewer, (*visit).change},
}

// historyPage is a page of the changes.
type historyPage struct {
	Rows     []course
	Services []choice
	Results  []string
	Service  string
	Result   string
	Older    int // the next page, 0 = there is none
	Newer    int // the page before, 0 = this is the first
	Total    int
}

// choice is a service with what people call it.
type choice struct{ Service, Name string }

// outcomes are how a change can stand, for the filter.
var outcomes = []string{"good", "back", "refused", "deferred", "abandoned", "stuck", "going"}

// historyEach is how many changes stand on a page.
const historyEach = 25

func (v *visit) history() (answer, error) {
	list, err := v.api.Changes(v.ctx())
	if err != nil {
		return answer{}, err
	}
	out := historyPage{Results: outcomes, Service: v.query("service"), Result: v.query("result")}
	var rows []course
	for _, c := range list.Changes {
		if !slices.ContainsFunc(out.Services, func(n choice) bool { return n.Service == c.Service }) {
			out.Services = append(out.Services, choice{c.Service, v.called(c.Service, c.Slug)})
		}
		one := v.course(c)
		if (out.Service == "" || out.Service == c.Service) && (out.Result == "" || out.Result == one.Outcome()) {
			rows = append(rows, one)
		}
	}
	out.Total = len(rows)
	at, err := strconv.Atoi(v.query("page"))
	if last := max(1, (len(rows)+historyEach-1)/historyEach); err != nil || at < 1 || at > last {
		at = 1 // an address that somebody made up, or a page that is gone
	}
	out.Rows = rows[(at-1)*historyEach : min(len(rows), at*historyEach)]
	if at > 1 {
		out.Newer = at - 1
	}
	if len(rows) > at*historyEach {
		out.Older = at + 1
	}
	return show("updates_history", out)
}

// changePage is one change.
type changePage struct {
	course
	Steps  []changeStep
	Undo   bool   // it can be undone by going back
	Back   string // address of the page that asks
	Reason string // code of the verdict, that has a page of its own
	Means  string // what that says in short, "" = the catalogue does not know
}

// Course is the change itself.
func (c changePage) Course() course { return c.course }

// changeStep is one step of a change with its time.
type changeStep struct {
	Stage  string
	Done   bool
	Now    bool
	Failed bool   // here it turned round
	Took   string // how long, "" = not known
}

func (v *visit) change() (answer, error) {
	c, err := v.api.Change(v.ctx(), v.r.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	s, err := v.status()
	if err != nil {
		return answer{}, err
	}
	out := changePage{course: v.course(c), Back: servicePath(c.Service) + "/back"}
	out.Steps = out.steps()
	for _, one := range s.Services {
		if one.Name == c.Service {
			undone := c.Good && c.Kind != "remove" && one.Change == "" && one.Version == c.To && one.Previous == c.From && c.From != ""
			out.Undo = v.may("operator") && (undone || c.State == "stuck" && one.State == "stuck")
		}
	}
	if codeShape.MatchString(c.Reason) {
		out.Reason = c.Reason
		out.Means = v.ui.in(v.lang).known("help_trust."+c.Reason+".title", "")
	}
	return show("updates_change", out)
}
