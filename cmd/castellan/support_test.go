package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// unzip is what is in a bundle, by name.
func unzip(t *testing.T, file string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	out := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(f.Name, "castellan-support/")] = string(b)
	}
	return out
}

// plantJournal puts a journalctl in the way that says text.
func plantJournal(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte("#!/bin/sh\nwhile IFS= read -r l; do printf '%s\\n' \"$l\"; done <"+filepath.Join(dir, "text")+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

// A secret in every place of the appliance that a text can come from; none of them leaves it.
func TestSupportBundleHoldsNoSecret(t *testing.T) {
	planted := []string{"optPass-1", "nested-Pass-2", "keyOfApi3", "unknownOption4", "listed-Pass5", "envValue-6", "conf-Pass7", "commentPass8", "blockPass-9",
		"bearerTok10", "urlPass-11", "logPass12", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "MIIpemBody13", "0123456789abcdef0123456789abcdef", "cst_abcdefghijklmnopqrstuvwxyz234567",
		"anna@home.example", "192.168.178.31", "10.1.2.3", "fd00:1234::5", "fe80::1ff:fe23:4567:890a", "81.2.69.142", "aa:bb:cc:dd:ee:ff", "quoted Pass 14", "AGE-SECRET-KEY-1QQQQ"}
	path := filepath.Join(t.TempDir(), "castellan.yaml")
	if err := os.WriteFile(path, []byte(`# my wifi password: commentPass8
channel:
  urls: ["https://anna:urlPass-11@files.example/x"]
services:
  - name: core
    container:
      env:
        ANY_THING: envValue-6
      labels:
        mqtt_password: conf-Pass7
        secret_text: |
          blockPass-9
        note: 192.168.178.31
`), 0o600); err != nil {
		t.Fatal(err)
	}
	plantJournal(t, `2026-11-26T00:00:00 home castellan[1]: cannot reach 192.168.178.31 nor [fd00:1234::5] nor fe80::1ff:fe23:4567:890a%eth0 error="login with password=logPass12 failed"
Authorization: Bearer bearerTok10 from 10.1.2.3 and 81.2.69.142, aa:bb:cc:dd:ee:ff, envValue-6, optPass-1, AGE-SECRET-KEY-1QQQQ
jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln key 0123456789abcdef0123456789abcdef cst_abcdefghijklmnopqrstuvwxyz234567 token="quoted Pass 14"
-----BEGIN PRIVATE KEY-----
MIIpemBody13
-----END PRIVATE KEY-----
image sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f at 127.0.0.1:5599, add-on 172.30.33.4; core.20261126t003741123456789-abcdef01 took 12:30:45
`)
	options := api.AddonOptions{"login": "optPass-1", "deep": map[string]any{"password": "nested-Pass-2", "port": 80}, "api_key": "keyOfApi3", "odd": "unknownOption4",
		"people": []any{map[string]any{"name": "anna", "password": "listed-Pass5"}}, "level": "debug"}
	form := []map[string]any{{"name": "login", "type": "string", "format": "password"}, {"name": "api_key", "type": "string"}, {"name": "level", "type": "string"},
		{"name": "deep", "type": "schema", "schema": []map[string]any{{"name": "password", "type": "string", "format": "password"}, {"name": "port", "type": "integer"}}},
		{"name": "people", "type": "schema", "multiple": true, "schema": []map[string]any{{"name": "name", "type": "string"}, {"name": "password", "type": "string"}}}}
	b := &butler{skip: "https://bob:urlPass-11@git.example/x: anna@home.example at 192.168.178.31 has nested-Pass-2, unknownOption4 and listed-Pass5",
		change: api.Change{ID: "c1", Service: "core", Why: "api_key=keyOfApi3 from 192.168.178.31"},
		addon: api.AddonInfo{Addon: api.Addon{Slug: "core_x", Trouble: "refused optPass-1 and password: logPass12", Description: "-----BEGIN X KEY-----\nMIIpemBody13"},
			Options: options, Overrides: options, Schema: form}}
	out := filepath.Join(t.TempDir(), "b.zip")
	code, stdout, stderr := run(t, "--socket", serve(t, b), "support-bundle", "--config", path, "-o", out)
	if code != 0 || !strings.Contains(stdout, "read it before you send it") {
		t.Fatalf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	files := unzip(t, out)
	all := ""
	for name, text := range files {
		for _, secret := range planted {
			if strings.Contains(text, secret) || strings.Contains(name, secret) {
				t.Errorf("%s holds %s:\n%s", name, secret, text)
			}
		}
		if name != "MANIFEST" && !strings.Contains(files["MANIFEST"], name) {
			t.Errorf("%s is not in the manifest", name)
		}
		all += text
	}
	for name, want := range map[string]string{
		"version.json": `"daemon": "1.2.3"`, "status.json": `"core"`, "plan.json": "", "changes.json": "c1", "log.json": "started", "log-verify.json": "head", "pins.json": "",
		"repositories.json": "core", "addons.json": "core_x", "addons/core_x.json": `"level": "debug"`, "host.json": "kernel", "castellan.yaml": "ANY_THING: ********",
		"journal.txt": "image sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f at 127.0.0.1:5599", "house.json": "", "decisions.json": "", "verdicts.json": "",
	} {
		if !strings.Contains(files["MANIFEST"], name) || !strings.Contains(files[name], want) {
			t.Errorf("%s: want %q in it and a line in the manifest\n%s", name, want, files[name])
		}
	}
	lan := regexp.MustCompile(`lan-\d+`).FindString(files["castellan.yaml"])
	if lan == "" || !strings.Contains(files["changes.json"], lan) || !strings.Contains(files["journal.txt"], "cannot reach "+lan) || !strings.Contains(files["journal.txt"], "core.20261126t003741123456789-abcdef01 took 12:30:45") {
		t.Errorf("an address has not the same name everywhere: %q\n%s", lan, all)
	}
	if fi, err := os.Stat(out); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("others may read the bundle: %v, %v", fi.Mode(), err)
	}
	if code, _, stderr := run(t, "--socket", serve(t, b), "support-bundle", "--config", path, "-o", out); code != exitUsage || nexts(stderr) != 1 {
		t.Errorf("over a file that is there: exit %d, %q", code, stderr)
	}
}

func TestSupportBundleWithoutADaemonSaysSo(t *testing.T) {
	dir := t.TempDir()
	plantJournal(t, "started")
	path := filepath.Join(dir, "castellan.yaml")
	if err := os.WriteFile(path, []byte("data_dir: "+dir+"\nodd_key: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, "--socket", filepath.Join(dir, "none"), "support-bundle", "--config", path, "--preview")
	for _, want := range []string{"No daemon answered", "host.json", "castellan.yaml.error", "journal.txt", "nothing listens on"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("exit %d: %q is missing in\n%s%s", code, want, stdout, stderr)
		}
	}
	code, stdout, _ = run(t, "--json", "--socket", filepath.Join(dir, "none"), "support-bundle", "--config", path, "--preview")
	var list bundleList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || list.Daemon || len(list.Parts) < 6 {
		t.Errorf("for programs: %v\n%s", err, stdout)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.zip")); err != nil || len(left) != 0 || code != 0 {
		t.Errorf("a preview wrote %v, %v, exit %d", left, err, code)
	}
}

// What one part cannot tell does not keep the others from the bundle.
func TestSupportBundleOfADaemonThatFails(t *testing.T) {
	plantJournal(t, "")
	out := filepath.Join(t.TempDir(), "b.zip")
	code, _, stderr := run(t, "--socket", serve(t, &butler{err: errors.New("password=hunter22 boom")}), "support-bundle", "-o", out, "--config", out+".no")
	files := unzip(t, out)
	if code != 0 || !strings.Contains(files["MANIFEST"], "not complete") || strings.Contains(files["MANIFEST"], "hunter22") || !strings.Contains(files["host.json"], "kernel") {
		t.Errorf("exit %d, %s\n%s", code, stderr, files["MANIFEST"])
	}
}
