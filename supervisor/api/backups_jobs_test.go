package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/jobs"
)

// backupCalls are all that make or restore a backup, with the job each is and what it is about at its good end.
var backupCalls = []struct{ path, body, job string }{
	{"/backups/new/full", `"name":"n"`, "backup_manager_full_backup"},
	{"/backups/new/partial", `"folders":["ssl"]`, "backup_manager_partial_backup"},
	{"/backups/0a1b2c3d/restore/full", `"password":"p"`, "backup_manager_full_restore"},
	{"/backups/0a1b2c3d/restore/partial", `"folders":["ssl"]`, "backup_manager_partial_restore"},
}

// TestABackupInTheBackgroundIsAJob: its client has an answer at once, may leave, and reads how far it is and how it ended.
func TestABackupInTheBackgroundIsAJob(t *testing.T) {
	for _, c := range backupCalls {
		t.Run(c.path, func(t *testing.T) {
			s := newStage(t)
			halfway, end := make(chan struct{}), make(chan struct{})
			s.saves = func(ctx context.Context) (api.BackupMade, error) {
				j, ok := jobs.From(ctx)
				if !ok {
					return api.BackupMade{}, errors.New("there is no job")
				}
				j.Accepted()
				j.SetStage("addons")
				err := j.Child(ctx, jobs.Spec{Name: "backup_addon_save", Reference: "core_x"}, func(_ context.Context, part *jobs.Job) error {
					j.SetBytes(300, 1000)
					part.SetBytes(300, 500)
					close(halfway)
					<-end
					return nil
				})
				return api.BackupMade{Slug: "0a1b2c3d", Notes: []string{"core_x: data/s: it is a socket"}}, err
			}
			ctx, leave := context.WithCancel(t.Context())
			rec := sendAs(ctx, s.srv.AddonHandler(), "POST", c.path, `{"background":true,`+c.body+`}`)
			leave()
			var answer struct{ Data map[string]any }
			if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != 200 {
				t.Fatal(rec.Code, rec.Body.String(), err)
			}
			id, _ := answer.Data["job_id"].(string)
			if _, has := answer.Data["slug"]; len(id) != 32 || has {
				t.Fatalf("it is answered with %s", rec.Body.String())
			}
			<-halfway
			_, list := s.ask(t, "GET", "/jobs/info", "")
			for _, want := range []string{`"name":"` + c.job + `"`, `"progress":30.0,"stage":"addons","done":false`, `"name":"backup_addon_save","reference":"core_x"`, `"progress":60.0`} {
				if !strings.Contains(list, want) {
					t.Errorf("%s is missing in %s", want, list)
				}
			}
			if rec := send(s.srv.AddonHandler(), "POST", "/backups/new/full", hostToken, ""); rec.Code != 400 || !strings.Contains(rec.Body.String(), "Another job is running for job group backup_manager") {
				t.Errorf("a second one: %d %s", rec.Code, rec.Body.String())
			}
			close(end)
			s.await(t, "its end, with the backup", func(e jobs.Event) bool {
				return e.UUID == id && *e.Done && len(e.Errors) == 0 && e.Progress == 100 && e.Reference != nil && *e.Reference == "0a1b2c3d"
			})
			if j := s.jobAt(t, id); !*j.Done || j.Progress != 100 || *j.Reference != "0a1b2c3d" || fmt.Sprint(j.Extra[api.NotesKey]) != "[core_x: data/s: it is a socket]" {
				t.Errorf("kept as %+v", j)
			}
		})
	}
}

// TestABackupThatIsWaitedForNamesItsJob: at its good end, and when it failed; what is refused leaves none.
func TestABackupThatIsWaitedForNamesItsJob(t *testing.T) {
	full := errors.New("the disk is full")
	for _, c := range backupCalls {
		for _, background := range []bool{false, true} {
			for _, ends := range []struct {
				name     string
				accepted bool
				err      error
				job      bool
			}{{"well", true, nil, true}, {"at once", false, nil, true}, {"badly", true, full, true}, {"refused", false, full, false}} {
				t.Run(fmt.Sprint(c.path, " ", background, " ", ends.name), func(t *testing.T) {
					s := newStage(t)
					s.saves = func(ctx context.Context) (api.BackupMade, error) {
						if j, _ := jobs.From(ctx); ends.accepted && !background { // else the answer may come before the end
							j.Accepted()
						}
						return api.BackupMade{Slug: "0a1b2c3d"}, ends.err
					}
					rec := send(s.srv.AddonHandler(), "POST", c.path, hostToken, fmt.Sprintf(`{"background":%v,%s}`, background, c.body))
					job := ends.job && (ends.err == nil || !background)
					if (rec.Code == 200) != (ends.err == nil) || strings.Contains(rec.Body.String(), `"job_id":"`) != job || ends.err != nil && !strings.Contains(rec.Body.String(), "the disk is full") {
						t.Errorf("got %d %s", rec.Code, rec.Body.String())
					}
					if list := s.jobs.List(); (len(list) == 1) != job {
						t.Errorf("jobs: %+v", list)
					}
				})
			}
		}
	}
}

func TestABackupIsCancelled(t *testing.T) {
	s := newStage(t)
	begun := make(chan struct{})
	s.saves = func(ctx context.Context) (api.BackupMade, error) {
		j, _ := jobs.From(ctx)
		j.Accepted()
		close(begun)
		<-ctx.Done()
		return api.BackupMade{}, ctx.Err()
	}
	id := s.begin(t, "/backups/new/full")
	<-begun
	if rec := send(s.by(api.Operator), "POST", "/castellan/jobs/"+id+"/cancel", "", ""); rec.Code != 200 {
		t.Fatal(rec.Code, rec.Body.String())
	}
	s.over(t, id)
	if j := s.jobAt(t, id); len(j.Errors) != 1 || j.Errors[0].Message != "cancelled" || j.Reference != nil {
		t.Errorf("it ended as %+v", j)
	}
}

// TestManyNotesAreKeptAsFarAsAJobTakesThem: a backup of a folder with a million sockets is one that can be asked about.
func TestManyNotesAreKeptAsFarAsAJobTakesThem(t *testing.T) {
	s := newStage(t)
	notes := slices.Repeat([]string{strings.Repeat("x", 100)}, 1000)
	s.saves = func(context.Context) (api.BackupMade, error) {
		return api.BackupMade{Slug: "0a1b2c3d", Notes: notes}, nil
	}
	data, _ := s.ask(t, "POST", "/backups/new/full", "")
	kept, _ := s.jobAt(t, data["job_id"].(string)).Extra[api.NotesKey].([]any)
	if len(data["notes"].([]any)) != 1000 || len(kept) != 126 || kept[125] != "and 875 more" {
		t.Errorf("%d kept, the last %.50v", len(kept), kept[max(0, len(kept)-1):])
	}
}
