package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/backup/archive"
)

// addonMeta is what a backup keeps of an add-on besides its folders: what a restore installs from. Protected mode is not in
// it: no file switches that off.
type addonMeta struct {
	Settings   addons.Settings `json:"settings"`
	Granted    addons.Rights   `json:"granted,omitempty"`
	Repository string          `json:"repository"`
	Source     string          `json:"source,omitempty"`
	Manifest   lifecycle.Kept  `json:"manifest"`
	Ran        bool            `json:"ran"`
}

// ownMeta is what a backup keeps of Castellan itself: what its owner decided, and no key, token or pin.
type ownMeta struct {
	Decisions    json.RawMessage `json:"decisions,omitempty"`
	Repositories []string        `json:"repositories,omitempty"`
}

// coreUnit is the slug of Home Assistant's part, as Home Assistant names it.
const coreUnit = "homeassistant"

// units are the parts of a backup.
func (b *backupHouse) units(r api.BackupRequest) (out []archive.Unit, err error) {
	slugs := r.Addons
	if r.AllAddons {
		slugs = nil
		for _, slug := range b.addons.installs.Slugs() {
			if rec, _ := b.addons.installs.Record(slug); rec.Installed() && !rec.Wanted && rec.Removing == nil {
				slugs = append(slugs, slug)
			}
		}
	}
	if r.Full {
		own, err := b.ownUnit()
		if err != nil {
			return nil, err
		}
		out = append(out, own)
	}
	if core, ok := b.core(); ok && r.Core {
		u, err := b.coreUnit(core, r.NoDatabase)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	} else if r.Core && !r.Full {
		return nil, &api.Error{Status: 400, Key: api.KeyBackup, Message: "this appliance runs no Home Assistant: no service has home_assistant", Next: "castellan status"}
	}
	for _, slug := range slugs {
		u, err := b.addonUnit(slug)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	for _, name := range r.Folders {
		out = append(out, archive.Unit{Kind: archive.Folder, Slug: name, Name: name, Trees: []archive.Tree{{Name: "data", Path: b.folder(name)}}})
	}
	return out, nil
}

// folder is where a folder of backups is.
func (b *backupHouse) folder(name string) string {
	return filepath.Join(b.config().Addons.Dir, strings.TrimPrefix(name, "addons/"))
}

// core is the service that is Home Assistant.
func (b *backupHouse) core() (config.Service, bool) {
	for _, s := range b.config().Services {
		if s.HomeAssistant != nil {
			return s, true
		}
	}
	return config.Service{}, false
}

func imageOf(s supervisor.Status) string {
	if s.Current == nil {
		return ""
	}
	return s.Current.Subject.Repository + "@" + string(s.Current.Subject.Manifest)
}

func (b *backupHouse) coreUnit(core config.Service, noDatabase bool) (archive.Unit, error) {
	st, _, _, err := b.manager.Status(core.Name)
	return archive.Unit{Kind: archive.HomeAssistant, Slug: coreUnit, Name: "Home Assistant", Version: st.Version(), Image: imageOf(st), NoDatabase: noDatabase,
		Trees: []archive.Tree{{Name: "data", Path: core.HomeAssistant.Config}}, Exclude: func(name string, _ fs.FileInfo) bool { return coreLeavesOut(name, noDatabase) }}, err
}

// coreLeavesOut is what Home Assistant itself leaves out of its backups.
func coreLeavesOut(name string, noDatabase bool) bool {
	for _, glob := range []string{"*.db-shm", "*.corrupt.*", "__pycache__", "*.log", "*.log.*", ".HA_RESTORE", "data/backups/*.tar", "data/tmp_backups/*.tar", "data/tts/*"} {
		if globs(glob, name) {
			return true
		}
	}
	return noDatabase && slices.Contains([]string{"data/home-assistant_v2.db", "data/home-assistant_v2.db-wal"}, name)
}

// globs matches from the right, as Home Assistant does: "*.log" is any log, "cache/*" what is in any folder cache.
func globs(glob, name string) bool {
	want, have := strings.Split(strings.Trim(glob, "/"), "/"), strings.Split(name, "/")
	if len(want) > len(have) {
		return false
	}
	have = have[len(have)-len(want):]
	for i := range want {
		if ok, err := path.Match(strings.ReplaceAll(want[i], "**", "*"), have[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

func (b *backupHouse) addonUnit(slug string) (archive.Unit, error) {
	rec, _ := b.addons.installs.Record(slug)
	if !rec.Installed() {
		return archive.Unit{}, addonView{b.house}.addonError(slug, lifecycle.ErrNotInstalled)
	}
	service := lifecycle.Service(slug)
	st, _, _, err := b.manager.Status(service)
	if err != nil {
		return archive.Unit{}, err
	}
	man, err := b.addons.installs.Manifest(slug)
	if err != nil {
		return archive.Unit{}, err
	}
	meta := addonMeta{Settings: rec.Settings, Granted: rec.Granted, Repository: rec.Repository, Source: rec.Source, Manifest: rec.Manifests[st.Version()], Ran: st.Stopped == ""}
	meta.Settings.Unprotect = false
	raw, err := json.Marshal(meta)
	if err != nil {
		return archive.Unit{}, fmt.Errorf("cannot save the settings of add-on %s: %w", slug, err)
	}
	dir := b.config().Addons.Dir
	u := archive.Unit{Kind: archive.Addon, Slug: slug, Name: man.Name, Version: st.Version(), Image: imageOf(st), Meta: raw,
		Trees: []archive.Tree{{Name: "data", Path: filepath.Join(dir, "data", slug)}},
		Exclude: func(name string, _ fs.FileInfo) bool {
			return slices.ContainsFunc(man.BackupExclude, func(glob string) bool { return globs(glob, name) })
		}}
	if public := filepath.Join(dir, "addon_configs", slug); onHost(public) {
		u.Trees = append(u.Trees, archive.Tree{Name: "config", Path: public})
	}
	b.hooks(&u, man, service, st)
	return u, nil
}

// hooks stop a cold add-on for as long as it is read, and tell a hot one before and after.
func (b *backupHouse) hooks(u *archive.Unit, man addons.Manifest, service string, st supervisor.Status) {
	if st.Stopped != "" || st.Current == nil {
		return // it rests
	}
	if man.Backup == "cold" {
		var release func(context.Context) error
		u.Before = func(ctx context.Context) (err error) { release, err = b.rest(ctx, service); return err }
		u.After = func(ctx context.Context) error {
			if release == nil {
				return nil
			}
			return release(ctx)
		}
		return
	}
	tell := func(command string) func(context.Context) error {
		if command == "" {
			return nil
		}
		return func(ctx context.Context) error {
			args, err := commandWords(command)
			if err != nil {
				return fmt.Errorf("cannot run %q of add-on %s: %w", command, u.Slug, err)
			}
			exit, out, err := b.engine.Exec(ctx, st.Current.Container, args)
			if err == nil && exit != 0 {
				err = fmt.Errorf("%q of add-on %s ended with %d: %.200q", command, u.Slug, exit, out)
			}
			return err
		}
	}
	u.Before, u.After = tell(man.BackupPre), tell(man.BackupPost)
}

// rest holds a service, after a change of it that is under way.
func (b *backupHouse) rest(ctx context.Context, service string) (release func(context.Context) error, err error) {
	for range 3 {
		release, err = b.manager.Hold(ctx, service)
		var busy *supervisor.BusyError
		if !errors.As(err, &busy) {
			break
		}
		if _, waited := b.manager.Wait(ctx, busy.Change); waited != nil {
			break
		}
	}
	return release, err
}

// commandWords takes a command apart as a shell would, without doing what one does: quotes and backslashes only.
func commandWords(s string) (out []string, err error) {
	var word strings.Builder
	var quote rune
	open, escaped := false, false
	for _, c := range s {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, open = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, open = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if open {
				out = append(out, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(c)
			open = true
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("a quotation mark is not closed")
	}
	if open {
		out = append(out, word.String())
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("it is empty")
	}
	return out, nil
}

func (b *backupHouse) ownUnit() (archive.Unit, error) {
	decisions, err := fileStore(filepath.Join(b.cfg.DataDir, "decisions.json")).Load()
	if err != nil {
		return archive.Unit{}, fmt.Errorf("cannot save what was decided: %w", err)
	}
	if !json.Valid(decisions) {
		decisions = nil
	}
	raw, err := json.Marshal(ownMeta{Decisions: decisions, Repositories: b.sources()})
	return archive.Unit{Kind: archive.Supervisor, Slug: "supervisor", Name: "Castellan", Version: version, Meta: raw}, err
}

// sources are the repositories that are followed.
func (b *backupHouse) sources() (out []string) {
	for _, r := range b.addons.store.Repositories() {
		if r.Source != "" {
			out = append(out, r.Source)
		}
	}
	return out
}
