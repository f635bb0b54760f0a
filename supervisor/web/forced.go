package web

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"

	"github.com/castellan/castellan/supervisor/api"
)

// forcedPage shows a permission that was given, the record that was made of it, and how it goes on.
type forcedPage struct {
	Service  string
	Name     string
	ID       string
	Seq      uint64
	Override *api.OverrideState // nil = it waits no more and nothing runs by it
	Record   *logRow            // nil = it can't be read now
	Kind     string             // of the change that was refused: update, install, rollback; "" = not known
	Slug     string
	Version  string
	Course   *course // the change that uses it
}

// Waits tells that the permission can be used.
func (p forcedPage) Waits() bool { return p.Override != nil && p.Override.State == "waiting" }

// Title is the key of the page's heading.
func (p forcedPage) Title() string {
	switch {
	case p.Waits():
		return "force.done_title"
	case p.Override != nil:
		return "force.runs_title"
	}
	return "force.gone_title"
}

func seqText(n uint64) string { return strconv.FormatUint(n, 10) }

func (v *visit) forced() (answer, error) {
	p := forcedPage{Service: v.query("service"), ID: v.query("id")}
	p.Seq, _ = strconv.ParseUint(v.query("record"), 10, 64) // what is no number is no record
	list, err := v.api.Overrides(v.ctx())
	if err != nil {
		return answer{}, err
	}
	if i := slices.IndexFunc(list.Overrides, func(o api.OverrideState) bool { return o.ID == p.ID && o.Service == p.Service }); i >= 0 {
		o := list.Overrides[i]
		p.Override, p.Slug, p.Version = &o, o.Slug, o.Version
	}
	p.Name = v.called(p.Service, p.Slug)
	if r, err := v.logRecord(p.Seq, false); err == nil && r.Kind == "override" && r.Service == p.Service {
		p.Record = r
	}
	if all, err := v.api.Changes(v.ctx()); err == nil { // without it the page only says less
		p.since(v, all.Changes)
	}
	return show("forced", p)
}

// since looks, newest first, for the change that uses the permission, and for the one it was given for.
func (p *forcedPage) since(v *visit, all []api.Change) {
	for _, c := range all {
		switch {
		case c.Service != p.Service:
		case c.State == "refused" || c.State == "deferred":
			p.Kind, p.Slug, p.Version = c.Kind, c.Slug, c.To
			return
		case p.Override != nil && (p.Override.Change == c.ID || !c.Done):
			one := v.course(c)
			p.Course = &one
		}
	}
}

// forcedAt is the page of a permission, from the fields of its forms.
func (v *visit) forcedAt() string {
	return "/ui/trust/forced?" + url.Values{"id": {v.form("id")}, "service": {v.form("service")}, "record": {v.form("record")}}.Encode()
}

// postForcedGo has the permission used.
func (v *visit) postForcedGo() (answer, error) {
	service, back, r := v.form("service"), v.form("kind") == "rollback", api.UpdateRequest{Service: v.form("service"), Version: v.form("version")}
	done, err := v.changes(func(ctx context.Context) (api.Accepted, error) {
		if back {
			return v.api.Rollback(ctx, service)
		}
		return v.api.Update(ctx, r)
	})
	switch {
	case errors.Is(err, errGoesOn):
		return v.done(v.forcedAt(), "change.asked_for")
	case err != nil:
		return v.again(v.forcedAt(), err)
	case len(done.Changes) == 0 && len(done.Skips) > 0:
		skip := done.Skips[0]
		return v.again(v.forcedAt(), &api.Error{Key: skip.Code, Message: v.say("force.not_started", v.skipSaid(skip))})
	}
	return v.done(v.forcedAt(), "force.started")
}

// skipSaid is why something does not move, in the visitor's language where there is a text for it.
func (v *visit) skipSaid(s api.PlanSkip) string {
	if p, ok := v.helpAbout(s.Code); ok {
		return p.Title
	}
	return s.Why
}

// postForcedEnd takes the permission back.
func (v *visit) postForcedEnd() (answer, error) {
	if err := v.api.EndOverride(v.ctx(), v.form("id")); err != nil {
		return v.again(v.back("/ui/trust/images"), err)
	}
	return v.done(v.back("/ui/trust/images"), "force.ended")
}
