package api

import (
	"context"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// byBackup is the right of add-ons that look after backups.
var byBackup = addonRight{other: roleBackup}

// backupRoutes are Home Assistant's calls about backups, and ours. What comes back changes what is installed and reads what
// was secret: for that a person must be admin.
var backupRoutes = []route{
	{"GET", "/backups", Viewer, byBackup, "The backups.", onBackups((*Server).getBackups)},
	{"GET", "/backups/info", Viewer, byDefault, "The backups, and when one is too old.", onBackups((*Server).getBackupsInfo)},
	{"GET", "/backups/{backup}/info", Viewer, byDefault, "One backup.", onBackups((*Server).getBackup)},
	{"GET", "/backups/{backup}/download", Admin, byBackup, "The file of a backup.", downloads()},
	{"POST", "/backups/reload", Operator, byBackup, "Does nothing: the folder is read each time.", onBackups(func(*Server, context.Context, Caller, none) (none, error) { return none{}, nil })},
	{"POST", "/backups/options", Admin, byBackup, "Sets when a backup is too old.", onBackups((*Server).postBackupOptions)},
	{"POST", "/backups/freeze", Operator, byBackup, "Refuses: what is saved rests for as long as it is read.", onBackups(elsewhere[freezing]("freeze what is to be saved from outside",
		"services rest, or are told, only while a backup of this appliance reads them; a snapshot made by others would hold data that is being written", "castellan backup create --full"))},
	{"POST", "/backups/thaw", Operator, byBackup, "Refuses: nothing is frozen.", onBackups(elsewhere[none]("thaw", "nothing is frozen", "castellan job list"))},
	{"POST", "/backups/new/full", Operator, byBackup, "Makes a backup of everything, as a job.", onBackups((*Server).postBackupFull).lasting()},
	{"POST", "/backups/new/partial", Operator, byBackup, "Makes a backup of what is named, as a job.", onBackups((*Server).postBackupPartial).lasting()},
	{"POST", "/backups/new/upload", Admin, byBackup, "Takes in a backup file of Castellan, as multipart/form-data.", uploads()},
	{"POST", "/backups/{backup}/restore/full", Admin, byBackup, "Restores everything in a backup, as a job.", onBackups((*Server).postRestoreFull).lasting()},
	{"POST", "/backups/{backup}/restore/partial", Admin, byBackup, "Restores what is named, as a job.", onBackups((*Server).postRestorePartial).lasting()},
	{"DELETE", "/backups/{backup}", Admin, byBackup, "Removes a backup.", onBackups((*Server).deleteBackup)},
	{"GET", "/castellan/backups", Viewer, never, "The backups with all that is known of them, those that cannot be used too, and how they are made.", onBackups((*Server).getBackupRoom)},
	{"POST", "/castellan/backups/schedule", Admin, never, "Sets when full backups come by themselves, in place of what the configuration says.", onBackups((*Server).postBackupSchedule)},
	{"POST", "/castellan/backups/key", Admin, never, "Makes the recovery key: shown once, and later backups are encrypted for it.", onBackups((*Server).postBackupKey)},
	{"POST", "/castellan/backups/{backup}/verify", Operator, never, "Reads a backup and compares its checksums.", onBackups((*Server).postBackupVerify).lasting()},
}

// onBackups makes an endpoint of a call about backups.
func onBackups[In, Out any](do func(*Server, context.Context, Caller, In) (Out, error)) endpoint {
	return ha(do).guarded(hasBackups)
}

// freezing is the body of /backups/freeze.
type freezing struct {
	Timeout int `json:"timeout,omitempty"`
}

var backupShape = regexp.MustCompile(`^[0-9a-f]{8}$`)

func hasBackups(s *Server, r *http.Request) error {
	if s.cfg.Backups == nil {
		return &Error{Status: http.StatusNotFound, Key: KeyBackup, Message: "this appliance makes no backups", Next: "castellan status"}
	}
	if slug := r.PathValue("backup"); slug != "" && !backupShape.MatchString(slug) {
		return NoBackup(slug)
	}
	return nil
}

// NoBackup is the error for a backup that is not there.
func NoBackup(slug string) error {
	return &Error{Status: http.StatusNotFound, Key: KeyNoBackup, Message: fmt.Sprintf("there is no backup %.40q", slug), Next: "castellan backup list"}
}

type backupIn struct {
	Backup string `path:"backup"`
}

type aboutBackup[B any] struct {
	Backup string `path:"backup"`
	Body   B
}

func megabytes(n int64) float64 { return math.Round(float64(n)/(1<<20)*100) / 100 }

func headOf(b Backup) BackupHead {
	kind := "partial"
	if b.Full {
		kind = "full"
	}
	return BackupHead{Slug: b.Slug, Name: b.Name, Date: b.Date, Type: kind, Size: megabytes(b.Size), SizeBytes: b.Size, Locations: []*string{nil}, Protected: b.Protected,
		LocationAttributes: map[string]BackupLocation{".local": {b.Protected, b.Size}}, Compressed: true}
}

func itemOf(b Backup) BackupItem {
	out := BackupItem{headOf(b), BackupContent{HomeAssistant: b.Core != nil, Addons: []string{}, Folders: list(b.Folders)}}
	for _, a := range b.Addons {
		out.Content.Addons = append(out.Content.Addons, a.Slug)
	}
	return out
}

// getBackups leaves out what cannot be used.
func (s *Server) getBackups(ctx context.Context, _ Caller, _ none) (BackupList, error) {
	out := BackupList{Backups: []BackupItem{}}
	all, err := s.cfg.Backups.List(ctx)
	for _, b := range all {
		if b.Problem == "" {
			out.Backups = append(out.Backups, itemOf(b))
		}
	}
	return out, err
}

func (s *Server) getBackupsInfo(ctx context.Context, c Caller, in none) (BackupsInfo, error) {
	all, err := s.getBackups(ctx, c, in)
	return BackupsInfo{all.Backups, s.cfg.Backups.Place(ctx).DaysUntilStale}, err
}

func (s *Server) getBackup(ctx context.Context, _ Caller, in backupIn) (BackupDetail, error) {
	all, err := s.cfg.Backups.List(ctx)
	if err != nil {
		return BackupDetail{}, err
	}
	i := slices.IndexFunc(all, func(b Backup) bool { return b.Slug == in.Backup && b.Problem == "" })
	if i < 0 {
		return BackupDetail{}, NoBackup(in.Backup)
	}
	b := all[i]
	out := BackupDetail{BackupHead: headOf(b), SupervisorVersion: b.Version, Addons: append([]BackupAddon{}, b.Addons...), Repositories: list(b.Repositories), Folders: list(b.Folders),
		Extra: map[string]any{"origin": b.Origin, "seal": b.Seal, "service": b.Service}}
	if b.Core != nil {
		out.HomeAssistant, out.ExcludeDatabase = &b.Core.Version, &b.Core.NoDatabase
	}
	return out, nil
}

func downloads() endpoint {
	e := raw(mediaTar, func(s *Server, ctx context.Context, _ Caller, in backupIn) (io.ReadCloser, error) {
		return s.cfg.Backups.Open(ctx, in.Backup)
	})
	return e.guarded(hasBackups).lasting()
}

// BackupOptions is the body of /backups/options.
type BackupOptions struct {
	DaysUntilStale *int `json:"days_until_stale,omitempty"`
}

func (q BackupOptions) check() error {
	if q.DaysUntilStale != nil && (*q.DaysUntilStale < 1 || *q.DaysUntilStale > 3650) {
		return badRequest("cannot read field \"days_until_stale\": %d: want 1 to 3650", *q.DaysUntilStale)
	}
	return nil
}

func (s *Server) postBackupOptions(ctx context.Context, _ Caller, in about[BackupOptions]) (none, error) {
	if in.Body.DaysUntilStale == nil {
		return none{}, nil
	}
	return none{}, s.cfg.Backups.Set(ctx, BackupSettings{DaysUntilStale: in.Body.DaysUntilStale})
}

// uploadIn is an upload; its body is read as it comes. The file gets its own name.
type uploadIn struct {
	Location string `query:"location"`
	Filename string `query:"filename"`
}

// uploads takes a file in: the one endpoint whose body may be larger than memory.
func uploads() endpoint {
	e := endpoint{in: reflect.TypeFor[uploadIn](), out: reflect.TypeFor[BackupDone](), long: true, next: true, stream: true, guard: hasBackups}
	e.answer = func(ctx context.Context, s *Server, c Caller, r *http.Request) (any, error) {
		if err := hereOnly([]string{r.URL.Query().Get("location")}); err != nil {
			return nil, err
		}
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		parts, err := r.MultipartReader()
		if err != nil || kind != "multipart/form-data" {
			return nil, badRequest("cannot read the upload: want multipart/form-data with one file")
		}
		part, err := parts.NextPart()
		if err != nil {
			return nil, badRequest("cannot read the upload: %v", err)
		}
		slug, err := s.cfg.Backups.Add(ctx, part, c.String())
		return BackupDone{Slug: slug, Notes: []string{}}, err
	}
	return e
}

// hereOnly refuses places of backups other than the appliance.
func hereOnly(locations []string) error {
	for _, l := range locations {
		if l != "" && l != ".local" {
			return &Error{Status: http.StatusBadRequest, Key: "not_supported", Message: fmt.Sprintf("there is no place %.40q for backups: they lie on the appliance", l),
				Next: "download it and keep it elsewhere"}
		}
	}
	return nil
}

// placesIn reads a location: a name, null, or a list of both.
func placesIn(v jsontext.Value) error {
	if len(v) == 0 {
		return nil
	}
	var many []*string
	if v.Kind() != '[' {
		var one *string
		if err := unmarshal(v, &one, "/location"); err != nil {
			return err
		}
		many = append(many, one)
	} else if err := unmarshal(v, &many, "/location"); err != nil {
		return err
	}
	var names []string
	for _, p := range many {
		if p != nil {
			names = append(names, *p)
		}
	}
	return hereOnly(names)
}

// slugsIn reads a list of add-ons, or "ALL".
func slugsIn(v jsontext.Value) (slugs []string, all bool, err error) {
	if len(v) == 0 || v.Kind() == 'n' {
		return nil, false, nil
	}
	if v.Kind() == '"' {
		var word string
		if err := unmarshal(v, &word, "/addons"); err != nil || word != "ALL" {
			return nil, false, badRequest("wrong type @ /addons: want a list, or \"ALL\"")
		}
		return nil, true, nil
	}
	if err := unmarshal(v, &slugs, "/addons"); err != nil {
		return nil, false, err
	}
	for _, slug := range slugs {
		if !slugShape.MatchString(slug) {
			return nil, false, badRequest("cannot read field \"addons\": %.60q is no add-on", slug)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(slugs))), false, nil
}

// BackupFolders are what a request may name; homeassistant among them asks for its configuration, as it did once.
var BackupFolders = []string{"share", "addons/local", "ssl", "media"}

func foldersIn(names []string) (folders []string, core bool, err error) {
	for _, name := range names {
		switch {
		case name == "homeassistant":
			core = true
		case !slices.Contains(BackupFolders, name):
			return nil, false, badRequest("cannot read field \"folders\": %.40q: want %s", name, strings.Join(BackupFolders, ", "))
		case !slices.Contains(folders, name):
			folders = append(folders, name)
		}
	}
	return folders, core, nil
}
