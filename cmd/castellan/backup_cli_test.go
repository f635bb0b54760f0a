package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/jobs"
)

// cellar has one backup, made with a passphrase. It notes what is asked of it.
type cellar struct{ asked *[]string }

func (c cellar) Place(context.Context) api.BackupPlace { return api.BackupPlace{DaysUntilStale: 30} }
func (c cellar) did(format string, args ...any) {
	*c.asked = append(*c.asked, fmt.Sprintf(format, args...))
}
func (c cellar) List(context.Context) ([]api.Backup, error) {
	return []api.Backup{{Slug: "0a1b2c3d", Name: "weekly\x1b[2J", Date: time.Now(), Full: true, Protected: true, Seal: "passphrase", Size: 3 << 20, Version: "1.2.3",
		Addons: []api.BackupAddon{{Slug: "core_x", Name: "X", Version: "1"}}, Folders: []string{"share"}}}, nil
}
func (c cellar) Set(context.Context, api.BackupSettings) error { return nil }
func (c cellar) Open(_ context.Context, slug string) (io.ReadCloser, error) {
	switch slug {
	case "0a1b2c3d":
		return io.NopCloser(strings.NewReader("a tar")), nil
	case "00000bad": // its disk fails in the middle
		return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), iotest.ErrReader(errors.New("no such sector")))), nil
	}
	return nil, api.NoBackup(slug)
}
func (c cellar) Add(_ context.Context, r io.Reader, by string) (string, error) {
	b, err := io.ReadAll(r)
	c.did("add %s", b)
	if string(b) != "a tar" {
		return "", &api.Error{Status: 400, Key: api.KeyBackup, Message: "that is no backup of Castellan"}
	}
	return "0a1b2c3d", err
}
func (c cellar) Work() api.BackupWork                        { return c }
func (c cellar) Verify(_ context.Context, slug string) error { c.did("verify %s", slug); return nil }
func (c cellar) NewKey(context.Context, string) (api.BackupKey, error) {
	return api.BackupKey{Identity: "AGE-SECRET-KEY-1X", Recipient: "age1x"}, nil
}
func (c cellar) Remove(_ context.Context, slug, _ string) error {
	if slug != "0a1b2c3d" {
		return api.NoBackup(slug)
	}
	c.did("remove %s", slug)
	return nil
}
func (c cellar) Create(ctx context.Context, r api.BackupRequest, _ string) (api.BackupMade, error) {
	c.did("create %+v", r)
	if j, ok := jobs.From(ctx); ok {
		j.Accepted() // it goes on as a job, or is over by the time of the answer
		if r.Name == "broken" {
			return api.BackupMade{}, &api.Error{Status: 400, Key: api.KeyBackup, Message: "the disk is full", Next: "castellan backup list"}
		}
	}
	return api.BackupMade{Slug: "0a1b2c3d", Notes: []string{"core_x: data/s: a socket"}}, nil
}
func (c cellar) Restore(ctx context.Context, slug string, r api.RestoreRequest, by api.Caller) (api.Restored, error) {
	c.did("restore %s %+v", slug, r)
	if j, ok := jobs.From(ctx); ok && r.Core {
		j.Accepted()
		return api.Restored{Notes: []string{"core_x: options stay as they are here"}}, &api.Error{Status: 400, Key: api.KeyTrust, Message: "nobody vouches for it", Next: "castellan log"}
	}
	if r.Password != "horse battery" {
		return api.Restored{}, &api.Error{Status: 400, Key: api.KeyBackupWrong, Message: "Invalid password for backup " + slug}
	}
	return api.Restored{}, nil
}

