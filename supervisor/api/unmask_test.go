package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// TestUnmask: a mask is the value as it is, also in a list whose items moved; where nobody can tell, the value is asked for.
func TestUnmask(t *testing.T) {
	now := func() api.AddonOptions {
		return read(t, `{"token":"t0","keys":["k1","k2"],"ratio":1.0,"logins":[{"user":"ann","password":"p1"},{"user":"bob","password":"p2"}]}`)
	}
	for _, c := range []struct{ asked, want, path string }{
		{`{"token":"********","ratio":2.0}`, `{"token":"t0","ratio":2.0}`, ""},
		{`{"token":"new"}`, `{"token":"new"}`, ""},
		{`{"keys":["********","********"]}`, `{"keys":["k1","k2"]}`, ""},
		{`{"keys":["********","other"]}`, `{"keys":["k1","other"]}`, ""},
		{`{"keys":["********"]}`, "", "keys[0]"}, // which of them?
		{`{"logins":[{"user":"bob","password":"********"}]}`, `{"logins":[{"user":"bob","password":"p2"}]}`, ""},
		{`{"logins":[{"user":"bob","password":"********"},{"user":"ann","password":"********"}]}`, `{"logins":[{"user":"bob","password":"p2"},{"user":"ann","password":"p1"}]}`, ""},
		{`{"logins":[{"user":"anna","password":"********"},{"user":"bob","password":"x"}]}`, `{"logins":[{"user":"anna","password":"p1"},{"user":"bob","password":"x"}]}`, ""},
		{`{"logins":[{"user":"eve","password":"********"}]}`, "", "logins[0].password"},
		{`{"stranger":"********"}`, "", "stranger"},
		{`{"deep":{"x":["********"]}}`, "", "deep.x[0]"},
	} {
		asked := read(t, c.asked)
		wrong := api.Unmask(asked, now())
		if wrong != nil {
			if wrong.Path != c.path || wrong.Valid || !strings.Contains(wrong.Message, "write the value") {
				t.Errorf("%s: wrong at %q (%s), want %q", c.asked, wrong.Path, wrong.Message, c.path)
			}
			continue
		}
		got, err := asked.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		want, err := read(t, c.want).MarshalJSON()
		if err != nil || string(got) != string(want) {
			t.Errorf("%s gives %s, want %s (%v)", c.asked, got, want, err)
		}
	}
}

func read(t *testing.T, text string) (out api.AddonOptions) {
	t.Helper()
	if text == "" {
		t.Error("options were taken that had to be asked for")
		return nil
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMaskComesBack: what somebody was shown masked reaches the add-on as it was, and a mask for nothing is refused by both
// calls.
func TestMaskComesBack(t *testing.T) {
	h := &house{}
	call(t, h, true, "POST", "/castellan/addons/core_x/options", `{"options":{"pass":"********","port":1}}`)
	if got := strings.Join(h.calls, "\n"); !strings.Contains(got, "s3cret") || strings.Contains(got, "****") {
		t.Errorf("the add-on got %s", got)
	}
	if body := call(t, h, true, "POST", "/castellan/addons/core_x/options/validate", `{"options":{"port":"********","x":"********"}}`).body.String(); !strings.Contains(body, `"valid":false`) || !strings.Contains(body, `"path":"x"`) {
		t.Errorf("a mask for nothing was found good: %s", body)
	}
	if got := call(t, h, true, "POST", "/castellan/addons/core_x/options", `{"options":{"x":"********"}}`); got.status != 400 {
		t.Errorf("a mask for nothing was set: %d %s", got.status, got.body.String())
	}
}
