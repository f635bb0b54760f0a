package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// postAddonOptions keeps what the form sent, or shows it again with what is wrong beside the field.
func (v *visit) postAddonOptions() (answer, error) {
	info, err := v.api.Addon(v.ctx(), v.slug(), v.lang)
	if err != nil {
		return answer{}, err
	}
	do := v.form("do")
	if do == "reset" {
		kept, err := v.api.SetAddonOptions(v.ctx(), v.slug(), nil)
		if err != nil {
			return v.again(v.home(), err)
		}
		return v.saved(kept)
	}
	asked := formReader{v.r.PostForm, do}.options(info.Schema)
	kept, wrong, err := v.keep(info, asked, do != "" && do != "save")
	if err != nil {
		return answer{}, err
	}
	if wrong == nil {
		return v.saved(kept)
	}
	a, err := v.showAddon(info, func(p *addonPage) {
		p.Form = v.typedForm(info, asked)
		if wrong.Message != "" {
			p.Form.tell(wrong.Path, wrong.Message)
		}
	})
	if wrong.Message == "" { // a list grew or shrank
		a.status = http.StatusOK
	}
	return a, err
}

// typedForm is the form with what was typed. Secrets that were typed are not sent back.
func (v *visit) typedForm(info api.AddonInfo, asked map[string]any) *optionsForm {
	b := formBuilder{v}
	f := &optionsForm{Fields: b.fields(info.Schema, asked, info.Translation, "o", "", 0), Edited: true}
	keepSecrets(f.Fields, info.Options)
	return f
}

// keepSecrets has fields of secrets that were typed and are not sent back stand for those in force, outside of lists.
func keepSecrets(fields []*formField, now map[string]any) {
	for _, f := range fields {
		name := asText(f.spec["name"])
		if f.Again {
			f.Set = asText(now[name]) != ""
		}
		below, _ := now[name].(map[string]any)
		keepSecrets(f.Fields, below)
	}
}

// keep sets options after they were found good. Those of the author that nobody changed stay his: a later version may bring
// better ones. wrong says what is not good, with only a look nothing.
func (v *visit) keep(info api.AddonInfo, asked map[string]any, look bool) (kept api.Kept, wrong *api.OptionsCheck, err error) {
	if look {
		return kept, &api.OptionsCheck{}, nil
	}
	now := veil(info.Options, info.Schema)
	own := map[string]any{}
	for name, value := range asked {
		_, before := info.Overrides[name]
		was, there := now[name]
		if before || !there || !alike(value, was) {
			own[name] = value
		}
	}
	b, err := api.AddonOptions(own).MarshalJSON()
	if err != nil {
		return kept, nil, err
	}
	check, err := v.api.CheckAddonOptions(v.ctx(), v.slug(), json.RawMessage(b))
	if err == nil && !check.Valid {
		return kept, &check, nil
	}
	for _, name := range check.Dropped { // what was there before would be left out with a word; what somebody writes now is a slip
		if top, _, _ := strings.Cut(name, "."); !has(now, top) && has(asked, top) {
			return kept, &api.OptionsCheck{Path: name, Message: v.say("addons.unknown_option")}, nil
		}
	}
	if err == nil {
		kept, err = v.api.SetAddonOptions(v.ctx(), v.slug(), json.RawMessage(b))
	}
	var e *api.Error
	if errors.As(err, &e) && e.Key == api.KeyAddonOptions {
		return kept, &api.OptionsCheck{Message: e.Message}, nil
	}
	return kept, nil, err
}

func has(m map[string]any, name string) bool {
	_, ok := m[name]
	return ok
}

func alike(a, b any) bool {
	x, errX := api.AddonOptions{"": a}.MarshalJSON()
	y, errY := api.AddonOptions{"": b}.MarshalJSON()
	return errX == nil && errY == nil && string(x) == string(y)
}

// tell puts what is wrong beside its field; the nearest one above serves when there is none of just that path.
func (f *optionsForm) tell(path, message string) {
	var best *formField
	var walk func([]*formField)
	walk = func(list []*formField) {
		for _, one := range list {
			if path == one.Path || strings.HasPrefix(path, one.Path+".") || strings.HasPrefix(path, one.Path+"[") {
				best = one
				walk(one.Fields)
				for _, item := range one.Items {
					walk(item.Fields)
				}
			}
		}
	}
	walk(f.Fields)
	f.Where, f.Error = path, message
	if best != nil {
		best.Error = message
		if rest := strings.TrimPrefix(path, best.Path); rest != "" {
			best.Error = rest + ": " + message
		}
	}
}

// addonYAML is the first tab with the options as text.
func (v *visit) addonYAML() (answer, error) {
	info, err := v.api.Addon(v.ctx(), v.slug(), v.lang)
	if err != nil {
		return answer{}, err
	}
	if info.Version == "" {
		return seeOther(v.home()), nil
	}
	a, err := v.showAddon(info, func(p *addonPage) {
		p.Form, p.YAML = nil, newYAML(yamlOf(veil(info.Options, info.Schema), info.Schema, info.Translation))
	})
	a.status = http.StatusOK
	return a, err
}

func (v *visit) postAddonYAML() (answer, error) {
	info, err := v.api.Addon(v.ctx(), v.slug(), v.lang)
	if err != nil {
		return answer{}, err
	}
	text := v.r.PostFormValue("yaml")
	form := newYAML(text)
	asked, err := readYAML(text)
	if err != nil {
		form.Error = strings.TrimSpace(err.Error())
	} else {
		kept, wrong, err := v.keep(info, asked, false)
		switch {
		case err != nil:
			return answer{}, err
		case wrong == nil:
			return v.saved(kept)
		}
		form.Where, form.Error = wrong.Path, wrong.Message
	}
	return v.showAddon(info, func(p *addonPage) { p.Form, p.YAML = nil, form })
}
