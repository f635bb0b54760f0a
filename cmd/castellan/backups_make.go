package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/backup/archive"
	"github.com/castellan/castellan/trust/audit"
)

// backupWork makes and restores backups for the API.
type backupWork struct{ *backupHouse }

var _ api.BackupWork = backupWork{}

// Create implements api.BackupWork.
func (b backupWork) Create(ctx context.Context, r api.BackupRequest, by string) (api.BackupMade, error) {
	return inTurn(ctx, b.backupHouse, false, func(ctx context.Context) (out api.BackupMade, err error) {
		made, err := b.make(ctx, r, archive.Owner, "")
		if err == nil {
			out.Slug, out.Notes = made.Slug, notesOf(made)
			b.decidedOn("backup "+made.Slug+" made by "+by, "")
		}
		return out, err
	})
}

func notesOf(made archive.Made) (out []string) {
	for _, n := range made.Notes {
		out = append(out, fmt.Sprintf("%s: %s: %s", n.Unit, n.Name, n.Why))
	}
	for _, err := range made.After {
		out = append(out, err.Error())
	}
	return out
}

// make makes a backup. The caller has the turn.
func (b *backupHouse) make(ctx context.Context, r api.BackupRequest, origin archive.Origin, service string) (archive.Made, error) {
	fail := func(err error) (archive.Made, error) { return archive.Made{}, backupError("", err) }
	seal, err := b.seal(r.Password)
	if err != nil {
		return fail(err)
	}
	units, err := b.units(r)
	if err != nil {
		return fail(err)
	}
	req := archive.Request{Name: r.Name, Type: archive.Partial, Origin: origin, Service: service, Version: version, Repositories: b.sources(), Seal: seal, Units: units}
	if r.Full {
		req.Type = archive.Full
	}
	if req.Name == "" {
		req.Name = fmt.Sprintf("%s backup %s", req.Type, b.now().UTC().Format(time.DateTime))
	}
	b.heed(&req)
	shown(ctx, &req)
	made, err := b.store.Create(ctx, req)
	if err != nil {
		return fail(err)
	}
	for _, err := range made.After {
		b.log.Error("a service may not be up again after its backup", "error", err)
	}
	if origin != archive.Owner {
		b.sweep(ctx, made.Slug)
	}
	return made, nil
}

// sweep removes what has come by itself and is more than is kept, but not what was just made: a clock that is wrong, or was,
// may date it before the others. What can't be removed costs space only.
func (b *backupHouse) sweep(ctx context.Context, made string) {
	items, err := b.store.List(ctx)
	if err != nil {
		b.log.Warn("cannot look for old backups to remove", "error", err)
	}
	keep := b.config().Backup.Keep
	for _, slug := range archive.Surplus(items, archive.Keep{BeforeUpdate: *keep.BeforeUpdate, Scheduled: *keep.Scheduled}) {
		if slug == made {
			continue
		}
		if err := b.store.Remove(slug); err != nil {
			b.log.Warn("cannot remove an old backup", "backup", slug, "error", err)
		}
	}
}

// decidedOn writes what was done about backups into the verification log.
func (b *backupHouse) decidedOn(what, service string) {
	who, err := b.audit.Private(what)
	if err != nil {
		b.log.Error("cannot write to the verification log", "error", err)
		return
	}
	b.note(b.ctx, audit.KindAction, map[string]any{"service": service, "what": "owner", "who": who})
}

// Verify implements api.BackupWork.
func (b backupWork) Verify(ctx context.Context, slug string) error {
	if err := b.ready(); err != nil {
		return err
	}
	f, err := b.store.Read(slug)
	if err != nil {
		return backupError(slug, err)
	}
	defer f.Close()
	return f.Verify(ctx, nil)
}

// NewKey implements api.BackupWork.
func (b backupWork) NewKey(_ context.Context, by string) (api.BackupKey, error) {
	if to := b.config().Backup.Recipient; to != "" {
		return api.BackupKey{}, &api.Error{Status: 400, Key: api.KeyBackup, Message: fmt.Sprintf("the configuration says backup.recipient: %s, which a new key would not change", to),
			Next: "delete the key from " + b.path}
	}
	identity, recipient, err := archive.NewRecoveryKey()
	if err != nil {
		return api.BackupKey{}, err
	}
	if err := archive.WriteRecipient(b.files.recipient, recipient); err != nil {
		return api.BackupKey{}, err
	}
	b.decidedOn("recovery key "+recipient+" made by "+by, "")
	return api.BackupKey{Identity: identity, Recipient: recipient}, nil
}

// errNoUnit says that a service has nothing that backups hold.
var errNoUnit = errors.New("backups hold add-ons and Home Assistant, and it is neither")

// first is saved for the API.
func (b *backupHouse) first(ctx context.Context, name string) error {
	_, err := b.saved(ctx, name)
	return err
}

// saved makes a backup of one service before its update; it waits for its turn. name may be an add-on's slug.
func (b *backupHouse) saved(ctx context.Context, name string) (archive.Made, error) {
	service, r, err := b.requestFor(name)
	if err != nil {
		return archive.Made{}, err
	}
	made, err := b.asJob(ctx, jobPartialBackup, func(ctx context.Context) (archive.Made, error) { return b.make(ctx, r, archive.BeforeUpdate, service) })
	if err == nil {
		b.log.Info("backup made before an update", "service", service, "backup", made.Slug)
	}
	return made, err
}

// requestFor is the backup of one service, named as Home Assistant does.
func (b *backupHouse) requestFor(name string) (service string, r api.BackupRequest, err error) {
	r.NoDatabase = b.config().Backup.ExcludeDatabase
	if core, ok := b.core(); ok && core.Name == name {
		st, _, _, err := b.manager.Status(name)
		r.Core, r.Name = true, "core_"+st.Version()
		return name, r, err
	}
	slug := name
	if s, ok := lifecycle.Slug(name); ok && !slices.Contains(b.addons.installs.Slugs(), name) {
		slug = s
	}
	if rec, _ := b.addons.installs.Record(slug); !rec.Installed() {
		return "", r, errNoUnit
	}
	st, _, _, err := b.manager.Status(lifecycle.Service(slug))
	r.Addons, r.Name = []string{slug}, "addon_"+slug+"_"+st.Version()
	return lifecycle.Service(slug), r, err
}
