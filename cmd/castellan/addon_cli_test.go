package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// Add-ons as the daemon tells of them.
var (
	sshOffered = api.AddonInfo{Addon: api.Addon{Slug: "core_ssh", Name: "SSH\x1b[2J", VersionLatest: "9", State: "absent", Badge: "verified", Publisher: "p-1"}, Rating: 5,
		Asks: []api.Right{{Code: "host_network", Words: "share the network of the appliance"}}}
	sshInstalled = api.AddonInfo{Addon: api.Addon{Slug: "core_ssh", Name: "SSH", Version: "8", VersionLatest: "9", Update: true, State: "running", Badge: "verified",
		Waiting: &api.PlanSkip{Code: "consent", Why: "it waits for your consent"}}, Asks: []api.Right{{Code: "usb", Words: "use USB devices"}},
		Options: api.AddonOptions{"port": 22, "tls": map[string]any{"on": true}, "logins": []any{}}, Overrides: api.AddonOptions{"ratio": 1.0}}
	plainOffered = api.AddonInfo{Addon: api.Addon{Slug: "core_dull", Name: "Dull", VersionLatest: "1", State: "absent"}}
)

func TestAddonCommands(t *testing.T) {
	good := api.Change{ID: "c1", Service: "core_ssh", To: "9", State: "committed", Done: true, Good: true}
	failed := api.Change{ID: "c1", Service: "core_ssh", To: "9", State: "rolled-back", Done: true, Why: "it ended at once"}
	refused := api.Change{ID: "c1", Service: "core_ssh", To: "9", State: "refused", Reason: "REVOKED", Done: true, Why: "withdrawn", Next: "wait"}
	consent := api.ConsentRequired("core_ssh", "9", []api.Right{{Code: "usb", Words: "use USB devices"}}, "")
	invalid := &api.Error{Status: http.StatusBadRequest, Key: api.KeyAddonOptions, Message: "port: want a whole number"}
	options := filepath.Join(t.TempDir(), "o.yaml")
	if err := os.WriteFile(options, []byte("port: 80\nratio: 1.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line   string
		butler butler
		code   int
		stdout string
		stderr string
		asked  string // the last call, "" = none that changes
	}{
		{"addon list", butler{}, 0, "Next: castellan addon list --all", "", ""},
		{"addon list", butler{addon: sshInstalled}, 0, "core_ssh: it waits for your consent", "", ""},
		{"addon list --all", butler{addon: sshOffered}, 0, "core_ssh  SSH[2J  absent  -        verified  9", "", ""},
		{"addon list", butler{err: errors.New("no")}, 1, "", "Next: castellan status", ""},
		{"addon info core_ssh", butler{addon: sshInstalled}, 0, "9 asks for besides:\n  - use USB devices (usb)", "", ""},
		{"addon info nobody", butler{}, 1, "", "Next: castellan addon list --all", ""},
		{"addon install core_ssh", butler{addon: sshOffered}, 2, "", "Next: castellan addon install core_ssh --yes", ""},
		{"addon install core_ssh --yes", butler{addon: sshOffered, change: good}, 0, "core_ssh 9: committed", "share the network of the appliance (host_network)", `install ["core_ssh",{"asks":["host_network"]}]`},
		{"addon install core_ssh --yes --start --auto-update --detach", butler{addon: sshOffered, change: good}, 0, "accepted: c1", "publisher: p-1; image: verified", `install ["core_ssh",{"start":true,"auto_update":true,"asks":["host_network"]}]`},
		{"addon install core_dull", butler{addon: plainOffered}, 0, "core_dull: installed", "nothing else", `install ["core_dull",{}]`},
		{"addon install core_ssh --yes", butler{addon: sshOffered, change: refused}, 4, "refused", "Next: wait", "install"},
		{"addon install core_ssh", butler{addon: sshInstalled, err: errors.New("it is installed")}, 1, "", "Next: castellan addon info core_ssh", `install ["core_ssh",{}]`},
		{"addon install nobody", butler{}, 1, "", "Next: castellan addon list --all", ""},
		{"addon uninstall core_ssh", butler{change: good}, 0, "committed", "", `uninstall ["core_ssh",{"data":"keep"}]`},
		{"addon uninstall core_ssh --data 30d", butler{}, 0, "core_ssh: removed", "", `uninstall ["core_ssh",{"data":"30d"}]`},
		{"addon uninstall core_ssh --data delete", butler{}, 2, "", "Next: castellan addon uninstall core_ssh --data delete --yes", ""},
		{"addon uninstall core_ssh --data delete --yes", butler{}, 0, "removed", "", `uninstall ["core_ssh",{"data":"delete"}]`},
		{"addon uninstall core_ssh --data burn", butler{}, 2, "", "want keep, 30d or delete", ""},
		{"addon start core_ssh", butler{}, 0, "core_ssh: started", "", `start ["core_ssh"]`},
		{"addon start core_ssh", butler{skip: "it runs already"}, 3, "it runs already", "", `start ["core_ssh"]`},
		{"addon stop core_ssh", butler{}, 0, "core_ssh: stopped", "", `stop ["core_ssh"]`},
		{"addon restart core_ssh", butler{err: invalid}, 1, "", "Next: castellan addon info core_ssh", `restart ["core_ssh"]`},
		{"addon update core_ssh --to 9", butler{change: good}, 0, "core_ssh 9: pulled", "", `update ["core_ssh",{"version":"9"}]`},
		{"addon update core_ssh", butler{change: failed}, 1, "rolled-back", "Next: castellan addon logs core_ssh", `update ["core_ssh",{}]`},
		{"addon update core_ssh", butler{err: consent}, 1, "", "use USB devices (usb)\ncastellan: core_ssh 9 asks for 1 rights that nobody agreed to\nNext: castellan addon consent core_ssh", "update"},
		{"addon update core_ssh", butler{skip: "nothing newer"}, 3, "nothing newer", "", "update"},
		{"addon rollback core_ssh", butler{change: good}, 0, "committed", "", `rollback ["core_ssh"]`},
		{"addon build core_ssh", butler{addon: sshOffered}, 2, "", "Next: castellan addon build core_ssh --yes", "build"},
		{"addon build core_ssh --yes", butler{addon: sshOffered, change: good}, 0, "committed", "use USB devices", `build ["core_ssh",{"asks":["usb"]}]`},
		{"addon build core_ssh --yes", butler{addon: sshInstalled}, 1, "", "use USB devices", `build ["core_ssh",{}]`},
		{"addon consent core_ssh", butler{addon: sshInstalled}, 2, "", "use USB devices (usb)", ""},
		{"addon consent core_ssh --yes", butler{addon: sshInstalled}, 0, "Next: castellan addon update core_ssh", "may, besides", `consent ["core_ssh",{"version":"9","asks":["usb"]}]`},
		{"addon consent core_ssh", butler{addon: sshOffered}, 1, "", "Next: castellan addon install core_ssh", ""},
		{"addon consent core_dull", butler{addon: api.AddonInfo{Addon: api.Addon{Version: "1"}}}, 3, "", "asks for nothing besides", ""},
		{"addon import /b/1.tar core_ssh", butler{}, 2, "", "Next: castellan addon import /b/1.tar core_ssh --yes", "import"},
		{"addon import /b/1.tar core_ssh --yes --start", butler{change: good}, 0, "committed", "use USB devices", `import ["core_ssh",{"path":"/b/1.tar","start":true,"asks":["usb"]}]`},
		{"addon options core_ssh", butler{addon: sshInstalled}, 0, `"port": 22`, "", ""},
		{"addon options core_ssh --set port=80 --set tls.key=a=b", butler{addon: sshInstalled}, 0, "Next: castellan addon restart core_ssh", "", `options ["core_ssh",{"port":80,"ratio":1.0,"tls":{"key":"a=b"}}]`},
		{"addon options core_ssh --set logins.name=x", butler{addon: sshInstalled}, 2, "", "logins is no dictionary", ""},
		{"addon options core_ssh --set port", butler{addon: sshInstalled}, 2, "", "want KEY=VALUE", ""},
		{"addon options core_ssh --set l=[", butler{addon: sshInstalled}, 2, "", "--set l: cannot read", ""},
		{"addon options core_ssh --reset", butler{}, 0, "there is no option colour", "", `options ["core_ssh",null]`},
		{"addon options core_ssh --file " + options, butler{}, 0, "core_ssh: set", "", `options ["core_ssh",{"port":80,"ratio":1.0}]`},
		{"addon options core_ssh --file /none", butler{}, 1, "", "cannot read the options: open /none", ""},
		{"addon options core_ssh --reset", butler{err: invalid}, 1, "", "Next: castellan addon options core_ssh --get", "options"},
		{"addon ports core_ssh", butler{addon: api.AddonInfo{Ports: []api.AddonPort{{Container: "22/tcp"}}}}, 0, "22/tcp  none", "", ""},
		{"addon ports core_ssh 80/tcp=8080 443/udp=none", butler{}, 0, "core_ssh: set", "", `set ["core_ssh",{"ports":{"443/udp":null,"80/tcp":8080}}]`},
		{"addon ports core_ssh 80=8080", butler{}, 2, "", "want a port as 80/tcp=8080", ""},
		{"addon ports core_ssh 80/tcp=0", butler{}, 2, "", "from 1 to 65535", ""},
		{"addon set core_ssh --boot manual --auto-update on --watchdog off --protected on", butler{}, 0, "core_ssh: set", "", `set ["core_ssh",{"boot":"manual","auto_update":true,"watchdog":false,"protected":true}]`},
		{"addon set core_ssh --boot never", butler{}, 2, "", "want auto or manual", ""},
		{"addon set core_ssh --watchdog yes", butler{}, 2, "", "want on or off", ""},
		{"addon set core_ssh", butler{}, 2, "", "nothing to set", ""},
		{"addon logs core_ssh", butler{}, 0, "one\ntwo\n", "", `logs ["core_ssh",100,false]`},
		{"addon logs core_ssh -f -n 7", butler{}, 0, "one\ntwo\n", "", `logs ["core_ssh",7,true]`},
		{"addon logs core_ssh -n 0", butler{}, 2, "", "want a number from 1", ""},
		{"addon logs core_ssh", butler{err: errors.New("not running")}, 1, "", "Next: castellan addon info core_ssh", "logs"},
		{"addon stats core_ssh", butler{}, 0, "processor  1.50 %\nmemory     2.0 MiB", "", ""},
		{"addon stdin core_ssh", butler{}, 2, "", "the standard input is empty", ""},
		{"repo list", butler{}, 0, "Official[2J", "", ""},
		{"repo add https://x/r#b", butler{}, 0, "12345678:", "", `add [{"repository":"https://x/r#b"}]`},
		{"repo add https://x/own", butler{}, 1, "", "Next: castellan repo add https://x/own --ledger ab:cd", ""},
		{"repo add https://x/own --ledger ab:cd", butler{}, 0, "offers 3 add-ons", "", `add [{"repository":"https://x/own","ledger":"ab:cd"}]`},
		{"repo remove core", butler{err: errors.New("in use")}, 1, "", "Next: castellan repo list", `remove ["core"]`},
		{"repo remove 12345678", butler{}, 0, "12345678: removed", "", `remove ["12345678"]`},
		{"repo refresh", butler{}, 0, "core: odd: no version", "", `refresh [""]`},
		{"repo refresh core", butler{skip: "no route"}, 1, "! core: no route", "Next: castellan repo refresh core", `refresh ["core"]`},
		{"addon dance", butler{}, 2, "", `unknown command "addon dance"`, ""},
		{"addon options core_ssh --get --reset", butler{}, 2, "", "--get and --reset exclude each other", ""},
		{"repo dance", butler{}, 2, "", "Next: castellan repo --help", ""},
		{"addon start", butler{}, 2, "", "Next: castellan addon start --help", ""},
	} {
		t.Run(c.line, func(t *testing.T) {
			code, stdout, stderr := run(t, append([]string{"--socket", serve(t, &c.butler)}, strings.Fields(c.line)...)...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
				t.Errorf("exit %d, want %d\nstdout %q, want %q\nstderr %q, want %q", code, c.code, stdout, c.stdout, stderr, c.stderr)
			}
			last := ""
			if n := len(c.butler.asked); n > 0 {
				last = c.butler.asked[n-1]
			}
			if last != c.asked && (c.asked == "" || strings.Contains(c.asked, " ") || !strings.HasPrefix(last, c.asked)) {
				t.Errorf("asked %q, want %q", last, c.asked)
			}
			if n := strings.Count(stderr, "Next: "); code != 0 && code != 3 && n != 1 {
				t.Errorf("%d next steps in %q", n, stderr)
			}
			if strings.Contains(stdout+stderr, "\x1b") {
				t.Errorf("an add-on's text moves the terminal: %q %q", stdout, stderr)
			}
		})
	}
}

func TestAddonJSONHasTheShapeOfTheAPI(t *testing.T) {
	for line, want := range map[string]string{
		"addon list":                       `{"addons":[{"slug":"core_ssh",`,
		"addon info core_ssh":              `{"slug":"core_ssh",`,
		"addon start core_ssh":             `{"changes":[],"skips":[]}`,
		"addon install core_ssh":           `{"changes":[],"skips":[]}`,
		"addon options core_ssh":           `{"options":{"logins":[],"port":22,"tls":{"on":true}},"overrides":{"ratio":1.0}}`,
		"addon options core_ssh --reset":   `{"dropped":["colour"],"restart":true}`,
		"addon ports core_ssh":             `{"ports":[]}`,
		"addon set core_ssh --watchdog on": `{"dropped":[],"restart":false}`,
		"addon stats core_ssh":             `{"cpu_percent":1.5,"memory_usage":2097152,`,
		"repo list":                        `{"repositories":[{"slug":"core",`,
		"repo add x":                       `{"slug":"12345678",`,
		"repo remove x":                    `{}`,
		"addon logs core_ssh":              `{"line":"one"}`,
	} {
		code, stdout, stderr := run(t, append([]string{"--json", "--socket", serve(t, &butler{addon: sshInstalled})}, strings.Fields(line)...)...)
		var compact bytes.Buffer
		var first json.RawMessage // a log is an object per line
		if err := errors.Join(json.NewDecoder(strings.NewReader(stdout)).Decode(&first), json.Compact(&compact, first)); err != nil || code != 0 || !strings.HasPrefix(compact.String(), want) {
			t.Errorf("%s: exit %d, %v\n%s\nwant %s\n%s", line, code, err, compact.String(), want, stderr)
		}
	}
}

func TestTheStandardInputIsPassedOn(t *testing.T) {
	for _, c := range []struct{ line, stdin, asked, says string }{
		{"addon stdin core_ssh", "go\n", `stdin ["core_ssh","go\n"]`, ""},
		{"addon stdin core_ssh", strings.Repeat("a", api.MaxStdin+1), "", "larger than 65536 bytes"},
		{"addon options core_ssh --file -", `{"a": 1.0}`, `options ["core_ssh",{"a":1.0}]`, ""},
		{"addon options core_ssh --file -", `[1]`, "", "cannot read the options"},
		{"addon options core_ssh --file -", strings.Repeat(" ", maxOptionsFile+1), "", "larger than 1048576 bytes"},
	} {
		b := &butler{}
		root := newRoot()
		root.SetIn(strings.NewReader(c.stdin))
		root.SetOut(io.Discard)
		root.SetArgs(append([]string{"--socket", serve(t, b)}, strings.Fields(c.line)...))
		err := root.ExecuteContext(t.Context())
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.line, err, c.says)
		}
		if got := strings.Join(b.asked, " "); got != c.asked || (err == nil) != (c.says == "") {
			t.Errorf("%s: asked %q, want %q; %v", c.line, got, c.asked, err)
		}
	}
}

