package web

import (
	"context"
	"net/url"
	"slices"
	"sort"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// updateScreens are what waits, what is held, and what was.
var updateScreens = slices.Concat([]screen{
	{"GET", "/ui/updates", api.Viewer, (*visit).updates},
	{"POST", "/ui/updates/update", api.Operator, (*visit).postUpdate},
	{"GET", "/ui/updates/all", api.Viewer, (*visit).updateAll},
	{"POST", "/ui/updates/all", api.Operator, (*visit).postUpdateAll},
	{"GET", "/ui/updates/sizes", api.Viewer, (*visit).sizes},
	{"GET", "/ui/updates/run", api.Viewer, (*visit).updateRun},
}, serviceScreens, windowScreens, historyScreens)

// updatesPage is the room's first page.
type updatesPage struct {
	houseOfUpdates
	Running []course
	Asked   []askedFor // not answered yet
	You     []offer
	Self    []offer
	Kept    []offer
	All     []offer
	Ready   int
	Recent  []course
	Unsure  string // why the channel's list does not count, or is old
	Room    bool   // on the disk
	Unsized bool   // sizes are still asked for
}

// askedFor is what somebody asked for and the daemon has not answered.
type askedFor struct {
	Name   string
	Since  time.Time
	Backup bool // one is made first
}

func (v *visit) updates() (answer, error) {
	h, err := v.updatesNow()
	if err != nil {
		return answer{}, err
	}
	out := updatesPage{houseOfUpdates: h, All: h.Offers, Room: h.Plan.Disk.Enough || h.Plan.Disk.Needed == 0}
	out.Running, out.Recent = v.courses(h.Changes, recent)
	out.Asked = v.asking(h.Offers, out.Running)
	for _, o := range h.Offers {
		if o.Status.Change != "" && o.Status.State != "stuck" {
			continue // it is told above
		}
		switch o.Group() {
		case groupYou:
			out.You = append(out.You, o)
		case groupSelf:
			out.Self = append(out.Self, o)
		case groupKept:
			out.Kept = append(out.Kept, o)
		}
	}
	for _, list := range [][]offer{out.You, out.Self, out.Kept} {
		v.read(list)
		for _, o := range list {
			if o.Ready() && o.Group() != groupKept {
				out.Ready++
			}
		}
	}
	switch c := h.Status.Channel; {
	case c.Error != "":
		out.Unsure = "updates.channel_error"
	case c.Name != "" && !c.Verified && !c.Fetched.IsZero():
		out.Unsure = "updates.channel_unverified"
	}
	out.Unsized = v.unsized(h.Offers)
	return show("updates", out)
}

// lingers is how long a change that ended stays where it was seen going on, to say how it ended.
const lingers = 20 * time.Second

// mostLingering is how many changes that ended stay at a time; the list of the last has them all.
const mostLingering = 2

// courses are the changes that go on or ended just now, of each service the newest, and so many of the last that ended or are
// stuck.
func (v *visit) courses(list []api.Change, most int) (running, ended []course) {
	lingering, seen := 0, map[string]bool{}
	for _, c := range list {
		stays := c.Done && v.now.Sub(c.Updated) < lingers && c.State != "stuck" && !seen[c.Service] && lingering < mostLingering
		if stays {
			lingering++
		}
		if !c.Done || stays {
			running = append(running, v.course(c))
		}
		seen[c.Service] = true
		switch {
		case !c.Done:
		case len(ended) < most:
			ended = append(ended, v.course(c))
		}
	}
	return running, ended
}

// asking are the services of which something was asked that the daemon has not answered, and that do not move yet.
func (v *visit) asking(offers []offer, running []course) (out []askedFor) {
	for _, o := range offers {
		at, ok := v.ui.begun.since(o.Service)
		if ok && !slices.ContainsFunc(running, func(c course) bool { return c.Service == o.Service && !c.Done }) {
			out = append(out, askedFor{o.Name, at, o.Backup})
		}
	}
	return out
}

// postUpdate asks for the update of one service, from any page.
func (v *visit) postUpdate() (answer, error) {
	r := api.UpdateRequest{Service: v.form("service"), Version: v.form("version")}
	if r.Service == "" {
		return v.again("/ui/updates", &api.Error{Status: 400, Key: "form", Message: v.say("updates.no_service"), Next: v.say("updates.no_service_next")})
	}
	return v.begin(r.Service, v.back("/ui/updates"), func(ctx context.Context) (api.Accepted, error) { return v.api.Update(ctx, r) })
}

// sizes has registries asked for sizes that are not known yet, and then shows the page that wanted them. That may take as
// long as a network does, so pages come without them first.
func (v *visit) sizes() (answer, error) {
	to := "/ui/updates"
	if v.query("next") == "/ui/" {
		to = "/ui/"
	}
	_, _ = v.api.Plan(v.ctx(), true) // without an answer the page says no sizes
	return seeOther(to + "?sized=1"), nil
}

// chosenPage is where somebody chooses which of what waits is updated.
type chosenPage struct {
	Offers   []offer
	Bytes    int64
	Unknown  bool // the size of some is not known
	Plan     api.PlanPreview
	Together bool
}

func (v *visit) updateAll() (answer, error) {
	h, err := v.updatesNow()
	if err != nil {
		return answer{}, err
	}
	out := chosenPage{Plan: h.Plan, Together: h.Plan.Together}
	for _, o := range h.Offers {
		if g := o.Group(); o.Ready() && (g == groupYou || g == groupSelf) && o.Status.Change == "" {
			out.Offers = append(out.Offers, o)
			out.Bytes += o.Bytes
			out.Unknown = out.Unknown || !o.Known
		}
	}
	v.read(out.Offers)
	return show("updates_all", out)
}

// postUpdateAll asks for those that were chosen, one after another. What one of them answers stops no other.
func (v *visit) postUpdateAll() (answer, error) {
	chosen := v.r.PostForm["service"]
	if len(chosen) == 0 {
		return v.again("/ui/updates/all", &api.Error{Status: 400, Key: "form", Message: v.say("updates.none_chosen"), Next: v.say("updates.none_chosen_next")})
	}
	chosen = chosen[:min(len(chosen), mostChosen)]
	since := v.now.UTC().Format(time.RFC3339)
	to := "/ui/updates/run?" + url.Values{"since": {since}, "service": chosen}.Encode()
	for _, service := range chosen {
		a, err := v.begin(service, to, func(ctx context.Context) (api.Accepted, error) {
			return v.api.Update(ctx, api.UpdateRequest{Service: service})
		})
		if err != nil {
			return a, err
		}
	}
	return seeOther(to), nil
}

// mostChosen bounds how many services one form asks for.
const mostChosen = 100

// runPage sums up what became of several updates. It is made of its address alone, so it can be loaded again, anywhere.
type runPage struct {
	Asked []askedFor
	Moves []course // their changes, those that go on first
	Left  []string // names of those that did not begin
	Count map[string]int
	Going bool
}

func (v *visit) updateRun() (answer, error) {
	list, err := v.api.Changes(v.ctx())
	if err != nil {
		return answer{}, err
	}
	q := v.r.URL.Query()
	since, err := time.Parse(time.RFC3339, q.Get("since"))
	if err != nil {
		return seeOther("/ui/updates/history"), nil // an address that somebody made up
	}
	out := runPage{Count: map[string]int{}}
	services := q["service"]
	for _, service := range services[:min(len(services), mostChosen)] {
		at := slices.IndexFunc(list.Changes, func(c api.Change) bool { return c.Service == service && !c.Created.Before(since) })
		if at >= 0 {
			c := v.course(list.Changes[at])
			out.Moves = append(out.Moves, c)
			out.Count[c.Outcome()]++
			out.Going = out.Going || !c.Done
		} else if begun, ok := v.ui.begun.since(service); ok {
			out.Asked = append(out.Asked, askedFor{v.called(service, ""), begun, false})
			out.Going = true
		} else {
			out.Left = append(out.Left, v.called(service, ""))
		}
	}
	sort.SliceStable(out.Moves, func(i, j int) bool { return order(out.Moves[i]) < order(out.Moves[j]) })
	return show("updates_run", out)
}

// order sorts what goes on before what ended.
func order(c course) string {
	if c.Done {
		return "1"
	}
	return "0"
}
