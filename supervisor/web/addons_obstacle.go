package web

import (
	"cmp"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
)

// obstacle is why an image is not let in, or not any more, or did not work: what happened, what is unchanged, what to do, and the code of the
// page that tells more.
type obstacle struct {
	Tone, Icon string
	Said       string // what happened, and Means what that says
	Means      string
	Still      string
	Next       string
	Why        string // in the daemon's words
	Code       string // "" = not known
	Verdict    uint64 // the record of it, 0 = none of its own
	Change     string // address of the change that tells it all, "" = none
	Force      bool   // there is something to force
}

// obstacle says what stands in the way of an add-on, nil = nothing. The last try says it best; without one the image itself does.
func (v *visit) obstacle(c card, info api.AddonInfo) *obstacle {
	out := obstacle{Tone: "bad", Icon: "shield-x", Still: v.say("addons.refused_none")}
	if c.Installed() {
		out.Still = v.say("addons.refused_still", c.Version)
	}
	switch {
	case c.Refused != nil && (c.Installed() || c.Barred()): // else the image is another by now, or its signature came
		out.Said, out.Why, out.Code, out.Verdict, out.Force = c.Refused.Said()+".", c.Refused.Why, c.Refused.Reason, c.Refused.Verdict, true
	case badBadges[c.Badge]:
		out.Said, out.Why, out.Code = v.say("addons.bad_"+c.Seal()), info.Evidence, info.Reason
		out.Means = v.say("addons.bad_" + c.Seal() + "_what")
		if c.Installed() { // whether it runs, its state says
			out.Still = v.say("addons.data_untouched")
		}
		if c.Badge == "withdrawn" {
			out.Code = cmp.Or(out.Code, string(trust.Revoked))
		}
	case c.PutOff != nil && (c.Installed() || c.Badge == "not checked"): // else it can be checked by now
		out.Tone, out.Icon = "info", "shield-question-mark"
		out.Said, out.Why, out.Code, out.Verdict = c.PutOff.Said()+".", c.PutOff.Why, cmp.Or(c.PutOff.Reason, info.Reason), c.PutOff.Verdict
	case c.Back != nil:
		return &obstacle{Tone: "warn", Icon: c.Back.Icon(), Said: c.Back.Said() + ".", Still: c.Back.Unchanged(), Next: c.Back.After(), Why: c.Back.Why, Change: c.Back.Href()}
	default:
		return nil
	}
	switch trust.Reason(out.Code) {
	case trust.Revoked:
		out.Icon = "shield-off"
	case trust.SignatureMissing:
		out.Icon = "shield"
	}
	if help, ok := v.helpAbout(out.Code); ok {
		out.Means, out.Next = cmp.Or(out.Means, help.Title+"."), help.You
		if out.Tone == "info" { // that it could not be checked is said already
			out.Means = help.What
		}
	} else {
		out.Code = ""
	}
	if out.Tone == "info" && !c.Installed() { // nobody tries it again by himself
		out.Next = v.say("addons.try_again")
	}
	out.Next = cmp.Or(out.Next, v.say("addons.refused_next"))
	return &out
}