func TestNoDaemonIsExitCode5ForEveryAddonCommand(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "s")
	args := map[string]string{"import": "/b x", "options": "x --reset", "set": "x --watchdog on", "add": "x", "remove": "x", "list": "", "refresh": ""}
	o := &options{}
	for _, cmd := range append(addonCommands(o), repoCommand(o).Commands()...) {
		if cmd.Name() == "stdin" { // asks nobody before it has read something
			continue
		}
		parent := "addon"
		if cmd.HasParent() {
			parent = "repo"
		}
		rest, ok := args[cmd.Name()]
		if !ok {
			rest = "x"
		}
		line := append([]string{"--socket", nowhere, parent, cmd.Name()}, strings.Fields(rest)...)
		if code, _, stderr := run(t, line...); code != 5 || strings.Count(stderr, "Next: ") != 1 {
			t.Errorf("%q: exit %d, %q", line, code, stderr)
		}
	}
}

func TestOnlyAPlainYesIsAYes(t *testing.T) {
	for _, c := range []struct {
		typed, want string
		agreed      bool
	}{
		{"y\n", "", true}, {"YES\n", "", true}, {"\n", "", false}, {"", "", false}, {"n\n", "", false}, {"yeah\n", "", false}, {"y", "", true},
		{"core_ssh\n", "core_ssh", true}, {"y\n", "core_ssh", false}, {"Core_ssh\n", "core_ssh", false}, {strings.Repeat("y", 5000), "", false},
	} {
		err := answer(strings.NewReader(c.typed), io.Discard, question{text: "Sure?", want: c.want, retry: "again", what: "do it"})
		if code, next := classify(err); err != nil && (code != exitFailed || next != "again") || (err == nil) != c.agreed {
			t.Errorf("%q for %q: %v", c.typed, c.want, err)
		}
	}
}

