package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/backup/archive"
	"github.com/castellan/castellan/supervisor/jobs"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// restore is one restore under way.
type restore struct {
	*backupHouse
	backup   *archive.Backup
	key      archive.Key
	by       api.Caller
	targets  []archive.Target
	settings map[string]addons.Settings // by add-on
	start    []string                   // add-ons that run afterwards
	stopped  []string                   // of those
	hold     []string                   // services that rest meanwhile
	own      bool                       // Castellan's own part comes back too
	job      *jobs.Job                  // nil = nobody looks
	notes    []string
	claims   []func() // see lifecycle.Importing
}

// Restore implements api.BackupWork: what is not installed is installed by the ordinary way, everything is unpacked and
// checked beside its place, and then services rest while it is exchanged.
func (b backupWork) Restore(ctx context.Context, slug string, r api.RestoreRequest, by api.Caller) (api.Restored, error) {
	return inTurn(ctx, b.backupHouse, false, func(ctx context.Context) (out api.Restored, err error) {
		f, err := b.store.Read(slug)
		if err != nil {
			return out, backupError(slug, err)
		}
		defer f.Close()
		do := &restore{backupHouse: b.backupHouse, backup: f, by: by, settings: map[string]addons.Settings{}}
		do.job, _ = jobs.From(ctx)
		err = do.run(ctx, r)
		out.Notes = do.notes
		if err == nil {
			b.decidedOn("backup "+slug+" restored by "+by.String(), "")
		}
		return out, backupError(slug, err)
	})
}

// keyOf is what opens a backup.
func keyOf(password string) (archive.Key, error) {
	switch {
	case password == "":
		return archive.Key{}, nil
	case strings.HasPrefix(strings.ToUpper(strings.TrimSpace(password)), "AGE-SECRET-KEY-"):
		return archive.RecoveryKey(password)
	}
	return archive.Passphrase(password)
}

