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
	f := audit.Filter{Newest: true}
	if q.Kind != "" {
		f.Kinds = []audit.Kind{audit.Kind(q.Kind)}
	}
	if q.Last == 0 {
		q.Last = 20
	}
	var out []api.LogRecord
	for r, err := range v.log.Records(f) {
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		rec := view(r)
		if q.Service != "" && rec.Service != q.Service {
			continue
		}
		if out = append(out, rec); len(out) == q.Last {
			break
		}
	}
	slices.Reverse(out)
	return out, nil
}

// view is a record with a sentence about it.
func view(r audit.Record) api.LogRecord {
	out := api.LogRecord{Seq: r.Seq, Time: r.Time, Kind: string(r.Kind)}
	out.Line, _ = json.Marshal(r) // a record that was parsed encodes
	switch r.Kind {
	case audit.KindVerdict:
		var p audit.VerdictPayload
		if json.Unmarshal(r.Payload, &p) == nil {
			v := p.Verdict
			out.Service = v.Subject.Component
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
	case audit.KindHead:
		out.Summary = "head signed by the device key"
	default:
		out.Summary = fields(r.Payload)
	}
	return out
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
