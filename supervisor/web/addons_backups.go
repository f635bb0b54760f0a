package web

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/supervisor/api"
)

// addonBackups are the backups that hold the add-on.
func (v *visit) addonBackups() (answer, error) {
	return v.tab("backups", func(p *addonPage) error {
		list, err := v.api.Backups(v.ctx())
		var e *api.Error
		if errors.As(err, &e) {
			f := v.fail(err)
			p.Fault = &f
			return nil
		}
		for _, b := range list.Backups {
			if slices.Contains(b.Content.Addons, p.Info.Slug) {
				p.Backups = append(p.Backups, b)
			}
		}
		return err
	})
}

// addonAlone is a list of this add-on only.
func (v *visit) addonAlone() (jsontext.Value, error) {
	b, err := json.Marshal([]string{v.slug()})
	return jsontext.Value(b), err
}

func (v *visit) postAddonBackup() (answer, error) {
	only, err := v.addonAlone()
	if err != nil {
		return answer{}, err
	}
	to := v.home() + "/backups"
	in := api.BackupPartial{BackupFull: api.BackupFull{Name: v.form("name"), Password: v.r.PostFormValue("password")}, Addons: only}
	err = v.lengthy(func(ctx context.Context) error {
		_, err := v.api.PartialBackup(ctx, in)
		return err
	})
	switch {
	case errors.Is(err, errGoesOn):
		return v.done(to, "addons.backup_goes_on")
	case err != nil:
		return v.again(to, err)
	}
	return v.done(to, "addons.backup_made")
}

func (v *visit) postAddonRestore() (answer, error) {
	only, err := v.addonAlone()
	if err != nil {
		return answer{}, err
	}
	to := v.home() + "/backups"
	in := api.RestorePartial{RestoreFull: api.RestoreFull{Password: v.r.PostFormValue("password")}, Addons: only}
	err = v.lengthy(func(ctx context.Context) error {
		_, err := v.api.RestorePartial(ctx, v.r.PathValue("backup"), in)
		return err
	})
	switch {
	case errors.Is(err, errGoesOn):
		return v.done(to, "addons.restore_goes_on")
	case err != nil:
		return v.again(to, err)
	}
	return v.done(to, "addons.restored")
}
