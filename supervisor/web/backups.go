package web

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// backupScreens are the backups: what there are, how they are made, checked, taken away and brought back.
var backupScreens = []screen{
	{"GET", "/ui/backups", api.Viewer, (*visit).backups},
	{"GET", "/ui/backups/work", api.Viewer, (*visit).backupWork},
	{"GET", "/ui/backups/new", api.Operator, (*visit).newBackup},
	{"POST", "/ui/backups/new", api.Operator, (*visit).postBackup},
	{"GET", "/ui/backups/key", api.Admin, (*visit).backupKey},
	{"POST", "/ui/backups/key", api.Admin, (*visit).postBackupKey},
	{"POST", "/ui/backups/stale", api.Admin, (*visit).postStale},
	{"POST", "/ui/backups/schedule", api.Admin, (*visit).postSchedule},
	{"POST", "/ui/backups/upload", api.Admin, (*visit).postUpload},
	{"POST", "/ui/backups/cancel", api.Operator, (*visit).postBackupCancel},
	{"GET", "/ui/backups/{slug}", api.Viewer, (*visit).backup},
	{"POST", "/ui/backups/{slug}/verify", api.Operator, (*visit).postVerifyBackup},
	{"GET", "/ui/backups/{slug}/download", api.Admin, (*visit).backupDownload},
	{"GET", "/ui/backups/{slug}/restore", api.Admin, (*visit).restore},
	{"POST", "/ui/backups/{slug}/restore", api.Admin, (*visit).postRestore},
	{"POST", "/ui/backups/{slug}/remove", api.Admin, (*visit).postRemoveBackup},
}

// backups are what the list shows.
type backups struct {
	Place   api.BackupPlace
	Days    []string // of the schedule, in words
	Week    []weekday
	Rows    []backupRow
	Broken  []api.BackupRow
	Work    []backupJob // that goes on
	Ended   []backupJob // and what ended of late
	Total   int64       // bytes of all
	Newest  time.Time   // of those that have everything
	Overdue bool
}

// weekday is one of a schedule.
type weekday struct {
	Name string // mon
	On   bool
}

// Hours are those of a day.
func (backups) Hours() (out []int) {
	for h := range 24 {
		out = append(out, h)
	}
	return out
}

// week is the seven days, those of a schedule on.
func week(days []string) (out []weekday) {
	for _, d := range weekdays {
		out = append(out, weekday{d, slices.Contains(days, d)})
	}
	return out
}

// dayNames are the days of a schedule in words.
func (v *visit) dayNames(days []string) (out []string) {
	for _, d := range days {
		out = append(out, v.say("backups.day_"+d))
	}
	return out
}

// backupRow is a backup as the list shows it.
type backupRow struct {
	api.BackupRow
	From string // where it comes from, in words
}

// Parts is how many things are in it.
func (b backupRow) Parts() int {
	n := len(b.Addons) + len(b.Folders)
	if b.Core != "" {
		n++
	}
	return n
}

func (v *visit) backups() (answer, error) {
	room, err := v.api.BackupRoom(v.ctx())
	if err != nil {
		return answer{}, err
	}
	out := backups{Place: room.Place, Week: week(room.Place.Days)}
	if out.Work, out.Ended, err = v.backupJobs(); err != nil {
		return answer{}, err
	}
	out.Days = v.dayNames(room.Place.Days)
	for _, b := range room.Backups {
		out.Total += b.Size
		if b.Problem != "" {
			out.Broken = append(out.Broken, b)
			continue
		}
		out.Rows = append(out.Rows, backupRow{b, v.cameFrom(b)})
		if b.Full && b.Date.After(out.Newest) {
			out.Newest = b.Date
		}
	}
	out.Overdue = len(out.Rows) > 0 && v.now.Sub(out.Newest) > time.Duration(room.Place.DaysUntilStale)*24*time.Hour
	return show("backups", out)
}

// backupWork is the part of the page that shows what goes on, to be read anew by itself: the list is read from the disk.
func (v *visit) backupWork() (answer, error) {
	work, ended, err := v.backupJobs()
	if err != nil {
		return answer{}, err
	}
	if len(work) == 0 && v.query("went") != "" { // what went on has ended: the list has one more
		v.w.Header().Set("HX-Trigger", "sse:reset")
	}
	return show("backupwork", backups{Work: work, Ended: ended})
}

// backupJobs are those that go on, and the last that ended.
func (v *visit) backupJobs() (work, ended []backupJob, err error) {
	all, err := v.api.Jobs(v.ctx())
	for _, j := range all.Jobs {
		switch row, ok := v.backupJob(j); {
		case !ok:
		case !row.Over:
			work = append(work, row)
		case len(ended) < mostEnded:
			ended = append(ended, row)
		}
	}
	return work, ended, err
}

// mostEnded is how many past jobs the page tells of.
const mostEnded = 3

