package house

import (
	"context"
	"encoding/json"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// records reads the whole verification log of one kind through the daemon.
func (h *house) records(kind string) []audit.Record {
	h.t.Helper()
	list, err := h.client.Log(context.Background(), api.LogQuery{Last: 10000, Kinds: []string{kind}})
	must(h.t, err)
	var out []audit.Record
	for _, r := range list.Records {
		var rec audit.Record
		must(h.t, json.Unmarshal(r.Line, &rec))
		out = append(out, rec)
	}
	return out
}

// verdicts are all verdicts about a service, oldest first.
func (h *house) verdicts(service string) []trust.Verdict {
	h.t.Helper()
	var out []trust.Verdict
	for _, r := range h.records("verdict") {
		var p audit.VerdictPayload
		must(h.t, json.Unmarshal(r.Payload, &p))
		if p.Verdict.Subject.Component == service {
			out = append(out, p.Verdict)
		}
	}
	return out
}

// actions is the story the log tells of changes: change ID -> what was said of its end.
func (h *house) actions() map[string][]supervisor.Action {
	h.t.Helper()
	out := map[string][]supervisor.Action{}
	for _, r := range h.records("action") {
		var a supervisor.Action
		must(h.t, json.Unmarshal(r.Payload, &a))
		out[a.Change] = append(out[a.Change], a)
	}
	return out
}

// soundness fails the test unless five sentences hold of a house at rest: exactly one container of each service is
// there, it runs and it is what status says; its image has a verdict that allows it; the engine would start it after a
// reboot and nothing else; every change that ended has a record that says so; the log's chain verifies.
func (h *house) soundness() {
	h.t.Helper()
	st := h.rest()
	if got := h.containers(); len(got) != len(st.Services) {
		h.t.Errorf("%d containers for %d services: %+v", len(got), len(st.Services), got)
	}
	for _, s := range st.Services {
		c := h.container(s.Name)
		if c.Image != s.Image || c.Labels["io.castellan.version"] != s.Version {
			h.t.Errorf("%s runs %s (%s), status says %s (%s)", s.Name, c.Image, c.Labels["io.castellan.version"], s.Image, s.Version)
		}
		if len(c.Names) != 1 || c.Names[0] != "/"+s.Name {
			h.t.Errorf("%s is named %v", s.Name, c.Names)
		}
		if p := h.restartPolicy(c.ID); p != "unless-stopped" {
			h.t.Errorf("%s has restart policy %q", s.Name, p)
		}
		allowed := false
		for _, v := range h.verdicts(s.Name) {
			for _, d := range v.Subject.Digests() {
				allowed = allowed || v.Outcome.Allowed() && string(d) == c.Image
			}
		}
		if !allowed {
			h.t.Errorf("%s runs %s, which no verdict allows", s.Name, c.Image)
		}
	}
	h.storyIsWhole()
	h.castellan("log", "verify").says(h.t, 0, "chain good")
}

// storyIsWhole compares the journal's ends of changes with the log's.
func (h *house) storyIsWhole() {
	h.t.Helper()
	list, err := h.client.Changes(context.Background())
	must(h.t, err)
	told := h.actions()
	for _, c := range list.Changes {
		if !c.Done || c.State == "stuck" {
			h.t.Errorf("change %s rests %s: %s", c.ID, c.State, c.Why)
			continue
		}
		last := told[c.ID]
		end := c.State
		if c.Kind == "remove" && end == "committed" {
			end = "removed"
		}
		if len(last) == 0 || last[len(last)-1].What != end {
			h.t.Errorf("change %s ended %s, the log says %+v", c.ID, c.State, last)
		}
	}
}
