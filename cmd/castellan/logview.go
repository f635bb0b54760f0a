package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// logView shows the verification log through the API.
type logView struct {
	log  *audit.Log
	zone string // the appliance's
	days *verdictDays
}

// Records implements api.Log.
func (v logView) Records(ctx context.Context, q api.LogQuery) ([]api.LogRecord, error) {
	if q.Last == 0 {
		q.Last = 20
	}
	var out []api.LogRecord
	enough := errors.New("enough")
	err := v.each(ctx, q, true, func(r api.LogRecord) error {
		if out = append(out, r); len(out) == q.Last {
			return enough
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		return nil, err
	}
	slices.Reverse(out)
	return out, nil
}

// Walk implements api.Log.
func (v logView) Walk(ctx context.Context, q api.LogQuery, take func(api.LogRecord) error) error {
	return v.each(ctx, q, false, take)
}

// each hands over the records that match.
func (v logView) each(ctx context.Context, q api.LogQuery, newest bool, take func(api.LogRecord) error) error {
	f := audit.Filter{Newest: newest, Since: q.Since, Until: q.Until}
	for _, k := range q.Kinds {
		f.Kinds = append(f.Kinds, audit.Kind(k))
	}
	switch {
	case q.Before == 1:
		return nil
	case q.Before > 1:
		f.To = q.Before - 1
	}
	names := noNames
	if q.Names {
		names = func(ref string) string { text, _ := v.log.Text(ref); return text }
	}
	for r, err := range v.log.Records(f) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if rec := view(r, names); matches(rec, q) {
			if err := take(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// matches tells whether a record is as asked for, beyond what the log itself looks at.
func matches(r api.LogRecord, q api.LogQuery) bool {
	return (q.Service == "" || r.Service == q.Service) && (q.Outcome == "" || r.Outcome == q.Outcome) &&
		(q.Text == "" || strings.Contains(strings.ToLower(r.Kind+" "+r.Service+" "+r.Summary+" "+r.Reason), strings.ToLower(q.Text)))
}

// noNames shows no private text.
func noNames(string) string { return "" }

// view is a record with a sentence about it. names gives the text behind a private reference, "" where it is not shown.
func view(r audit.Record, names func(ref string) string) api.LogRecord {
	out := api.LogRecord{Seq: r.Seq, Time: r.Time, Kind: string(r.Kind)}
	out.Line, _ = json.Marshal(r) // a record that was parsed encodes
	switch r.Kind {
	case audit.KindVerdict:
		var p audit.VerdictPayload
		if json.Unmarshal(r.Payload, &p) == nil {
			v := p.Verdict
			out.Service, out.Outcome, out.Reason = v.Subject.Component, string(v.Outcome), string(v.Reason())
			out.Summary = strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", v.Subject.Component, v.Subject.Version, v.Outcome, v.Reason()))
		}
	case audit.KindAction:
		var a supervisor.Action
		if json.Unmarshal(r.Payload, &a) == nil {
			out.Service = a.Service
			out.Summary = actionLine(a)
		}
	case audit.KindOverride:
		var o trust.Override
		if json.Unmarshal(r.Payload, &o) == nil {
			out.Service = o.Component
			out.Summary = fmt.Sprintf("%s: %v may be passed over once", o.Component, o.Reasons)
		}
	case audit.KindHouse:
		var w houseRecord
		if json.Unmarshal(r.Payload, &w) == nil {
			out.Service = w.Service
			out.Summary = strings.TrimSpace(fmt.Sprintf("house key %s: %s %s", w.What, w.Repository, w.Version))
		}
	case audit.KindAccount:
		var p audit.AccountPayload
		if json.Unmarshal(r.Payload, &p) == nil {
			out.Summary = accountLine(p, names)
		}
	case audit.KindHead:
		out.Summary = "head signed by the device key"
	default:
		out.Summary = fields(r.Payload)
	}
	return out
}

// accountLine says what became of an account: with names for those who may know them.
func accountLine(p audit.AccountPayload, names func(ref string) string) string {
	s := p.What
	for _, part := range []struct{ before, text string }{{" ", names(p.User)}, {" as ", p.Role}, {", token ", p.Token}, {" for ", names(p.Name)}, {", by ", names(p.By)}} {
		if part.text != "" {
			s += part.before + part.text
		}
	}
	return s
}

func actionLine(a supervisor.Action) string {
	s := strings.TrimSpace(a.Service + " " + a.What)
	if a.From != "" || a.To != "" {
		s += fmt.Sprintf(" (%s -> %s)", orDash(a.From), orDash(a.To))
	}
	if a.Why != "" {
		s += ": " + a.Why
	}
	return s
}

// fields is a small payload as a line: its keys in order, with their values.
func fields(payload []byte) string {
	var m map[string]any
	if json.Unmarshal(payload, &m) != nil {
		return string(payload)
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s: %v", k, m[k]))
	}
	line := strings.Join(parts, ", ")
	if r := []rune(line); len(r) > 300 {
		line = string(r[:300]) + "…"
	}
	return line
}

// Verify implements api.Log.
func (v logView) Verify(context.Context) (api.LogReport, error) {
	r, err := v.log.Verify()
	return logReport(r, err)
}

// logReport keeps a broken chain apart from a log that cannot be read.
func logReport(r audit.Report, err error) (api.LogReport, error) {
	out := api.LogReport{OK: err == nil, Records: uint64(r.Records), Head: string(r.Hash)}
	var broken *audit.BrokenError
	if errors.As(err, &broken) {
		out.Error = broken.Error()
		return out, nil
	}
	return out, err
}

// Explain implements api.Log.
func (v logView) Explain(_ context.Context, seq uint64) (api.Explanation, error) {
	e, err := v.log.Explain(seq)
	if err != nil {
		return api.Explanation{}, err
	}
	out := api.Explanation{Seq: seq, Next: e.Next}
	text := []string{fmt.Sprintf("record %d, %s", seq, e.Time.Local().Format("2006-01-02 15:04:05")), e.Summary}
	for _, r := range e.Reasons {
		out.Reasons = append(out.Reasons, string(r.Reason))
		line := fmt.Sprintf("- %s: %s", r.Reason, r.Words)
		if r.Detail != "" {
			line += " (" + r.Detail + ")"
		}
		if r.Record != "" {
			line += "; see " + r.Record
		}
		text = append(text, line)
	}
	text = append(text, "It rests on:")
	for _, r := range e.Rests {
		text = append(text, "- "+r)
	}
	text = append(text, "evidence "+string(e.Evidence))
	out.Text = strings.Join(text, "\n")
	return out, nil
}

// Replay implements api.Log.
func (v logView) Replay(_ context.Context, seq uint64) (api.Replay, error) {
	return replay(v.log, seq)
}
