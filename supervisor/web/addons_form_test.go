package web

import (
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

const zigbeePage = "/ui/addons/a0d7b954_zigbee2mqtt"

// sentBack is what a browser sends when nobody changed the form.
func sentBack() url.Values {
	return url.Values{"o0": {"/dev/ttyUSB0"}, "o1": {"15"}, "o2": {"1.0"}, "o3": {""}, "o3.set": {"1"}, "o4": {"on"}, "o5": {""}, "o6": {"info"}, "o7": {"a@b.example"}, "o8": {""},
		"o9": {"one\r\ntwo\r\n"}, "o10": {"a"}, "o11.0": {"broker"}, "o11.1": {""}, "o11.1.set": {"1"},
		"o12.n": {"0", "1"}, "o12[0].0": {"ann"}, "o12[0].1": {""}, "o12[0].1.set": {"1"}, "o12[1].0": {"bob"}, "o12[1].1": {""}, "o12[1].1.set": {"1"}}
}

// TestOptionsForm: each type has its field with its author's words and what is in force, and no secret is on the page.
func TestOptionsForm(t *testing.T) {
	s := newShop()
	page := s.get(t, zigbeePage).Body.String()
	wants(t, page, []string{`<label for="o0" dir="auto">Serial adapter`, "The USB stick your radio is on", `<option value="/dev/ttyUSB0" selected>`, "11 to 26", `inputmode="numeric"`, `value="15"`, `value="1.0"`, `inputmode="decimal"`,
		`type="password"`, "Set; stays as it is", `role="switch" id="o4"`, `<option value="" selected>Not set`, `inputmode="email"`, `inputmode="url"`, "one\ntwo</textarea>", "User name", `name="o12[1].0"`, `value="bob"`, "Add an entry", "Edit as YAML", "Back to the author"},
		"s3cretWord", "nestedSecret", "annsSecret", "bobsSecret", "⟨", "ZgotmplZ")
	wants(t, s.get(t, zigbeePage+"/yaml").Body.String(), []string{"channel: 15", "ratio: 1.0", "********", "# Serial adapter – The USB stick your radio is on"}, "s3cretWord", "nestedSecret", "annsSecret", "⟨")
}

// TestOptionsSent: what nobody changed stays the author's, a secret that was not typed stays as it is, and texts become what
// the schema says.
func TestOptionsSent(t *testing.T) {
	s := newShop()
	w := s.post(t, zigbeePage+"/options", sentBack())
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != zigbeePage {
		t.Fatalf("%d to %s", w.Code, w.Header().Get("Location"))
	}
	wants(t, s.calls(), []string{`/options {"options":{"channel":15}}`})

	s = newShop()
	s.kept = api.Kept{Restart: true, Dropped: []string{"old"}}
	form := sentBack()
	form.Set("o1", "12")
	form.Set("o2", "0,5")
	form.Set("o3", "n3w & <b>")
	form.Del("o4")
	form.Set("o5", "false")
	form.Set("o9", "one\n\n three \n")
	form["o10"] = []string{"a", "b"}
	form.Set("o11.1.drop", "1")
	form.Set("o12[0].0", "anna")
	form.Set("then", "restart")
	s.post(t, zigbeePage+"/options", form)
	wants(t, s.calls(), []string{`"channel":12`, `"ratio":0.5`, `"password":"n3w \u0026 \u003cb\u003e"`, `"join":false`, `"quiet":false`, `"topics":["one","three"]`, `"modes":["a","b"]`, `"nested":{"host":"broker"}`,
		`{"password":"********","user":"anna"},{"password":"********","user":"bob"}`, "POST /castellan/addons/a0d7b954_zigbee2mqtt/restart"}, `"serial"`, `"level"`, `"mail"`)
}

// TestOptionsWrong: nothing is kept, and what is wrong stands beside its field with what was typed; but no secret comes back.
func TestOptionsWrong(t *testing.T) {
	s := newShop()
	s.check = api.OptionsCheck{Path: "channel", Message: "want a whole number from 11 to 26"}
	form := sentBack()
	form.Set("o1", "ninety <b>")
	form.Set("o3", "typedSecret")
	w := s.post(t, zigbeePage+"/options", form)
	if w.Code != http.StatusUnprocessableEntity {
		t.Fatalf("%d", w.Code)
	}
	page := w.Body.String()
	wants(t, page, []string{`value="ninety &lt;b&gt;"`, `id="o1-error"`, "want a whole number from 11 to 26", `aria-describedby="o1-help o1-error"`, `aria-invalid="true"`, "Not saved; nothing has changed.", "Please type it again", `name="o3.set"`}, "typedSecret", "s3cretWord")
	if strings.Contains(s.calls(), "/options {") {
		t.Errorf("wrong options were set: %s", s.calls())
	}
	for path, id := range map[string]string{"logins[1].password": "o12[1].1", "nested.host": "o11.0", "topics[1]": "o9", "logins[7].user": "o12"} {
		s.check = api.OptionsCheck{Path: path, Message: "it is wrong"}
		page := s.post(t, zigbeePage+"/options", sentBack()).Body.String()
		if !regexp.MustCompile(`id="` + regexp.QuoteMeta(id) + `-error">.*it is wrong`).MatchString(page) {
			t.Errorf("%s is not told beside %s", path, id)
		}
	}
	s.check = api.OptionsCheck{Path: "nowhere", Message: hostileName}
	wants(t, s.post(t, zigbeePage+"/options", sentBack()).Body.String(), []string{"nowhere: &lt;/textarea&gt;"}, "<script>alert")
}

// TestOptionsLists: entries come and go without JavaScript, and nothing is kept by that.
func TestOptionsLists(t *testing.T) {
	s := newShop()
	form := sentBack()
	form.Set("do", "add o12")
	w := s.post(t, zigbeePage+"/options", form)
	wants(t, w.Body.String(), []string{`name="o12[2].0"`, "Not saved yet."})
	form.Set("do", "drop o12 0")
	page := s.post(t, zigbeePage+"/options", form).Body.String()
	wants(t, page, []string{`value="bob"`, `name="o12[0].0"`}, `value="ann"`, `name="o12[1].0"`)
	if w.Code != http.StatusOK || s.calls() != "" {
		t.Errorf("%d %s", w.Code, s.calls())
	}
	form.Set("do", "reset")
	s.post(t, zigbeePage+"/options", form)
	wants(t, s.calls(), []string{`/options {"options":null}`})
	form = sentBack()
	for range 2_000 {
		form.Add("o12.n", "150")
	}
	if w := s.post(t, zigbeePage+"/options", form); w.Code != http.StatusSeeOther {
		t.Errorf("a form with 2,000 entries: %d", w.Code)
	}
}

// TestOptionsHostile: a schema and values full of HTML stay text.
func TestOptionsHostile(t *testing.T) {
	s := newShop()
	info := zigbee()
	info.Options = api.AddonOptions{hostileName: hostileName, "l": []any{hostileName}, "c": hostileName, "d": map[string]any{hostileName: hostileName}, "t": "a\n" + hostileName}
	info.Schema = []map[string]any{{"name": hostileName, "type": "string", "required": true}, {"name": "l", "type": "string", "multiple": true}, {"name": "c", "type": "select", "options": []string{hostileName, "x"}},
		{"name": "d", "type": "schema", "schema": []map[string]any{{"name": hostileName, "type": "string", "lengthMax": hostileName}}}, {"name": "t", "type": "string"}, {"name": hostileName, "type": hostileName, "format": hostileName}, {"name": nil}}
	info.Translation = map[string]api.AddonTranslation{"l": {Name: hostileName, Description: hostileName + "\nmode: evil"}, "d": {Name: "\u202e" + hostileName, Fields: map[string]api.AddonTranslation{hostileName: {Name: hostileName}}}}
	info.Ports[0].Description, info.Trouble, info.State = hostileName, hostileName, "error"
	s.info[info.Slug] = info
	for _, path := range []string{zigbeePage, zigbeePage + "/yaml"} {
		wants(t, s.get(t, path).Body.String(), nil, "<script>alert", "<img src=x", `" onfocus`, "</textarea></script>")
	}
	text := yamlOf(info.Options, info.Schema, info.Translation)
	got, err := readYAML(text)
	if err != nil || !alike(got, map[string]any(info.Options)) {
		t.Errorf("as YAML they come back as %v (%v) from\n%s", got, err, text)
	}
	wants(t, s.post(t, zigbeePage+"/yaml", url.Values{"yaml": {hostileName + ": ["}}).Body.String(), []string{"&lt;/textarea&gt;"}, "<script>alert")
}

func TestYAMLRoundTrip(t *testing.T) {
	values := []any{"", "plain", "two words", "yes", "No", "null", "0123", "1e3", "1.0", "-", "- x", "a: b", "# no", "a #b", "!secret wifi", "!other x", "*a", "&a", "line\nline\n", "tab\t", " lead", "trail ", "ünï \u2028", "'", `"`, `\`, "@x", "%x", "{", "[", "~", "=", "<<", "2026-01-01", "12:30:45", "0x1f", "0o7", ".5", ".inf", "true", "/dev/ttyUSB0", "a@b.example",
		true, false, nil, []any{}, map[string]any{}, []any{"a", []any{"b"}, map[string]any{"x": "y", "z": []any{map[string]any{"q": "r"}, map[string]any{}}}}, map[string]any{"": "empty key", "yes": "key", "a: b": "key", "deep": map[string]any{"deeper": []any{"1", "2"}}}}
	for _, v := range values {
		want := map[string]any{"o": v, "p": "after"}
		text := yamlOf(want, nil, nil)
		got, err := readYAML(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%#v comes back as %#v (%v) from\n%s", want, got, err, text)
		}
	}
}

func TestYAMLSent(t *testing.T) {
	s := newShop()
	s.kept = api.Kept{Restart: true}
	text := "# mine\nchannel: 20\r\nserial: /dev/ttyUSB0\npassword: '********'\nextra: [1, 2.50]\n"
	if w := s.post(t, zigbeePage+"/yaml", url.Values{"yaml": {text}}); w.Code != http.StatusSeeOther {
		t.Fatalf("%d", w.Code)
	}
	wants(t, s.calls(), []string{`/options {"options":{"channel":20,"extra":[1,2.5]}}`})

	s = newShop()
	for yaml, want := range map[string]string{"channel: [": "line 1", "- a\n- b": "dictionary", "a: &x 1\nb: *x": "", strings.Repeat("[", 10_000): "", "a: 1\na: 2": ""} {
		w := s.post(t, zigbeePage+"/yaml", url.Values{"yaml": {yaml}})
		if want == "" {
			continue // whether it is one or not: the page stands
		}
		if w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%.40q: %d", yaml, w.Code)
		}
		wants(t, w.Body.String(), []string{"Not saved; nothing has changed.", want, `id="yaml-error"`})
	}
	s.check = api.OptionsCheck{Valid: true, Dropped: []string{"chanel"}}
	wants(t, s.post(t, zigbeePage+"/yaml", url.Values{"yaml": {"chanel: 12\n"}}).Body.String(), []string{"Not saved; nothing has changed.", "chanel: the add-on has no such option"})
	if strings.Contains(s.calls(), `/options {"options":{"chanel"`) {
		t.Errorf("a slip was set: %s", s.calls())
	}
	s.check = api.OptionsCheck{Path: "channel", Message: "want a whole number from 11 to 26"}
	w := s.post(t, zigbeePage+"/yaml", url.Values{"yaml": {"# why\nchannel: 99\n"}})
	if w.Code != http.StatusUnprocessableEntity {
		t.Errorf("%d", w.Code)
	}
	wants(t, w.Body.String(), []string{"# why\nchannel: 99\n</textarea>", "channel: want a whole number from 11 to 26"}, "s3cretWord")
}
