package web

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/castellan/castellan/supervisor/api"
)

// newBackup is what the page shows on which a backup is asked for.
type newBackup struct {
	Place   api.BackupPlace
	Addons  []api.Addon
	Folders []string
	Typed   typed
}

// makeNow is what can be backed up now.
func (v *visit) makeNow() (out newBackup, err error) {
	out.Folders = api.BackupFolders
	room, err := v.api.BackupRoom(v.ctx())
	if err != nil {
		return out, err
	}
	out.Place = room.Place
	list, err := v.api.Addons(v.ctx(), false)
	out.Addons = list.Addons
	return out, err
}

func (v *visit) newBackup() (answer, error) {
	out, err := v.makeNow()
	if err != nil {
		return answer{}, err
	}
	return show("newbackup", out)
}

// postBackup asks for a backup, and leads to where its progress is seen.
func (v *visit) postBackup() (answer, error) {
	if err := v.askBackup(); err != nil {
		out, other := v.makeNow()
		if other != nil {
			return answer{}, err
		}
		out.Typed = v.wrong("backup", err)
		return shownAgain("newbackup", out)
	}
	return v.done("/ui/backups", "backups.begun")
}

func (v *visit) askBackup() error {
	q := api.BackupFull{Name: v.form("name"), ExcludeDatabase: v.form("nodatabase") != "", Background: true}
	if v.form("seal") == "passphrase" {
		if err := v.samePasswords(); err != nil {
			return err
		}
		if q.Password = v.r.PostFormValue("password"); len(q.Password) < 8 {
			return v.unfit("backups.short")
		}
	}
	if q.Name == "" {
		q.Name = v.say("backups.named", v.now)
	}
	if v.form("what") != "parts" {
		_, err := v.api.FullBackup(v.ctx(), q)
		return err
	}
	some := v.someParts()
	if some.none() {
		return v.unfit("backups.nothing")
	}
	_, err := v.api.PartialBackup(v.ctx(), api.BackupPartial{BackupFull: q, HomeAssistant: some.core, Addons: some.addons, Folders: some.folders})
	return err
}

// unfit is an error of a form, with its next step, in the visitor's words.
func (v *visit) unfit(key string) error {
	return &api.Error{Status: 422, Key: "form", Message: v.say(key), Next: v.say(key + "_next")}
}

// parts are what somebody ticked of what can be saved, or brought back.
type parts struct {
	core    bool
	addons  []byte // a list, as JSON
	folders []string
	count   int
}

func (p parts) none() bool { return p.count == 0 }

// someParts reads the boxes. Folders are of a list, so that no address is made of a form.
func (v *visit) someParts() parts {
	out := parts{core: v.form("core") != ""}
	slugs := []string{}
	for _, s := range v.r.PostForm["addon"] {
		if len(slugs) < 1000 {
			slugs = append(slugs, s)
		}
	}
	out.addons, _ = json.Marshal(slugs) // of texts: it can't fail
	for _, f := range v.r.PostForm["folder"] {
		if slices.Contains(api.BackupFolders, f) {
			out.folders = append(out.folders, f)
		}
	}
	out.count = len(slugs) + len(out.folders)
	if out.core {
		out.count++
	}
	return out
}

// backupKey tells what a recovery key is, before one is made.
func (v *visit) backupKey() (answer, error) {
	room, err := v.api.BackupRoom(v.ctx())
	if err != nil {
		return answer{}, err
	}
	return show("backupkey", room.Place)
}

// postBackupKey makes the recovery key. It is on this one page and nowhere else.
func (v *visit) postBackupKey() (answer, error) {
	key, err := v.api.NewBackupKey(v.ctx())
	if err != nil {
		return v.again("/ui/backups/key", err)
	}
	return show("newkey", key)
}

// postStale sets after how many days without a new one the list warns.
func (v *visit) postStale() (answer, error) {
	days, err := strconv.Atoi(v.form("days"))
	if err != nil {
		return v.again("/ui/backups", v.unfit("backups.no_days"))
	}
	if err := v.api.SetBackupOptions(v.ctx(), api.BackupOptions{DaysUntilStale: &days}); err != nil {
		return v.again("/ui/backups", err)
	}
	return v.done("/ui/backups", "backups.stale_set")
}

// postSchedule sets when backups come by themselves.
func (v *visit) postSchedule() (answer, error) {
	q, err := v.times()
	if err == nil {
		_, err = v.api.SetBackupSchedule(v.ctx(), q)
	}
	if err != nil {
		return v.again("/ui/backups", err)
	}
	return v.done("/ui/backups", "backups.schedule_set")
}

// times reads a schedule: days with an hour, or as the configuration says.
func (v *visit) times() (q api.BackupTimes, err error) {
	if v.form("default") != "" {
		return api.BackupTimes{Default: true}, nil
	}
	if q.Days = v.r.PostForm["day"]; len(q.Days) == 0 {
		return q, nil // none
	}
	if q.Hour, err = strconv.Atoi(v.form("hour")); err != nil {
		return q, v.unfit("backups.no_hour")
	}
	return q, nil
}

func (v *visit) postBackupCancel() (answer, error) {
	if err := v.api.CancelJob(v.ctx(), v.form("id")); err != nil {
		return v.again("/ui/backups", err)
	}
	return v.done("/ui/backups", "backups.cancelled")
}

// restore tells what will happen before anything does.
func (v *visit) restore() (answer, error) {
	b, err := v.backupNow()
	if err != nil {
		return answer{}, err
	}
	return show("restore", b)
}

func (v *visit) postRestore() (answer, error) {
	err := v.askRestore()
	if err == nil {
		return v.done("/ui/backups", "backups.restore_begun")
	}
	b, other := v.backupNow()
	if other != nil {
		return answer{}, err
	}
	b.Typed = v.wrong("restore", err)
	return shownAgain("restore", b)
}

func (v *visit) askRestore() error {
	slug := v.r.PathValue("slug")
	if v.form("sure") == "" {
		return v.unfit("backups.not_sure")
	}
	q := api.RestoreFull{Password: v.r.PostFormValue("password"), Background: true}
	if v.form("what") != "parts" {
		_, err := v.api.RestoreFull(v.ctx(), slug, q)
		return err
	}
	some := v.someParts()
	if some.none() {
		return v.unfit("backups.nothing")
	}
	_, err := v.api.RestorePartial(v.ctx(), slug, api.RestorePartial{RestoreFull: q, HomeAssistant: some.core, Addons: some.addons, Folders: some.folders})
	return err
}