func TestBackupsOnTheCommandLine(t *testing.T) {
	pass := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(pass, []byte("horse battery\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, asked, says string
		code              int
	}{
		{"create --full --name n", "create {Name:n Full:true Core:true NoDatabase:false AllAddons:true Addons:[] Folders:[share addons/local ssl media] Password:}", "0a1b2c3d: made\n  core_x: data/s: a socket", 0},
		{"create --addon core_x,core_y --folder ssl --core --exclude-database --passphrase-file " + pass,
			"create {Name: Full:false Core:true NoDatabase:true AllAddons:false Addons:[core_x core_y] Folders:[ssl] Password:horse battery}", "0a1b2c3d: made", 0},
		{"create --folder ssl --name broken", "create {Name:broken Full:false Core:false NoDatabase:false AllAddons:false Addons:[] Folders:[ssl] Password:}", "the disk is full", 1},
		{"create --folder ssl --json", "create {Name: Full:false Core:false NoDatabase:false AllAddons:false Addons:[] Folders:[ssl] Password:}", `"slug": "0a1b2c3d"`, 0},
		{"restore 0a1b2c3d --core", "restore 0a1b2c3d {Full:false Core:true All:false Addons:[] Folders:[] Password:}", "nobody vouches for it", 4},
		{"create", "", "say what to save", 2},
		{"create --full --core", "", "say what to save", 2},
		{"create --full --passphrase-file /nowhere/x", "", "cannot read the passphrase", 2},
		{"create --folder ../x", "", "want share, addons/local, ssl, media", 1},
		{"list", "", "0a1b2c3d  now   full  3.0 MiB  yes        weekly[2J", 0},
		{"show 0a1b2c3d", "", "encrypted (passphrase)\ncore_x 1  X\nshare/", 0},
		{"show ffffffff", "", "Next: castellan backup list", 1},
		{"verify 0a1b2c3d", "verify 0a1b2c3d", "0a1b2c3d: whole", 0},
		{"verify ../x", "", "Next: ", 1},
		{"restore 0a1b2c3d --passphrase-file " + pass, "restore 0a1b2c3d {Full:true Core:false All:false Addons:[] Folders:[] Password:horse battery}", "0a1b2c3d: restored", 0},
		{"restore 0a1b2c3d --addon ALL", "restore 0a1b2c3d {Full:false Core:false All:true Addons:[] Folders:[] Password:}", "Invalid password for backup 0a1b2c3d", 1},
		{"restore 0a1b2c3d --full --core", "", "--full is everything", 2},
		{"remove 0a1b2c3d", "remove 0a1b2c3d", "0a1b2c3d: removed", 0},
		{"remove 0a1b2c3d --json", "remove 0a1b2c3d", "{}", 0},
		{"key new", "", "AGE-SECRET-KEY-1X\n\nThis is the recovery key. It is not shown again.", 0},
		{"wibble", "", `unknown command "backup wibble"`, 2},
	} {
		t.Run(c.args, func(t *testing.T) {
			var asked []string
			socket := serve(t, &butler{vault: cellar{&asked}})
			code, stdout, stderr := run(t, append([]string{"--socket", socket, "backup"}, strings.Fields(c.args)...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("exit code %d, says %q %q; want %d and %q", code, stdout, stderr, c.code, c.says)
			}
			if got := strings.Join(asked, "; "); got != c.asked {
				t.Errorf("asked %q, want %q", got, c.asked)
			}
			if code != 0 && !strings.Contains(stderr, "Next: ") {
				t.Errorf("no next step: %q", stderr)
			}
		})
	}
}

func TestABackupIsKeptElsewhereAndTakenInAgain(t *testing.T) {
	t.Chdir(t.TempDir())
	var asked []string
	socket := serve(t, &butler{vault: cellar{&asked}})
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"download 0a1b2c3d", 0, "0a1b2c3d.tar: 5 B"},
		{"download 0a1b2c3d", 1, "0a1b2c3d.tar: file exists"},
		{"download 0a1b2c3d -o -", 0, "a tar"},
		{"download 0a1b2c3d -o b.tar --json", 0, `"bytes": 5`},
		{"download 00000bad", 1, "Next: castellan backup download 00000bad"},
		{"download 00000bad -o -", 1, "cannot download the backup"},
		{"download ffffffff", 1, `there is no backup "ffffffff"`},
		{"upload 0a1b2c3d.tar", 0, "0a1b2c3d: taken in"},
		{"upload b.tar --json", 0, `"slug": "0a1b2c3d"`},
		{"upload ../nowhere", 2, "cannot read the backup"},
		{"upload .", 1, "Next: "},
	} {
		code, stdout, stderr := run(t, append([]string{"--socket", socket, "backup"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) || code != 0 && nexts(stderr) != 1 {
			t.Errorf("%s: exit code %d, says %.200q %q; want %d and %q", c.args, code, stdout, stderr, c.code, c.says)
		}
	}
	if fi, err := os.Stat("0a1b2c3d.tar"); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", fi, err)
	}
	if _, err := os.Stat("00000bad.tar"); !os.IsNotExist(err) {
		t.Errorf("half a backup stays: %v", err)
	}
}