// cameFrom says who wanted a backup.
func (v *visit) cameFrom(b api.BackupRow) string {
	switch b.Origin {
	case "schedule":
		return v.say("backups.by_schedule")
	case "update":
		return v.say("backups.by_update", v.called(b.Service, ""))
	}
	return v.say("backups.by_owner")
}

// backupJob is work about backups, in words.
type backupJob struct {
	ID      string
	Kind    string // full_backup, partial_backup, full_restore, partial_restore
	Slug    string // of the backup, "" = it is not made yet
	Stage   string // a key of the catalogue
	Part    string // what of it is being done
	Done    int64
	Total   int64
	Over    bool
	Failed  string
	Notes   []string
	Created time.Time
}

// Percent is how much is done, -1 when nobody knows.
func (j backupJob) Percent() int {
	if j.Total <= 0 {
		return -1
	}
	return int(min(99, 100*j.Done/j.Total))
}

// Restores tells whether something comes back.
func (j backupJob) Restores() bool { return strings.HasSuffix(j.Kind, "restore") }

// backupJob puts a job in words; ok is false when it is about something else.
func (v *visit) backupJob(j api.JobView) (out backupJob, ok bool) {
	kind, ok := strings.CutPrefix(j.Name, "backup_manager_")
	if !ok || !slices.Contains([]string{"full_backup", "partial_backup", "full_restore", "partial_restore"}, kind) {
		return out, false
	}
	out = backupJob{ID: j.UUID, Kind: kind, Slug: word(j.Reference), Stage: stageKey(word(j.Stage)), Over: j.Done != nil && *j.Done}
	out.Created, _ = time.Parse("2006-01-02T15:04:05.000000-07:00", j.Created) // one that has none shows none
	out.Done, out.Total = bytesOf(j.Extra["current"]), bytesOf(j.Extra["total"])
	for _, c := range j.Children {
		if c.Done != nil && !*c.Done {
			out.Part = v.called(word(c.Reference), word(c.Reference))
		}
	}
	if len(j.Errors) > 0 {
		out.Failed = j.Errors[0].Message
	}
	if notes, _ := j.Extra[api.NotesKey].([]any); out.Over {
		for _, n := range notes {
			if text, isText := n.(string); isText {
				out.Notes = append(out.Notes, text)
			}
		}
	}
	return out, true
}

// backupStages are the stages of jobs that the catalogue knows.
var backupStages = []string{"home_assistant", "addons", "folders", "addon_repositories", "placing", "await_addon_restarts"}

func stageKey(stage string) string {
	if slices.Contains(backupStages, stage) {
		return "backups.stage_" + stage
	}
	return "backups.stage_begins"
}

// word is a text of the API that may be null.
func word(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// bytesOf reads a figure of a job, as JSON has numbers.
func bytesOf(v any) int64 {
	f, _ := v.(float64)
	return int64(f)
}

// backupShape is the slug of a backup: it becomes part of an address of the API.
var backupShape = regexp.MustCompile(`^[0-9a-f]{8}$`)

// oneBackup is what the page of a backup shows, and that of its restore.
type oneBackup struct {
	backupRow
	Typed typed
}

// backupNow finds the backup that the address names.
func (v *visit) backupNow() (oneBackup, error) {
	slug := v.r.PathValue("slug")
	room, err := v.api.BackupRoom(v.ctx())
	if err != nil {
		return oneBackup{}, err
	}
	for _, b := range room.Backups {
		if b.Slug == slug && b.Problem == "" {
			return oneBackup{backupRow: backupRow{b, v.cameFrom(b)}}, nil
		}
	}
	return oneBackup{}, &api.Error{Status: 404, Key: api.KeyNoBackup, Message: v.say("backups.gone"), Next: v.say("backups.gone_next")}
}

func (v *visit) backup() (answer, error) {
	b, err := v.backupNow()
	if err != nil {
		return answer{}, err
	}
	return show("backup", b)
}

func (v *visit) postVerifyBackup() (answer, error) {
	slug := v.r.PathValue("slug")
	if err := v.api.VerifyBackup(v.ctx(), slug); err != nil {
		return v.again(backupPage(slug), err)
	}
	return v.done(backupPage(slug), "backups.verified")
}

// backupPage is the address of a backup's page, or of the list.
func backupPage(slug string) string {
	if !backupShape.MatchString(slug) {
		return "/ui/backups"
	}
	return "/ui/backups/" + slug
}

func (v *visit) backupDownload() (answer, error) {
	b, err := v.backupNow()
	if err != nil {
		return answer{}, err
	}
	return v.download("/backups/"+b.Slug+"/download", "castellan-"+b.Date.Local().Format("20060102-1504")+"-"+b.Slug+".tar", "application/x-tar")
}

func (v *visit) postRemoveBackup() (answer, error) {
	if err := v.api.RemoveBackup(v.ctx(), v.r.PathValue("slug")); err != nil {
		return v.again(backupPage(v.r.PathValue("slug")), err)
	}
	return v.done("/ui/backups", "backups.removed")
}
