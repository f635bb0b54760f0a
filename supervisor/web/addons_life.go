package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/castellan/castellan/supervisor/api"
)

// lifePage asks before an add-on comes, may do more, or goes.
type lifePage struct {
	*addonPage
	New   []may // rights that are asked for
	Again bool  // they are others than were shown before
	Tick  bool  // nobody ticked that he agrees
	Wrong bool  // the name was typed wrong
	Data  string
	Fault *fault
	Can   bool // nothing stands in the way
}

// lifePage reads what such a page shows.
func (v *visit) lifePage() (*lifePage, error) {
	info, err := v.api.Addon(v.ctx(), v.slug(), v.lang)
	if err != nil {
		return nil, err
	}
	p, err := v.aboutAddon(info, "")
	if err != nil {
		return nil, err
	}
	out := &lifePage{addonPage: p, Data: api.DataKeep, Can: info.Available && !p.Card.Barred()}
	for _, r := range info.Asks {
		out.New = append(out.New, v.right(r))
	}
	return out, nil
}

// shown are the codes of the rights that a form showed.
func (v *visit) shown() []string { return v.r.PostForm["asks"] }

// addonInstall tells what comes before it comes.
func (v *visit) addonInstall() (answer, error) {
	p, err := v.lifePage()
	if err != nil {
		return answer{}, err
	}
	if p.Card.Installed() {
		return seeOther(v.home()), nil
	}
	return show("addon_install", p)
}

func (v *visit) postAddonInstall() (answer, error) {
	back := func(change func(*lifePage)) (answer, error) {
		p, err := v.lifePage()
		if err != nil {
			return answer{}, err
		}
		change(p)
		return answer{view: "addon_install", data: p, status: http.StatusUnprocessableEntity}, nil
	}
	if len(v.shown()) > 0 && v.form("agree") == "" {
		return back(func(p *lifePage) { p.Tick = true })
	}
	r := api.InstallRequest{Start: v.form("start") != "", Asks: v.shown()}
	var a api.Accepted
	var err error
	if v.form("build") != "" {
		err = v.lengthy(func(ctx context.Context) (err error) {
			_, err = v.api.InstallAddon(ctx, v.slug(), r)
			return err
		})
		if errors.Is(err, errGoesOn) {
			return v.done(v.home(), "addons.building")
		}
	} else {
		a, err = v.api.InstallAddon(v.ctx(), v.slug(), r)
	}
	var e *api.Error
	switch {
	case asks(err) && errors.As(err, &e): // others than were shown: a new version came meanwhile
		_, now := e.Asks()
		return back(func(p *lifePage) {
			p.New, p.Again = nil, true
			for _, r := range now {
				p.New = append(p.New, v.right(r))
			}
		})
	case errors.As(err, &e) && e.Status == http.StatusBadRequest:
		return back(func(p *lifePage) {
			f := v.fail(err)
			p.Fault = &f
		})
	}
	return v.accepted(v.home(), "addons.installing", a, err)
}

// addonConsent shows what an update may do besides.
func (v *visit) addonConsent() (answer, error) {
	p, err := v.lifePage()
	if err != nil {
		return answer{}, err
	}
	if len(p.New) == 0 {
		return seeOther(v.home()), nil
	}
	return show("addon_consent", p)
}

func (v *visit) postAddonConsent() (answer, error) {
	p, err := v.lifePage()
	if err != nil {
		return answer{}, err
	}
	if v.form("agree") == "" {
		p.Tick = true
		return answer{view: "addon_consent", data: p, status: http.StatusUnprocessableEntity}, nil
	}
	a, err := v.api.ConsentAddon(v.ctx(), v.slug(), api.ConsentRequest{Version: v.form("version"), Asks: v.shown()})
	if asks(err) {
		p.Again = true
		return answer{view: "addon_consent", data: p, status: http.StatusUnprocessableEntity}, nil
	}
	if err == nil && len(a.Changes) == 0 { // it was noted; the update waits for a word
		a, err = v.changes(v.updating())
	}
	return v.accepted(v.home(), "addons.agreed", a, err)
}

// addonUninstall asks what becomes of the data.
func (v *visit) addonUninstall() (answer, error) {
	p, err := v.lifePage()
	if err != nil {
		return answer{}, err
	}
	if !p.Card.Installed() && p.Info.Kept == nil {
		return seeOther(v.home()), nil
	}
	if !p.Card.Installed() {
		p.Data = api.DataDelete
	}
	return show("addon_uninstall", p)
}

func (v *visit) postAddonUninstall() (answer, error) {
	p, err := v.lifePage()
	if err != nil {
		return answer{}, err
	}
	p.Data = v.form("data")
	if p.Data == api.DataDelete && v.form("confirm") != p.Info.Name && v.form("confirm") != p.Info.Slug {
		p.Wrong = true
		return answer{view: "addon_uninstall", data: p, status: http.StatusUnprocessableEntity}, nil
	}
	a, err := v.api.UninstallAddon(v.ctx(), v.slug(), api.UninstallRequest{Data: p.Data})
	to := v.home()
	if p.Info.Detached { // nobody offers it: its page goes with it
		to = "/ui/addons"
	}
	return v.accepted(to, "addons.removing", a, err)
}
