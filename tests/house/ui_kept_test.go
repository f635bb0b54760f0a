package house

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/castellan/castellan/tests/browser"
)

// TestUIKept is the story of what an owner keeps: backups that are made, brought back, taken along to another appliance, and of
// the pages that an add-on shows within the others.
func TestUIKept(t *testing.T) {
	u := newUI(t)
	u.begin()
	u.answers()
	defer func() { u.anna.Close() }() // before the daemon ends
	t.Run("Backup", u.testBackup)
	t.Run("Upload", u.testUpload)
	t.Run("BackupOfAnAddon", u.testBackupOfAnAddon)
	t.Run("LogOfAnAddon", u.testLogOfAnAddon)
	t.Run("PagesOfAnAddon", u.testPagesOfAnAddon)
	t.Run("AnotherAppliance", u.testAnotherAppliance)
}

// vile is the name of a backup, and of a file, by somebody who means no good.
const vile = `<img src=x onerror=owned=1> mine`

func (u *ui) lampData() string { return u.path("data", "addons", "data", "local_lamp", "state") }

func (u *ui) lampIs(colour, state string) {
	u.t.Helper()
	if a := u.addon("local_lamp"); a.Options["colour"] != colour {
		u.t.Errorf("its colour is %v, want %s", a.Options["colour"], colour)
	}
	if b, err := os.ReadFile(u.lampData()); string(b) != state {
		u.t.Errorf("its data is %q (%v), want %q", b, err, state)
	}
}

// setLamp makes the lamp's options and data something.
func (u *ui) setLamp(colour, state string) {
	u.t.Helper()
	u.castellan("addon", "options", "local_lamp", "--set", "colour="+colour).says(u.t, 0)
	must(u.t, os.WriteFile(u.lampData(), []byte(state), 0o644))
}

func (u *ui) notOwned(b *browser.Tab) {
	u.t.Helper()
	if browser.Eval[bool](b, `typeof owned !== "undefined"`) {
		u.t.Fatalf("%s runs the script of a name", b.Path())
	}
}

// testBackup makes a backup of an add-on, looks into it, takes it along, and brings it back over what has been changed.
func (u *ui) testBackup(t *testing.T) {
	b := u.on(t)
	u.lamp("1.0", "")
	u.castellan("addon", "install", "local_lamp", "--start", "--yes").says(t, 0)
	u.setLamp("blue", "precious")

	b.Visit("/ui/backups")
	b.Sees("Nothing is saved yet.")
	u.check(b, "backups-none")
	b.Click("link", "Make a backup")
	b.Fill("Name Left empty, it gets the date.", vile)
	b.Click("radio", "Only some of it You choose which.")
	b.Click("checkbox", "Home Assistant")
	b.Click("checkbox", "lamp")
	u.check(b, "backup-new")
	b.Click("button", "Make it")
	b.At("/ui/backups")
	b.Until("it is there", `document.querySelector("li[id^=saved-]")`)
	b.Sees(vile)
	u.notOwned(b)
	u.check(b, "backups")

	b.Click("link", vile)
	b.Sees("lamp", "1.0", "Not encrypted")
	u.notOwned(b)
	u.check(b, "backup")
	b.Click("button", "Check this backup")
	b.Sees("It was read to its end; every checksum is right.")
	name, content := b.Download("link", "Download")
	files, err := filepath.Glob(u.path("data", "backups", "*.tar"))
	must(t, err)
	if len(files) != 1 || filepath.Ext(name) != ".tar" || strings.ContainsAny(name, `/\<>"`) {
		t.Fatalf("the file is called %q, of %q", name, files)
	}
	if there, err := os.ReadFile(files[0]); err != nil || string(there) != string(content) {
		t.Errorf("%d bytes were sent of %d: %v", len(content), len(there), err)
	}
	must(t, os.WriteFile(u.path("taken.tar"), content, 0o600))

	u.setLamp("green", "lost")
	b.Click("link", "Restore")
	b.Sees("Bring this backup back", vile)
	b.Click("radio", "Only some of it The rest stays as it is.")
	b.Click("checkbox", "lamp 1.0")
	u.check(b, "restore")
	b.Click("button", "Bring it back") // the browser asks for the word first
	b.Sees("Bring this backup back")
	u.lampIs("green", "lost")
	b.Click("checkbox", "I know that the present data is replaced.")
	b.Click("button", "Bring it back")
	b.At("/ui/backups")
	b.Sees("What you chose is brought back")
	u.check(b, "restored")
	u.lampIs("blue", "precious")
	u.addonIs("local_lamp", "1.0", "running", "unsigned")

	b.Click("link", vile)
	b.Click("DisclosureTriangle", "Remove this backup")
	b.Click("button", "Remove for good")
	b.At("/ui/backups")
	b.Sees("The backup is removed.", "Nothing is saved yet.")
	if exists(files[0]) {
		t.Error("its file is there")
	}
}

// testUpload brings the backup here again, and what is none.
func (u *ui) testUpload(t *testing.T) {
	b := u.on(t)
	b.Visit("/ui/backups")
	b.Choose("input[type=file]", u.path("taken.tar"))
	b.Click("button", "Upload")
	b.Sees("The backup is here and complete.", vile)

	list := func() (names []string) {
		all, err := os.ReadDir(u.path("data", "backups"))
		must(t, err)
		for _, f := range all {
			names = append(names, f.Name())
		}
		return names
	}
	before := list()
	whole, err := os.ReadFile(u.path("taken.tar"))
	must(t, err)
	for name, content := range map[string][]byte{
		vile + ".tar":  []byte("no archive at all"),
		"empty.tar":    nil,
		"half.tar":     whole[:len(whole)/2],
		"altered.tar":  altered(whole),
		"..%2f..%2f.x": whole[:100],
	} {
		must(t, os.WriteFile(u.path(name), content, 0o600))
		b.Visit("/ui/backups")
		b.Choose("input[type=file]", u.path(name))
		b.Click("button", "Upload")
		b.Until("it is refused", `document.querySelector("[role=alert]")`)
		says := b.Text("[role=alert]")
		if len(says) < 40 || strings.Contains(says, "complete") {
			t.Errorf("%s: the page says %q", name, says)
		}
		t.Logf("%s: %s", name, says)
		u.notOwned(b)
	}
	u.check(b, "upload-refused")
	if after := list(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("files %q, before %q", after, before)
	}
}

// altered has another bit in its middle.
func altered(b []byte) []byte {
	b = append([]byte(nil), b...)
	b[len(b)/2] ^= 1
	return b
}

// testBackupOfAnAddon makes one on the page of the add-on, and brings it back there.
func (u *ui) testBackupOfAnAddon(t *testing.T) {
	b := u.on(t)
	b.Visit(lampAt + "/backups")
	b.Fill("Name", "before the party")
	b.Click("button", "Make a backup")
	b.Until("it is there", `document.querySelectorAll("#addon-backups li[id^=backup-]").length === 2`)
	b.Sees("before the party")
	u.check(b, "addon-backups")
	u.setLamp("red", "spoiled")
	row := browser.Eval[string](b, `Array.prototype.find.call(document.querySelectorAll("#addon-backups li"), function (e) { return e.innerText.includes("before the party") }).id`)
	b.ClickIn("#"+row, "DisclosureTriangle", "Restore…")
	b.ClickIn("#"+row, "button", "Restore this add-on")
	b.At(lampAt + "/backups")
	b.Sees("The add-on is restored.")
	u.lampIs("blue", "precious")
}
