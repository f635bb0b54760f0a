package web

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

func (v *visit) postAddonStart() (answer, error) {
	a, err := v.api.StartAddon(v.ctx(), v.slug())
	return v.accepted(v.back(v.home()), "addons.started", a, err)
}

func (v *visit) postAddonStop() (answer, error) {
	a, err := v.api.StopAddon(v.ctx(), v.slug())
	return v.accepted(v.back(v.home()), "addons.stopped", a, err)
}

func (v *visit) postAddonRestart() (answer, error) {
	a, err := v.api.RestartAddon(v.ctx(), v.slug())
	return v.accepted(v.back(v.home()), "addons.restarted", a, err)
}

func (v *visit) postAddonUpdate() (answer, error) {
	a, err := v.changes(v.updating())
	if asks(err) {
		return seeOther(v.home() + "/consent"), nil
	}
	return v.accepted(v.back(v.home()), "addons.updating", a, err)
}

// updating is the call for the update that a form names.
func (v *visit) updating() func(context.Context) (api.Accepted, error) {
	r := api.AddonUpdateRequest{Version: v.form("version")}
	return func(ctx context.Context) (api.Accepted, error) { return v.api.UpdateAddon(ctx, v.slug(), r) }
}

func (v *visit) postAddonRollback() (answer, error) {
	a, err := v.changes(func(ctx context.Context) (api.Accepted, error) { return v.api.RollbackAddon(ctx, v.slug()) })
	return v.accepted(v.home(), "addons.going_back", a, err)
}

func (v *visit) postAddonBuild() (answer, error) {
	err := v.lengthy(func(ctx context.Context) error {
		_, err := v.api.BuildAddon(ctx, v.slug(), api.BuildRequest{})
		return err
	})
	switch {
	case asks(err):
		return seeOther(v.home() + "/consent"), nil
	case err != nil && !errors.Is(err, errGoesOn):
		return v.again(v.home(), err)
	}
	return v.done(v.home(), "addons.building")
}

// asks tells whether an error is about rights that nobody agreed to yet.
func asks(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Key == api.KeyConsent
}

// postAddonSwitches sets how it is updated, started and watched over. Who may decide the updates alone sends them alone.
func (v *visit) postAddonSwitches() (answer, error) {
	if mode := v.form("mode"); mode != "" && mode != v.form("mode_was") {
		if _, err := v.api.SetMode(v.ctx(), api.ModeRequest{Service: "addon_" + v.slug(), Mode: mode}); err != nil {
			return v.again(v.home(), err)
		}
	}
	if v.form("all") != "" {
		boot, watch := "manual", v.form("watchdog") != ""
		if v.form("boot") != "" {
			boot = "auto"
		}
		var set api.SettingsRequest // what was switched here: the rest may have been switched elsewhere since
		if was := v.form("watchdog_was"); was == "" || watch != (was == "on") {
			set.Watchdog = &watch
		}
		if v.form("boot_fixed") == "" && boot != v.form("boot_was") {
			set.Boot = &boot
		}
		if set.Boot != nil || set.Watchdog != nil {
			if _, err := v.api.SetAddon(v.ctx(), v.slug(), set); err != nil {
				return v.again(v.home(), err)
			}
		}
	}
	return v.done(v.home(), "addons.switches_saved")
}

// postAddonProtection switches the protection on, or off after its owner has said that he knows what that means.
func (v *visit) postAddonProtection() (answer, error) {
	on := v.form("protected") == "on"
	if !on && v.form("understood") == "" {
		v.ui.notes.add(v.me.CSRF, note{Tone: "bad", Text: v.say("addons.protection_tick")})
		return seeOther(v.home() + "#protection"), nil
	}
	if _, err := v.api.SetAddon(v.ctx(), v.slug(), api.SettingsRequest{Protected: &on}); err != nil {
		return v.again(v.home(), err)
	}
	if on {
		return v.done(v.home(), "addons.protection_on")
	}
	return v.done(v.home(), "addons.protection_off")
}

// postAddonPorts sets the host's ports. What is wrong stands beside the table, with what was typed.
func (v *visit) postAddonPorts() (answer, error) {
	info, err := v.api.Addon(v.ctx(), v.slug(), v.lang)
	if err != nil {
		return answer{}, err
	}
	ports, typed, wrong := map[string]*uint16{}, map[string]string{}, ""
	for i, p := range info.Ports {
		text := v.form("port" + strconv.Itoa(i))
		typed[p.Container] = text
		if text == "" {
			ports[p.Container] = nil
			continue
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			wrong = v.say("addons.port_number", text)
			continue
		}
		host := uint16(n)
		ports[p.Container] = &host
	}
	var kept api.Kept
	if wrong == "" && len(ports) > 0 {
		kept, err = v.api.SetAddon(v.ctx(), v.slug(), api.SettingsRequest{Ports: ports})
		var e *api.Error
		switch {
		case errors.As(err, &e):
			wrong = strings.TrimSpace(e.Message)
		case err != nil:
			return answer{}, err
		}
	}
	if wrong != "" {
		return v.showAddon(info, func(p *addonPage) { p.Typed, p.PortError = typed, wrong })
	}
	return v.saved(kept)
}

// saved sends the visitor on after settings were kept, and restarts the add-on when he asked for that.
func (v *visit) saved(k api.Kept) (answer, error) {
	if len(k.Dropped) > 0 {
		v.ui.notes.add(v.me.CSRF, note{Tone: "warn", Text: v.say("addons.dropped", strings.Join(k.Dropped, ", "))})
	}
	if v.form("then") == "restart" && k.Restart {
		a, err := v.api.RestartAddon(v.ctx(), v.slug())
		return v.accepted(v.home(), "addons.saved_restarting", a, err)
	}
	if k.Restart {
		return v.done(v.home(), "addons.saved_restart")
	}
	return v.done(v.home(), "addons.saved")
}
