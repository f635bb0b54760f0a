package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// hostile is text from outside that would do harm if it were taken for a part of the page.
const hostile = `<img src=x onerror=alert(1)>"'>{{.}} ` + "\u202eevil"

func digestText(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// logVerdict is a record of a judgement as the API tells it.
func logVerdict(seq uint64, at time.Time, service, repository, version string, outcome trust.Outcome, findings ...trust.Finding) api.LogRecord {
	v := trust.Verdict{Subject: trust.Subject{Component: service, Class: trust.ClassAddon, Repository: repository, Version: version,
		Manifest: trust.Digest(digestText(int(seq)))}, Action: trust.OwnerUpdate, Outcome: outcome, Findings: findings, Now: at}
	if outcome == trust.Allow {
		v.Publisher, v.Record = "p-r4vkl2omo4xubwkqx3xg", trust.Position{Tx: 13}
	}
	payload, _ := json.Marshal(audit.VerdictPayload{Verdict: v, Change: "20261126t050338745318167-0f60cec9"}) // plain data: it can't fail
	line, _ := json.Marshal(map[string]any{"seq": seq, "time": at, "kind": "verdict", "prev": digestText(1), "payload": json.RawMessage(payload)})
	return api.LogRecord{Seq: seq, Time: at, Kind: "verdict", Service: service, Outcome: string(outcome), Reason: string(v.Reason()),
		Summary: strings.TrimSpace(service + " " + version + ": " + string(outcome) + " " + string(v.Reason())), Line: line}
}

// logOther is a record of another kind.
func logOther(seq uint64, at time.Time, kind, service, summary string, payload any) api.LogRecord {
	line, _ := json.Marshal(map[string]any{"seq": seq, "time": at, "kind": kind, "prev": digestText(1), "payload": payload}) // as above
	return api.LogRecord{Seq: seq, Time: at, Kind: kind, Service: service, Summary: summary, Line: line}
}

// logAnswer chooses records as the API does, as far as these tests look.
func logAnswer(records []api.LogRecord, q url.Values) api.LogList {
	before, _ := strconv.ParseUint(q.Get("before"), 10, 64) // none is 0
	var out api.LogList
	for _, r := range records {
		if (before == 0 || r.Seq < before) && (q.Get("outcome") == "" || q.Get("outcome") == r.Outcome) &&
			(q.Get("kind") == "" || q.Get("kind") == r.Kind) && (q.Get("service") == "" || q.Get("service") == r.Service) {
			out.Records = append(out.Records, r)
		}
	}
	if last, err := strconv.Atoi(q.Get("last")); err == nil && len(out.Records) > last {
		out.Records = out.Records[len(out.Records)-last:]
		out.Before = out.Records[0].Seq
	}
	return out
}

// busy is a house in which all of trust has something to tell.
func busy() map[string]any {
	now := time.Now().Truncate(time.Second)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	decided := func(r trust.Reason, detail string) trust.Finding {
		return trust.Finding{Reason: r, Detail: detail, Decided: true}
	}
	ledger := api.LedgerStatus{Origin: "ledger.castellan.example/demo", State: "fresh", Count: 48213, Time: ago(12 * time.Minute), Root: 3}
	records := []api.LogRecord{
		logVerdict(401, ago(9*24*time.Hour), "core", "ghcr.io/castellan/core", "2026.11.1", trust.Allow),
		logVerdict(402, ago(5*24*time.Hour), "addon_zigbee", "ghcr.io/koenk/zigbee2mqtt", "2.8.0", trust.Allow),
		logVerdict(403, ago(5*24*time.Hour), "lights", "ghcr.io/blakeb/lights", "0.18.2", trust.AllowUnsigned),
		logOther(404, ago(3*24*time.Hour), "action", "core", "core rolled-back (2026.11.1 -> 2026.11.2): no answer on port 8123", map[string]any{"what": "rolled-back"}),
		logVerdict(405, ago(2*24*time.Hour), "addon_nodered", "ghcr.io/community/nodered", "20.0.9", trust.Defer, decided(trust.EvidenceUnavailable, "the ledger is known up to 05:03")),
		logOther(406, ago(47*time.Hour), "override", "addon_nodered", "addon_nodered: [EVIDENCE_UNAVAILABLE] may be passed over once", map[string]any{"id": "o1abc"}),
		logVerdict(407, ago(47*time.Hour), "addon_nodered", "ghcr.io/community/nodered", "20.0.9", trust.AllowOverridden,
			trust.Finding{Reason: trust.EvidenceUnavailable, Decided: true, Overridden: true}),
		logVerdict(408, ago(5*time.Hour), "addon_bridge", "ghcr.io/acme/bridge-toolkit", "1.4.0", trust.Refuse, decided(trust.Revoked, "acme says: "+hostile)),
		logVerdict(409, ago(2*time.Minute), "addon_mirror", "ghcr.io/community/mirror", "3.1", trust.Refuse, decided(trust.ContentMismatch, "other digests stand under 3.1")),
		logOther(410, ago(time.Minute), "head", "", "head signed by the device key", map[string]any{"count": 409}),
	}
	passes := []api.ReasonWords{{Code: "EVIDENCE_UNAVAILABLE", Words: "no notarization is here yet"}}
	return map[string]any{
		"GET /castellan/status": api.Status{State: "running", Ledger: ledger, Ledgers: []api.LedgerStatus{ledger}, Services: []api.ServiceStatus{
			{Name: "core", Class: "core", State: "running", Version: "2026.11.1", Badge: "verified"},
			{Name: "addon_bridge", Slug: "bridge", Class: "addon", State: "running", Version: "1.3.0", Badge: "verified"},
			{Name: "addon_nodered", Slug: "nodered", Class: "addon", State: "running", Version: "20.0.9", Badge: "forced"}}},
		"GET /castellan/changes": api.ChangeList{Changes: []api.Change{}},
		"GET /castellan/addons": api.AddonList{Addons: []api.Addon{{Slug: "bridge", Name: "Bridge Toolkit"}, {Slug: "nodered", Name: "Node-RED"},
			{Slug: "zigbee", Name: "Zigbee2MQTT"}, {Slug: "mirror", Name: "Mirror " + hostile}}},
		"GET /castellan/log":             func(r *http.Request) any { return logAnswer(records, r.URL.Query()) },
		"GET /castellan/log/verify":      api.LogReport{OK: true, Records: 410, Head: digestText(410)},
		"GET /castellan/log/408/explain": api.Explanation{Seq: 408, Text: "record 408\nrefused\n- REVOKED: it was withdrawn\nIt rests on:\n- ledger demo up to transaction 48213\n- image digest " + digestText(408) + "\nevidence " + digestText(2), Reasons: []string{"REVOKED"}, Next: "wait for a newer release"},
		"GET /castellan/log/408/replay":  api.Replay{Seq: 408, Agree: true, Then: "REFUSE REVOKED", Now: "REFUSE REVOKED"},
		"GET /castellan/trust/verify": api.Judgement{Judged: ago(2 * time.Minute), Installed: 5, Verified: 3, Images: []api.JudgedImage{
			{Service: "core", Class: "core", Version: "2026.11.1", Image: "ghcr.io/castellan/core", Badge: "verified", Publisher: "project", Outcome: "ALLOW", Judged: ago(2 * time.Minute), Verdict: 401},
			{Service: "addon_zigbee", Slug: "zigbee", Class: "addon", Version: "2.8.0", Image: "ghcr.io/koenk/zigbee2mqtt", Badge: "verified", Publisher: "p-r4vkl2omo4xubwkqx3xg", Outcome: "ALLOW", Judged: ago(2 * time.Minute), Verdict: 402},
			{Service: "addon_nodered", Slug: "nodered", Class: "addon", Version: "20.0.9", Image: "ghcr.io/community/nodered", Badge: "forced", Outcome: "DEFER", Judged: ago(2 * time.Minute), Verdict: 407, Reasons: passes},
			{Service: "lights", Class: "addon", Version: "0.18.2", Image: "ghcr.io/blakeb/lights", Badge: "unsigned", Outcome: "ALLOW_UNSIGNED", Judged: ago(2 * time.Minute), Verdict: 403},
		}},
		"GET /castellan/trust/overrides": api.OverrideList{Overrides: []api.OverrideState{{Override: api.Override{ID: "o1abc", Service: "addon_nodered", Version: "20.0.9",
			Digest: digestText(405), Reasons: []string{"EVIDENCE_UNAVAILABLE"}, Expires: ago(46 * time.Hour)}, State: "running", Slug: "nodered", Passes: passes,
			Why: "the ledger is away and the heating waits " + hostile, By: "anna (session)", Since: ago(47 * time.Hour), Change: "c1", Verdict: 407}}},
		"GET /castellan/trust/ledgers": api.LedgerList{Ledgers: []api.LedgerView{{LedgerStatus: ledger, Role: "root", Fingerprint: strings.Repeat("ab:", 31) + "cd", Head: digestText(7),
			Age: 720, Warn: 172800, Most: 1209600, Agreement: "agreed", Agreeing: 1, Asked: ago(4 * time.Minute), Keys: []api.LedgerKey{{Name: "ledger.castellan.example/demo", Hash: "1a2b3c4d", Fingerprint: strings.Repeat("12", 32)}},
			Mirrors: []api.LedgerMirror{{URL: "https://ledger.castellan.example/", State: "agrees", Count: 48213, Time: ago(12 * time.Minute)},
				{URL: "https://mirror.example/" + hostile, State: "failed", Error: "status 503 " + hostile}},
			Records: api.LedgerRecords{Transactions: 48213, Notarizations: 51002, Withdrawals: 17, Publishers: 44}}}},
		"GET /castellan/trust/publishers": api.PublisherList{Publishers: []api.PublisherView{
			{ID: "p-castellanprojectkeys", Roles: []string{"core", "security"}, Label: "The Castellan project", Version: 3, Keys: 2, Threshold: 2, Services: []api.PublisherService{{Service: "core", Installed: true}}},
			{ID: "p-r4vkl2omo4xubwkqx3xg", Roles: []string{"pinned"}, Label: "Acme " + hostile, Version: 1, Keys: 1, Threshold: 1, Services: []api.PublisherService{{Service: "addon_bridge", Slug: "bridge", Installed: true, Pinned: true}},
				Revoked:   []api.RevokedKey{{Key: "k1", Reason: "superseded", Cutoff: 9}},
				Last:      &api.PublisherWord{Status: "TRUSTED", Image: "ghcr.io/acme/bridge-toolkit", Version: "1.3.0", Time: ago(90 * time.Hour), Tx: 12},
				Withdrawn: []api.PublisherWord{{Status: "UNTRUSTED", Image: "ghcr.io/acme/bridge-toolkit", Version: "1.4.0", Reason: hostile, Time: ago(5 * time.Hour), Tx: 14}}}},
			Revocations: []api.Revocation{{Service: "addon_bridge", Slug: "bridge", Where: "refused", Version: "1.4.0", Image: "ghcr.io/acme/bridge-toolkit", Digest: digestText(408),
				Code: "REVOKED", Words: "it was withdrawn", Publisher: "p-r4vkl2omo4xubwkqx3xg", Reason: "leaks the password " + hostile, Time: ago(5 * time.Hour)}}},
		"GET /castellan/trust/pins": api.PinList{Pins: []api.Pin{{Service: "addon_bridge", Publisher: "p-r4vkl2omo4xubwkqx3xg", Floor: 12, Ledger: "ledger.castellan.example/demo"}}},
		"GET /castellan/trust/house": api.HouseList{Publisher: "p-houseofanna", Words: []api.HouseWord{{Status: "TRUSTED", Repository: "ghcr.io/home-assistant/core", Version: "2026.11.0",
			Manifest: digestText(9), Time: ago(300 * time.Hour), Reason: "I run the original"}}},
		"GET /castellan/trust/against": api.Refusal{Change: api.Change{ID: "c9", Service: "addon_bridge", Slug: "bridge", Kind: "update", From: "1.3.0", To: "1.4.0", State: "refused", Done: true, Reason: "REVOKED"},
			Outcome: "REFUSE", Image: "ghcr.io/acme/bridge-toolkit", Digest: digestText(408), Verdict: 408,
			Reasons: []api.StandingReason{{ReasonWords: api.ReasonWords{Code: "REVOKED", Words: "it was withdrawn", Detail: "acme says: " + hostile}, Force: "typed"},
				{ReasonWords: api.ReasonWords{Code: "LEDGER_EXPIRED", Words: "nothing new was heard"}, Force: "yes"}}},
	}
}
