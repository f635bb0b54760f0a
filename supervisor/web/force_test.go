package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// forceForm is what the page of busy's refusal sends when it is filled in as it must be.
func forceForm() url.Values {
	return url.Values{"service": {"addon_bridge"}, "digest": {digestText(408)}, "reason": {"REVOKED", "LEDGER_EXPIRED"}, "why": {"the pump needs it"}, "confirm": {"Bridge Toolkit"}}
}

// given is a house in which forcing works.
func given() map[string]any {
	answers := busy()
	answers["POST /castellan/trust/force"] = api.Override{ID: "o2new", Service: "addon_bridge", Version: "1.4.0", Digest: digestText(408), Expires: time.Now().Add(15 * time.Minute), Seq: 411}
	return answers
}

func TestForceSaysWhatItIsAbout(t *testing.T) {
	u, _ := fakeUI(t, "admin", busy())
	page := get(u, "/ui/trust/force?service=addon_bridge").Body.String()
	for _, want := range []string{
		"It was withdrawn", "The ledger was not heard of for too long", // all that stands against it
		"The withdrawal is signed by somebody whose word counts here", "Whether it was withdrawn since", // known, unknown
		"counts once", "“Forced”", "verification log", digestText(408), // what it means
		`Type the name “Bridge Toolkit”`, `name="why"`, `name="reason" value="REVOKED"`, `name="reason" value="LEDGER_EXPIRED"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %s", want)
		}
	}
}

func TestForce(t *testing.T) {
	u, f := fakeUI(t, "admin", given())
	w := post(u, "/ui/trust/force", forceForm())
	if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || to != "/ui/trust/forced?id=o2new&record=411&service=addon_bridge" {
		t.Fatalf("answers %d to %q: %s", w.Code, to, w.Body)
	}
	var req api.ForceRequest
	if c := f.calls(); len(c) != 1 || json.Unmarshal([]byte(c[0].body), &req) != nil {
		t.Fatalf("the API was asked %+v", c)
	}
	if req.Service != "addon_bridge" || req.Digest != digestText(408) || !slices.Equal(req.Reasons, []string{"REVOKED", "LEDGER_EXPIRED"}) || req.Why != "the pump needs it" || req.Confirm != "addon_bridge" {
		t.Errorf("the API was asked for %+v", req)
	}
}

// TestForceIsNotGivenLightly: without a reason, without the name, for another image, or when something else stands against it
// by now, nothing is asked of the API, and what was typed is there again.
func TestForceIsNotGivenLightly(t *testing.T) {
	for name, c := range map[string]struct {
		field, value, want string
	}{
		"no reason":      {"why", "  ", "Please give a reason"},
		"a long reason":  {"why", strings.Repeat("ä", 600), "too long"},
		"no name":        {"confirm", "", "That is not the name"},
		"another name":   {"confirm", "Bridge", "That is not the name"},
		"another image":  {"digest", digestText(1), "Something else stands against it"},
		"another reason": {"reason", "LEDGER_EXPIRED", "Something else stands against it"},
	} {
		u, f := fakeUI(t, "admin", given())
		form := forceForm()
		form.Set(c.field, c.value)
		w := post(u, "/ui/trust/force", form)
		page := w.Body.String()
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(page, c.want) {
			t.Errorf("%s: answers %d without %q", name, w.Code, c.want)
		}
		if calls := f.calls(); len(calls) != 0 {
			t.Errorf("%s: the API was asked %+v", name, calls)
		}
		if c.field != "why" && !strings.Contains(page, "the pump needs it") {
			t.Errorf("%s: the reason has to be typed again", name)
		}
	}
	for _, typed := range []string{"bridge toolkit", "addon_bridge", " Bridge Toolkit "} {
		u, _ := fakeUI(t, "admin", given())
		form := forceForm()
		form.Set("confirm", typed)
		if w := post(u, "/ui/trust/force", form); w.Code != http.StatusSeeOther {
			t.Errorf("typing %q answers %d", typed, w.Code)
		}
	}
}

func TestForceWithoutTheName(t *testing.T) {
	answers := given()
	r := answers["GET /castellan/trust/against"].(api.Refusal)
	r.Reasons = r.Reasons[1:]
	answers["GET /castellan/trust/against"] = r
	u, f := fakeUI(t, "admin", answers)
	if page := get(u, "/ui/trust/force?service=addon_bridge").Body.String(); strings.Contains(page, `name="confirm"`) {
		t.Error("the name is asked for though nothing is dangerous")
	}
	form := forceForm()
	form.Del("confirm")
	form.Set("reason", "LEDGER_EXPIRED")
	if w := post(u, "/ui/trust/force", form); w.Code != http.StatusSeeOther || strings.Contains(f.calls()[0].body, `"confirm"`) {
		t.Errorf("answers %d", w.Code)
	}
}

func TestForceThatCantBe(t *testing.T) {
	answers := given()
	r := answers["GET /castellan/trust/against"].(api.Refusal)
	r.Reasons = []api.StandingReason{{ReasonWords: api.ReasonWords{Code: "DIGEST_MISMATCH"}, Force: "no"}}
	answers["GET /castellan/trust/against"] = r
	u, _ := fakeUI(t, "admin", answers)
	page := get(u, "/ui/trust/force?service=addon_bridge").Body.String()
	if strings.Contains(page, `action="/ui/trust/force"`) || !strings.Contains(page, "can&#39;t be forced, by nobody") && !strings.Contains(page, "can't be forced, by nobody") {
		t.Errorf("what can't be forced is offered:\n%s", page)
	}
	r.Reasons = []api.StandingReason{}
	answers["GET /castellan/trust/against"] = r
	if page := get(u, "/ui/trust/force?service=addon_bridge").Body.String(); !strings.Contains(page, "Nothing stands against it any more") || strings.Contains(page, `name="why"`) {
		t.Error("it is not told that it is over")
	}
	answers["GET /castellan/trust/against"] = &api.Error{Status: 404, Key: "nothing_refused", Message: "nothing was refused"}
	if w := get(u, "/ui/trust/force?service=x"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "/ui/help/nothing_refused") {
		t.Errorf("nothing to force answers %d", w.Code)
	}
}

func TestForceRefusedByTheAPI(t *testing.T) {
	answers := given()
	answers["POST /castellan/trust/force"] = &api.Error{Status: 403, Key: "forbidden", Message: "only <admins>", Next: "ask one"}
	u, _ := fakeUI(t, "admin", answers)
	w := post(u, "/ui/trust/force", forceForm())
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "only &lt;admins&gt;") || !strings.Contains(w.Body.String(), "/ui/help/forbidden") {
		t.Errorf("answers %d: %s", w.Code, w.Body)
	}
}

// TestForced: what was given is shown with its record, and goes on from there.
func TestForced(t *testing.T) {
	answers := given()
	wait := api.OverrideState{Override: api.Override{ID: "o2new", Service: "addon_bridge", Version: "1.4.0", Digest: digestText(408), Expires: time.Now().Add(15 * time.Minute), Seq: 411},
		State: "waiting", Slug: "bridge", Why: "the pump needs it", By: "anna (session)", Passes: []api.ReasonWords{{Code: "REVOKED"}}}
	answers["GET /castellan/trust/overrides"] = api.OverrideList{Overrides: []api.OverrideState{wait}}
	answers["GET /castellan/log"] = api.LogList{Records: []api.LogRecord{logOther(411, time.Now(), "override", "addon_bridge", "addon_bridge: [REVOKED] may be passed over once", map[string]any{"id": "o2new"})}}
	refused := api.Change{ID: "c9", Service: "addon_bridge", Slug: "bridge", Kind: "update", From: "1.3.0", To: "1.4.0", State: "refused", Done: true, Reason: "REVOKED"}
	answers["GET /castellan/changes"] = api.ChangeList{Changes: []api.Change{refused}}
	u, f := fakeUI(t, "admin", answers)
	at := "/ui/trust/forced?id=o2new&record=411&service=addon_bridge"
	page := get(u, at).Body.String()
	for _, want := range []string{"Bridge Toolkit may come in once", "Record 411", "the pump needs it", "It was withdrawn", `&#34;id&#34;: &#34;o2new&#34;`, `action="/ui/trust/forced/go"`, `action="/ui/trust/forced/end"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %s", want)
		}
	}
	fields := url.Values{"id": {"o2new"}, "service": {"addon_bridge"}, "record": {"411"}, "kind": {"update"}, "version": {"1.4.0"}}
	answers["POST /castellan/update"] = api.Accepted{Changes: []string{"c10"}}
	if w := post(u, "/ui/trust/forced/go", fields); w.Code != http.StatusSeeOther || w.Header().Get("Location") != at {
		t.Errorf("going on answers %d to %q", w.Code, w.Header().Get("Location"))
	}
	if c := f.calls(); len(c) != 1 || c[0].body != `{"service":"addon_bridge","version":"1.4.0"}` {
		t.Errorf("the API was asked %+v", c)
	}
	get(u, at) // reads the note
	answers["POST /castellan/update"] = api.Accepted{Skips: []api.PlanSkip{{Service: "addon_bridge", Code: "hold", Why: "it is held"}}}
	post(u, "/ui/trust/forced/go", fields)
	if page := get(u, at).Body.String(); !strings.Contains(page, "It did not begin: It is on hold") || !strings.Contains(page, "/ui/help/hold") {
		t.Error("what holds it back is not told")
	}
	going := refused
	going.ID, going.State, going.Done, going.Reason = "c10", "verified", false, ""
	answers["GET /castellan/changes"] = api.ChangeList{Changes: []api.Change{going, refused}}
	if page := get(u, at).Body.String(); !strings.Contains(page, `sse-swap="progress-addon_bridge"`) || strings.Contains(page, `action="/ui/trust/forced/go"`) {
		t.Error("how far it is is not shown")
	}
	answers["GET /castellan/trust/overrides"] = api.OverrideList{}
	if page := get(u, at).Body.String(); !strings.Contains(page, "is over") || strings.Contains(page, "forced/end") {
		t.Error("it is not told that the permission is over")
	}
	answers["POST /castellan/trust/overrides/end"] = struct{}{}
	if w := post(u, "/ui/trust/forced/end", fields); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/ui/trust/images" {
		t.Errorf("taking it back answers %d", w.Code)
	}
}

// TestForcedInstall: what was not installed is installed from its own page, where its rights are shown.
func TestForcedInstall(t *testing.T) {
	answers := given()
	answers["GET /castellan/trust/overrides"] = api.OverrideList{Overrides: []api.OverrideState{{Override: api.Override{ID: "o2new", Service: "addon_bridge"}, State: "waiting"}}}
	answers["GET /castellan/changes"] = api.ChangeList{Changes: []api.Change{{Service: "addon_bridge", Slug: "bridge", Kind: "install", State: "refused", Done: true}}}
	u, _ := fakeUI(t, "admin", answers)
	page := get(u, "/ui/trust/forced?id=o2new&service=addon_bridge").Body.String()
	if !strings.Contains(page, `href="/ui/addons/bridge"`) || strings.Contains(page, "forced/go") {
		t.Error("the way to the add-on's page is not shown")
	}
	if page := get(u, "/ui/trust/forced?id=o2new&service=core").Body.String(); strings.Contains(page, "forced/end") {
		t.Error("a permission is shown for another service")
	}
}
