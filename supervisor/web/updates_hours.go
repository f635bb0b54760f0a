package web

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/castellan/castellan/supervisor/api"
)

// windowScreens are the hours in which updates may begin by themselves.
var windowScreens = []screen{
	{"GET", "/ui/updates/windows", api.Viewer, (*visit).windows},
	{"POST", "/ui/updates/windows", api.Operator, (*visit).postWindow},
	{"POST", "/ui/updates/windows/remove", api.Operator, (*visit).postWindowRemoval},
}

// weekdays are the days of a week as the API names them.
var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// windowsPage lists the windows, and is a form for one more.
type windowsPage struct {
	Windows []api.Window
	Open    bool
	List    api.DecisionList
	Form    windowForm
	Days    []string
}

// windowForm is what was typed.
type windowForm struct {
	Days           []string
	From, To, Zone string
	Fault          *fault
}

// Has tells whether a day is chosen.
func (f windowForm) Has(day string) bool { return slices.Contains(f.Days, day) }

func (v *visit) windows() (answer, error) {
	return v.windowsPage(windowForm{From: "02:00", To: "05:00"})
}

func (v *visit) windowsPage(f windowForm) (answer, error) {
	d, err := v.api.Decisions(v.ctx())
	if err != nil {
		return answer{}, err
	}
	if f.Zone == "" {
		f.Zone = d.Zone
	}
	a, err := show("updates_windows", windowsPage{Windows: d.Windows, Open: d.Open, List: d, Form: f, Days: weekdays})
	if f.Fault != nil {
		a.status = http.StatusUnprocessableEntity
	}
	return a, err
}

func (v *visit) postWindow() (answer, error) {
	f := windowForm{Days: v.r.PostForm["days"], From: v.form("from"), To: v.form("to"), Zone: v.form("zone")}
	days := f.Days
	if len(days) == len(weekdays) {
		days = nil // every day
	}
	if _, err := v.api.AddWindow(v.ctx(), api.WindowRequest{Days: days, From: f.From, To: f.To, Zone: f.Zone}); err != nil {
		fail := v.fail(err)
		f.Fault = &fail
		return v.windowsPage(f)
	}
	return v.done("/ui/updates/windows", "updates.window_added")
}

func (v *visit) postWindowRemoval() (answer, error) {
	id, err := strconv.Atoi(v.form("id"))
	if err != nil {
		return v.again("/ui/updates/windows", &api.Error{Status: 400, Key: "form", Message: v.say("updates.no_window"), Next: v.say("updates.no_service_next")})
	}
	if _, err := v.api.RemoveWindow(v.ctx(), id); err != nil {
		return v.again("/ui/updates/windows", err)
	}
	return v.done("/ui/updates/windows", "updates.window_removed")
}

// WindowDays says in words on which days a window opens: "every day", "Mon to Fri", "Sat, Sun".
func (p page) WindowDays(days []string) string {
	v := p.v
	at := []int{}
	for i, d := range weekdays {
		if slices.Contains(days, d) {
			at = append(at, i)
		}
	}
	name := func(i int) string { return v.say("updates.day_" + weekdays[i]) }
	switch n := len(at); {
	case n == 0 || n == 7:
		return v.say("updates.every_day")
	case n > 2 && at[n-1]-at[0] == n-1:
		return v.say("updates.days_to", name(at[0]), name(at[n-1]))
	default:
		out := name(at[0])
		for _, i := range at[1:] {
			out += ", " + name(i)
		}
		return out
	}
}
