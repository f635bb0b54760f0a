package web

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// logRow is a record in words.
type logRow struct {
	api.LogRecord
	Name    string        // of the service, as people call it
	Badge   string        // of a verdict
	Said    string        // what it says, in a sentence
	Verdict trust.Verdict // of a verdict; empty otherwise
	Change  string
	Fresh   bool // it has just come
}

// fresh is how young a record is that is shown as new.
const fresh = 5 * time.Second

func (v *visit) logRow(r api.LogRecord) logRow {
	out := logRow{LogRecord: r, Fresh: v.now.Sub(r.Time) < fresh}
	if r.Service != "" {
		out.Name = v.called(r.Service, "")
	}
	if r.Kind != string(audit.KindVerdict) {
		out.Said = v.otherSaid(r)
		return out
	}
	var line struct{ Payload audit.VerdictPayload }
	if json.Unmarshal(r.Line, &line) == nil { // from a newer daemon: the summary serves
		out.Verdict, out.Change = line.Payload.Verdict, line.Payload.Change
	}
	out.Badge, out.Said = badgeOf(r.Outcome, r.Reason), v.verdictSaid(r.Outcome, r.Reason)
	return out
}

// otherSaid is a sentence about a record that is no verdict.
func (v *visit) otherSaid(r api.LogRecord) string {
	var line struct {
		Payload struct {
			What      string `json:"what"`
			Recovered bool   `json:"recovered"`
			Forgotten any    `json:"forgotten"`
		}
	}
	_ = json.Unmarshal(r.Line, &line) // of another shape: the kind says enough
	p, words := line.Payload, v.ui.in(v.lang)
	if code, ok := strings.CutPrefix(p.What, "waits: "); ok {
		return v.say("trust.waits", v.skipSaid(api.PlanSkip{Code: code, Why: code}))
	}
	kind := words.known("trust.kind_"+r.Kind, r.Kind)
	switch {
	case r.Kind == string(audit.KindMirror) && p.Recovered:
		return v.say("trust.mirror_back")
	case r.Kind == string(audit.KindMirror):
		return v.say("trust.mirror_lost")
	case r.Kind == string(audit.KindPin) && p.Forgotten != nil:
		return v.say("trust.pin_forgotten")
	}
	return words.known("trust.act_"+p.What, kind)
}

// Brief is the daemon's own words for a list, where they are long; the record's page has them all.
func (r logRow) Brief() string { return cut(r.Summary, 140) }

// verdictSaid is an outcome in a sentence.
func (v *visit) verdictSaid(outcome, reason string) string {
	switch trust.Outcome(outcome) {
	case trust.Allow:
		return v.say("trust.said_ALLOW")
	case trust.AllowUnsigned:
		return v.say("trust.said_ALLOW_UNSIGNED")
	case trust.AllowOverridden:
		return v.say("trust.said_ALLOW_OVERRIDDEN", v.reasonHelp(reason, reason).Title)
	}
	return v.reasonHelp(reason, reason).Title
}

// Reason is a reason code in words; from a newer daemon, its own.
func (p page) Reason(code, words string) string { return p.v.reasonHelp(code, words).Title }

// Word is the text for a word of the API, and the word itself when a newer daemon has sent one without.
func (p page) Word(prefix, word string) string { return p.v.ui.in(p.v.lang).known(prefix+word, word) }

// Word2 is such a text about something.
func (p page) Word2(prefix, word, about string) string {
	if w := p.v.ui.in(p.v.lang); w.words[prefix+word] != nil {
		return w.text(prefix+word, about)
	}
	return word + " " + about
}

// Place is the page of a service: an add-on's own, and for any other the list of updates.
func (p page) Place(service string) string {
	if slug, ok := strings.CutPrefix(service, "addon_"); ok {
		return "/ui/addons/" + url.PathEscape(slug)
	}
	return "/ui/updates#" + url.PathEscape(service)
}

// Raw is the record as it is stored, in lines.
func (r logRow) Raw() string {
	var v any
	if json.Unmarshal(r.Line, &v) != nil {
		return string(r.Line)
	}
	b, err := json.MarshalIndent(json.RawMessage(r.Line), "", "  ")
	if err != nil {
		return string(r.Line)
	}
	return string(b)
}