func (r *restore) run(ctx context.Context, want api.RestoreRequest) (err error) {
	if r.key, err = keyOf(want.Password); err != nil {
		return err
	}
	parts, err := r.wanted(want)
	if err != nil {
		return err
	}
	var failed []error
	some := want.Full || want.All // one part that can't come back keeps no other from it
	for n, step := range []func(context.Context, archive.Part) error{r.newEnough, r.target} {
		// The key is tried, and what must not be is refused, before anything is done.
		if n == 1 {
			if !slices.ContainsFunc(parts, func(p archive.Part) bool { return p.Slug != "" }) {
				return failed[0]
			}
			r.accepted()
		}
		for i, p := range parts {
			if p.Slug == "" {
				continue // it failed before
			}
			err := step(ctx, p)
			switch {
			case err == nil:
			case !some || p.Kind == archive.Folder || errors.Is(err, archive.ErrWrongKey) || errors.Is(err, archive.ErrKeyNeeded) || ctx.Err() != nil:
				r.unclaim()
				return err
			default:
				failed = append(failed, err)
				parts[i].Slug = ""
			}
		}
	}
	defer r.unclaim()
	if len(r.targets) == 0 {
		return failed[0]
	}
	if err := r.place(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(parts, func(p archive.Part) bool { return p.Slug == "addons/local" }) {
		if err := r.addons.store.Refresh(ctx, "local"); err != nil {
			r.notes = append(r.notes, fmt.Sprintf("the add-ons in addons/local are looked at again later: %v", err))
		}
	}
	if err := r.ownPart(ctx); err != nil {
		failed = append(failed, err)
	}
	if len(failed) == 0 {
		return nil
	}
	return &api.Error{Status: 400, Key: api.KeyBackup, Message: fmt.Sprintf("the rest was restored, but: %v", errors.Join(failed...)), Next: "castellan backup show " + r.backup.Slug}
}

// claim keeps imports away from an add-on.
func (r *restore) claim(slug string) error {
	done, err := r.addons.installs.Importing(slug)
	if err == nil {
		r.claims = append(r.claims, done)
	}
	return err
}

func (r *restore) unclaim() {
	for _, done := range r.claims {
		done()
	}
	r.claims = nil
}

// wanted are the parts that come back.
func (r *restore) wanted(want api.RestoreRequest) (out []archive.Part, err error) {
	names := slices.Concat(want.Addons, want.Folders)
	if want.Core {
		names = append(names, coreUnit)
	}
	for _, name := range names {
		if r.backup.Part(name) == nil {
			return nil, fmt.Errorf("cannot restore backup %s: it holds no %.60q; see: castellan backup show %s", r.backup.Slug, name, r.backup.Slug)
		}
	}
	for _, p := range r.backup.Parts {
		switch {
		case p.Kind == archive.Supervisor:
			r.own = want.Full
		case want.Full, want.All && p.Kind == archive.Addon, slices.Contains(names, p.Slug):
			if !ours(p) {
				return nil, fmt.Errorf("cannot restore backup %s: no backup of ours holds a part %s %.60q", r.backup.Slug, p.Kind, p.Slug)
			}
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("cannot restore backup %s: nothing of it is wanted", r.backup.Slug)
	}
	return out, nil
}

// ours tells whether a part is one that backups have: its slug becomes a place on the disk, and the file may be anybody's.
func ours(p archive.Part) bool {
	switch p.Kind {
	case archive.Folder:
		return slices.Contains(api.BackupFolders, p.Slug)
	case archive.HomeAssistant:
		return p.Slug == coreUnit
	}
	return !strings.Contains(p.Slug, "/")
}

// newEnough refuses data of a newer version than what is installed, which could not read it.
func (r *restore) newEnough(ctx context.Context, p archive.Part) error {
	if _, err := r.backup.Unit(ctx, p.Slug, r.key); err != nil || p.Kind == archive.Folder {
		return err
	}
	service := lifecycle.Service(p.Slug)
	if p.Kind == archive.HomeAssistant {
		core, ok := r.core()
		if !ok {
			return fmt.Errorf("cannot restore Home Assistant: no service has home_assistant; add it to %s", r.path)
		}
		service = core.Name
	} else if rec, _ := r.addons.installs.Record(p.Slug); !rec.Installed() {
		offer, err := r.addons.installs.Offered(p.Slug)
		if err != nil {
			return addonView{r.house}.addonError(p.Slug, err)
		}
		return older(p, offer.Manifest.Version, "what is offered here")
	}
	st, _, _, err := r.manager.Status(service)
	if err != nil || st.Current == nil {
		return err
	}
	if err := r.permitted(ctx, st, p); err != nil {
		return err
	}
	return older(p, st.Version(), "what is installed")
}

func older(p archive.Part, have, what string) error {
	if order, ok := updater.CompareVersions(have, p.Version); p.Version == "" || ok && order >= 0 {
		return nil
	}
	return &api.Error{Status: 400, Key: api.KeyBackup, Next: "castellan check", Message: fmt.Sprintf(
		"cannot restore %s: its data is of version %s and %s is %s, which may not read it; update it first", p.Slug, p.Version, what, have)}
}

// permitted judges the installed image again: data is not put under one that was withdrawn.
func (r *restore) permitted(ctx context.Context, st supervisor.Status, p archive.Part) error {
	s := st.Current
	v, _, err := r.gate.Rejudge(ctx, trust.Request{Subject: s.Subject, Action: trust.Rejudge, Held: s.Image, FirstResolved: s.Resolved, Installed: true,
		InstalledUnsigned: s.Outcome == trust.AllowUnsigned, Channel: s.Channel})
	if err != nil {
		return err
	}
	if v.Outcome == trust.Refuse && v.Reason() == trust.Revoked && !slices.Contains(s.Forced, trust.Revoked) {
		return &api.Error{Status: 400, Key: api.KeyTrust, Message: fmt.Sprintf("cannot restore %s: version %s, which is installed, was withdrawn", p.Slug, st.Version()), Next: "castellan update " + st.Service.Name}
	}
	return nil
}

// target says where a part goes, and has an add-on installed.
func (r *restore) target(ctx context.Context, p archive.Part) error {
	dir := r.config().Addons.Dir
	switch p.Kind {
	case archive.Folder:
		r.targets = append(r.targets, archive.Target{Unit: p.Slug, Trees: map[string]string{"data": r.folder(p.Slug)}})
		return r.everybody() // a container sees the folder that was there when it started
	case archive.HomeAssistant:
		core, _ := r.core()
		r.hold = append(r.hold, core.Name)
		r.targets = append(r.targets, archive.Target{Unit: p.Slug, Trees: map[string]string{"data": core.HomeAssistant.Config}})
		return nil
	}
	if err := r.claim(p.Slug); err != nil {
		return err
	}
	about, err := r.backup.Unit(ctx, p.Slug, r.key)
	if err != nil {
		return err
	}
	var meta addonMeta
	d := json.NewDecoder(bytes.NewReader(about.Meta))
	d.UseNumber() // an option 5 must not come back as 5.0
	if err := d.Decode(&meta); err != nil {
		return fmt.Errorf("cannot restore add-on %s: its settings can't be read: %w", p.Slug, err)
	}
	fresh, err := r.installed(ctx, p.Slug, meta)
	if err != nil {
		return err
	}
	st, _, _, err := r.manager.Status(lifecycle.Service(p.Slug))
	if err != nil {
		return err
	}
	if st.Stopped == "" || fresh && meta.Ran {
		r.start = append(r.start, p.Slug)
	}
	r.hold = append(r.hold, lifecycle.Service(p.Slug))
	r.settings[p.Slug] = meta.Settings
	r.targets = append(r.targets, archive.Target{Unit: p.Slug, Trees: map[string]string{
		"data": filepath.Join(dir, "data", p.Slug), "config": filepath.Join(dir, "addon_configs", p.Slug)}})
	return nil
}

// installed has an add-on that is not there installed: its image is judged like any other. What was granted counts again when
// somebody restores it who may grant it.
func (r *restore) installed(ctx context.Context, slug string, meta addonMeta) (fresh bool, err error) {
	if rec, _ := r.addons.installs.Record(slug); rec.Installed() {
		return false, nil
	}
	var asks []string
	if r.by.Kind != api.KindAddon && r.by.Role == api.Admin {
		asks = meta.Granted
	}
	life := addonLife{addonView{r.house}}
	acc, err := life.Install(ctx, slug, api.InstallRequest{Asks: asks}, r.by.String())
	if err != nil {
		return true, err
	}
	c, err := r.manager.Wait(ctx, acc.Changes[0])
	if err != nil {
		return true, err
	}
	if c.State != supervisor.StateCommitted {
		e := &api.Error{Status: 400, Key: api.KeyBackup, Message: fmt.Sprintf("cannot restore add-on %s: its installation ended as %s: %s", slug, c.State, c.Why), Next: "castellan addon info " + slug}
		if c.State == supervisor.StateRefused || c.State == supervisor.StateDeferred {
			e.Key = api.KeyTrust
		}
		return true, e
	}
	return true, r.addons.installs.Reconcile(ctx)
}

// everybody has all that runs rest.
func (r *restore) everybody() error {
	if core, ok := r.core(); ok {
		r.hold = append(r.hold, core.Name)
	}
	for _, slug := range r.addons.installs.Slugs() {
		st, _, ok, err := r.manager.Status(lifecycle.Service(slug))
		if err != nil {
			return err
		}
		if ok && st.Current != nil && st.Stopped == "" {
			r.start = append(r.start, slug)
			r.hold = append(r.hold, lifecycle.Service(slug))
		}
	}
	return nil
}
