package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// serviceScreens are the page of one service's updates and what can be decided there.
var serviceScreens = []screen{
	{"GET", "/ui/updates/services/{service}", api.Viewer, (*visit).service},
	{"GET", "/ui/updates/services/{service}/back", api.Viewer, (*visit).goBack},
	{"POST", "/ui/updates/services/{service}/back", api.Operator, (*visit).postGoBack},
	{"POST", "/ui/updates/services/{service}/mode", api.Operator, (*visit).postMode},
	{"POST", "/ui/updates/services/{service}/hold", api.Operator, (*visit).postHold},
	{"POST", "/ui/updates/services/{service}/unhold", api.Operator, (*visit).postUnhold},
	{"POST", "/ui/updates/services/{service}/skip", api.Operator, (*visit).postSkip},
	{"POST", "/ui/updates/services/{service}/unskip", api.Operator, (*visit).postUnskip},
}

// servicePath is the address of a service's page here.
func servicePath(service string) string { return "/ui/updates/services/" + url.PathEscape(service) }

// servicePage is one service.
type servicePage struct {
	offer
	Running []course
	Asked   []askedFor
	Ended   []course
	Hold    holdForm
	Modes   []string
	Addon   string // address of the add-on's page, "" = it is none
	Rights  []api.Right
}

// holdForm is what was typed to begin a hold.
type holdForm struct {
	Until, Why string
	Fault      *fault
}

// modes are those that can be chosen.
var modes = []string{"ask", "auto", "off"}

func (v *visit) service() (answer, error) { return v.servicePage(holdForm{}) }

func (v *visit) servicePage(hold holdForm) (answer, error) {
	h, err := v.updatesNow()
	if err != nil {
		return answer{}, err
	}
	o, err := v.offerOf(h)
	if err != nil {
		return answer{}, err
	}
	one := []offer{o}
	v.read(one)
	out := servicePage{offer: one[0], Hold: hold, Modes: modes}
	own := slices.DeleteFunc(slices.Clone(h.Changes), func(c api.Change) bool { return c.Service != o.Service })
	out.Running, out.Ended = v.courses(own, recent)
	out.Asked = v.asking(one, out.Running)
	if o.Slug != "" {
		out.Addon = "/ui/addons/" + url.PathEscape(o.Slug)
		if len(o.Consent) > 0 {
			if info, err := v.api.Addon(v.ctx(), o.Slug, v.lang); err == nil { // without it the codes serve
				out.Rights = info.Asks
			}
		}
	}
	a, err := show("updates_service", out)
	if hold.Fault != nil {
		a.status = http.StatusUnprocessableEntity
	}
	return a, err
}

// offerOf is the service that the address names.
func (v *visit) offerOf(h houseOfUpdates) (offer, error) {
	name := v.r.PathValue("service")
	for _, o := range h.Offers {
		if o.Service == name {
			return o, nil
		}
	}
	return offer{}, &api.Error{Status: http.StatusNotFound, Key: "no_page", Message: v.say("updates.no_such", tame(name)), Next: v.say("updates.no_such_next")}
}

// goBack asks whether a service shall really go back.
func (v *visit) goBack() (answer, error) {
	h, err := v.updatesNow()
	if err != nil {
		return answer{}, err
	}
	o, err := v.offerOf(h)
	if err != nil {
		return answer{}, err
	}
	return show("updates_back", o)
}

func (v *visit) postGoBack() (answer, error) {
	service := v.r.PathValue("service")
	return v.begin(service, servicePath(service), func(ctx context.Context) (api.Accepted, error) { return v.api.Rollback(ctx, service) })
}

// decided sends the visitor back after a decision.
func (v *visit) decided(d api.Decision, err error, key string, args ...any) (answer, error) {
	service := v.r.PathValue("service")
	to := v.back(servicePath(service))
	switch {
	case err != nil:
		return v.again(to, err)
	case !d.Changed:
		return v.done(to, "updates.as_before")
	}
	return v.done(to, key, append([]any{v.called(service, "")}, args...)...)
}

func (v *visit) postMode() (answer, error) {
	mode := v.form("mode")
	d, err := v.api.SetMode(v.ctx(), api.ModeRequest{Service: v.r.PathValue("service"), Mode: mode})
	said := mode
	if mode == "default" && d.Service != nil {
		said = d.Service.Mode
	}
	if err == nil && !v.known("updates.mode_"+said) {
		said = "ask"
	}
	return v.decided(d, err, "updates.mode_set", v.say("updates.mode_"+said))
}

// known tells whether the catalogue has a text.
func (v *visit) known(key string) bool {
	_, ok := v.ui.in(v.lang).words[key]
	return ok
}

// postHold begins a hold. What was typed comes back when it is not understood.
func (v *visit) postHold() (answer, error) {
	f := holdForm{Until: v.form("until"), Why: v.form("why")}
	r := api.HoldRequest{Service: v.r.PathValue("service"), Until: strings.Replace(f.Until, "T", " ", 1), Why: f.Why} // as browsers write a time
	d, err := v.api.Hold(v.ctx(), r)
	if err != nil {
		fail := v.fail(err)
		f.Fault = &fail
		return v.servicePage(f)
	}
	return v.decided(d, nil, "updates.held")
}

func (v *visit) postUnhold() (answer, error) {
	d, err := v.api.Hold(v.ctx(), api.HoldRequest{Service: v.r.PathValue("service"), End: true})
	return v.decided(d, err, "updates.unheld")
}

func (v *visit) postSkip() (answer, error) {
	d, err := v.api.Skip(v.ctx(), api.SkipRequest{Service: v.r.PathValue("service"), Version: v.form("version")})
	return v.decided(d, err, "updates.skipped", v.form("version"))
}

func (v *visit) postUnskip() (answer, error) {
	d, err := v.api.Skip(v.ctx(), api.SkipRequest{Service: v.r.PathValue("service"), Version: v.form("version"), End: true})
	return v.decided(d, err, "updates.unskipped", v.form("version"))
}
