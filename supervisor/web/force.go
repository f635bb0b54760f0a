package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// forceScreens let one image in, once, although something stands against it (TRUST.md §7). Who may not do that reads who can.
var forceScreens = []screen{
	{"GET", "/ui/trust/force", api.Viewer, (*visit).force},
	{"POST", "/ui/trust/force", api.Viewer, (*visit).postForce},
	{"GET", "/ui/trust/forced", api.Viewer, (*visit).forced},
	{"POST", "/ui/trust/forced/go", api.Viewer, (*visit).postForcedGo},
	{"POST", "/ui/trust/forced/end", api.Viewer, (*visit).postForcedEnd},
}

// mostWhy is how long a reason can be, in bytes.
const mostWhy = 1000

// forcePage asks whether something is to be let in all the same.
type forcePage struct {
	api.Refusal
	Name    string // of the service, as people call it; it is typed again for what is dangerous
	Badge   string
	Reasons []forceReason
	Never   bool // one of them can't be forced
	Typed   bool // one of them wants the name

	Why          string // as it was typed
	Confirm      string
	WhyFault     string
	ConfirmFault string
	Fault        *fault
}

// forceReason is a reason in words.
type forceReason struct {
	helpPage
	Detail  string
	Force   string
	Known   string // "" = it can't be forced
	Unknown string
}

// forcePage reads what stands against a service's image now.
func (v *visit) forcePage(service string) (forcePage, error) {
	r, err := v.api.Against(v.ctx(), service)
	if err != nil {
		return forcePage{}, err
	}
	out := forcePage{Refusal: r, Name: v.called(r.Change.Service, r.Change.Slug), Badge: badgeOf(r.Outcome, r.Change.Reason)}
	words := v.ui.in(v.lang)
	for _, s := range r.Reasons {
		one := forceReason{helpPage: v.reasonHelp(s.Code, s.Words), Detail: s.Detail, Force: s.Force}
		one.Known, one.Unknown = words.known("help_trust."+s.Code+".known", ""), words.known("help_trust."+s.Code+".unknown", "")
		out.Reasons = append(out.Reasons, one)
		out.Never = out.Never || s.Force == "no"
		out.Typed = out.Typed || s.Force == "typed"
	}
	return out, nil
}

// reasonHelp is what is known of a reason code: of one from a newer daemon, the daemon's own words.
func (v *visit) reasonHelp(code, words string) helpPage {
	if p, ok := v.helpAbout(code); ok {
		return p
	}
	return helpPage{Code: code, Title: words, What: words}
}

func (v *visit) force() (answer, error) {
	p, err := v.forcePage(v.query("service"))
	if err != nil {
		return answer{}, err
	}
	return show("force", p)
}

// postForce gives the permission. It covers what the visitor was shown, and nothing that has come up since.
func (v *visit) postForce() (answer, error) {
	p, err := v.forcePage(v.form("service"))
	if err != nil {
		return answer{}, err
	}
	p.Why, p.Confirm = v.form("why"), v.form("confirm")
	switch {
	case p.Why == "":
		p.WhyFault = v.say("force.why_missing")
	case len(p.Why) > mostWhy:
		p.WhyFault = v.say("force.why_long")
	}
	req := api.ForceRequest{Service: p.Change.Service, Digest: v.form("digest"), Reasons: v.r.PostForm["reason"], Why: p.Why}
	if p.Typed {
		if !strings.EqualFold(p.Confirm, p.Name) && p.Confirm != p.Change.Service {
			p.ConfirmFault = v.say("force.confirm_wrong", p.Name)
		}
		req.Confirm = p.Change.Service
	}
	if !p.asShown(req) {
		p.Fault = &fault{What: v.say("force.moved"), Code: "override_refused"}
	}
	if p.WhyFault == "" && p.ConfirmFault == "" && p.Fault == nil {
		o, err := v.api.Force(v.ctx(), req)
		if err == nil {
			return seeOther("/ui/trust/forced?" + url.Values{"id": {o.ID}, "service": {o.Service}, "record": {seqText(o.Seq)}}.Encode()), nil
		}
		f := v.fail(err)
		p.Fault = &f
	}
	return answer{view: "force", data: p, status: http.StatusUnprocessableEntity}, nil
}

// asShown tells whether a request names the image and all the reasons that stand now.
func (p forcePage) asShown(r api.ForceRequest) bool {
	if r.Digest != p.Digest || len(r.Reasons) != len(p.Reasons) || len(p.Reasons) == 0 {
		return false
	}
	for i, one := range p.Reasons {
		if one.Code != r.Reasons[i] {
			return false
		}
	}
	return true
}