func TestAValueIsReadAsWhatItLooksLike(t *testing.T) {
	for text, want := range map[string]string{
		"80": `80`, "1.0": `1.0`, "true": `true`, "null": `null`, "~": `null`, "": `""`, "'80'": `"80"`, `"a\tb"`: `"a\tb"`, "[a, 1]": `["a",1]`, "{a: b}": `{"a":"b"}`,
		"#secret": `"#secret"`, "pass #word": `"pass #word"`, "1 # x": `"1 # x"`, "a: b": `"a: b"`, "- a": `"- a"`, "!secret x": `"!secret x"`, "*x": `"*x"`, "|": `"|"`,
		"1.10.2": `"1.10.2"`, "a\nb: c": `"a\nb: c"`, " ": `" "`, "a=b": `"a=b"`,
	} {
		v, err := optionValue(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got, _ := json.Marshal(api.AddonOptions{"v": v})
		if string(got) != `{"v":`+want+`}` {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"[", "{a", `"a`} {
		if _, err := optionValue(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestALogMayColourTheTerminalAndNoMore(t *testing.T) {
	in := "a\x1b[1;32mgreen\x1b[0m\r\n\x1b[2J\x1b]0;title\x07b\x1b\x1b[31mc\x00\t\u00e4\u00b0\u009b2J\xc2!\x1b[" + strings.Repeat("1", 100) + "m"
	want := "a\x1b[1;32mgreen\x1b[0m\nJ]0;titleb[31mc\t\u00e4\u00b02J!"
	for size := 1; size < 6; size++ { // cut anywhere
		var out bytes.Buffer
		w := &tame{w: &out}
		for part := range slices.Chunk([]byte(in), size) {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if !strings.HasPrefix(out.String(), want) || strings.Count(out.String(), "\x1b") != 2 {
			t.Errorf("in pieces of %d: %q, want %q", size, out.String(), want)
		}
	}
}
