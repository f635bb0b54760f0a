package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/castellan/castellan/trust"
)

// Explanation is a verdict record made readable: why this image came in or did not.
type Explanation struct {
	Seq      uint64        `json:"seq"`
	Time     time.Time     `json:"time"`
	Verdict  trust.Verdict `json:"verdict"` // with private names put back where they are known
	Change   string        `json:"change,omitempty"`
	Summary  string        `json:"summary"`           // one sentence
	Reasons  []Explained   `json:"reasons,omitempty"` // in the order the Judge met them
	Rests    []string      `json:"rests"`             // what the verdict rests on, one sentence each
	Requires []string      `json:"requires,omitempty"`
	Evidence trust.Digest  `json:"evidence"` // file with all the Judge was given; see [Log.Evidence]
	Next     string        `json:"next"`     // one next step
}

// Explained is one finding in words.
type Explained struct {
	Reason  trust.Reason `json:"reason"`
	Words   string       `json:"words"`
	Detail  string       `json:"detail,omitempty"`
	Record  string       `json:"record,omitempty"` // place in the ledger that shows it
	Decided bool         `json:"decided,omitempty"`
}

// Explain makes the verdict record seq readable.
func (l *Log) Explain(seq uint64) (Explanation, error) {
	rec, p, err := l.verdict(seq)
	if err != nil {
		return Explanation{}, fmt.Errorf("cannot explain record %d: %w", seq, err)
	}
	v := l.show(p.Verdict)
	e := Explanation{Seq: seq, Time: rec.Time, Verdict: v, Change: p.Change, Evidence: p.Evidence, Requires: p.Requires,
		Summary: summary(v), Rests: rests(v), Next: "nothing to do"}
	for _, f := range v.Findings {
		m := f.Reason.Meaning()
		e.Reasons = append(e.Reasons, Explained{f.Reason, m.Short, f.Detail, place(v.Head.Origin, f.Pos), f.Decided})
		if f.Decided {
			e.Next = m.Next
		}
	}
	return e, nil
}

// verdict reads record seq as a verdict.
func (l *Log) verdict(seq uint64) (Record, VerdictPayload, error) {
	rec, err := l.Record(seq)
	if err != nil {
		return Record{}, VerdictPayload{}, err
	}
	if rec.Kind != KindVerdict {
		return Record{}, VerdictPayload{}, fmt.Errorf("it is a %s record, not a verdict; list the verdicts with the log command", rec.Kind)
	}
	var p VerdictPayload
	if err := json.Unmarshal(rec.Payload, &p); err != nil {
		return Record{}, VerdictPayload{}, fmt.Errorf("cannot read its payload: %w", err)
	}
	return rec, p, nil
}

func summary(v trust.Verdict) string {
	what := strings.TrimSpace(v.Subject.Component + " " + v.Subject.Version)
	switch reason := v.Reason(); {
	case v.Outcome == trust.AllowOverridden:
		return fmt.Sprintf("%s was let in by override %s although %s", what, v.Override, reason.Meaning().Short)
	case v.Outcome == trust.AllowUnsigned:
		return what + " was let in: nobody vouches for it and nobody has to"
	case v.Outcome.Allowed():
		return fmt.Sprintf("%s was let in: publisher %s notarized it", what, v.Publisher)
	case v.Outcome == trust.Refuse:
		return fmt.Sprintf("%s was refused: %s", what, reason.Meaning().Short)
	default:
		return fmt.Sprintf("%s was put off, it could not be checked: %s", what, reason.Meaning().Short)
	}
}

func rests(v trust.Verdict) []string {
	var out []string
	if at := place(v.Head.Origin, v.Record); at != "" {
		out = append(out, "notarization at "+at)
	}
	if v.Head.Origin != "" {
		out = append(out, fmt.Sprintf("ledger %s up to transaction %d (%s), last heard of at %s",
			v.Head.Origin, v.Head.Count, v.Head.Alh, v.Head.Time.UTC().Format(time.RFC3339)))
	}
	if v.Ignored == 1 {
		out = append(out, "1 record by others was ignored")
	} else if v.Ignored > 1 {
		out = append(out, fmt.Sprintf("%d records by others were ignored", v.Ignored))
	}
	if !v.Now.IsZero() {
		out = append(out, "trusted time "+v.Now.UTC().Format(time.RFC3339))
	}
	for _, d := range v.Subject.Digests() {
		out = append(out, "image digest "+string(d))
	}
	return out
}

// place names a position in a ledger, "" for none.
func place(origin string, p trust.Position) string {
	switch {
	case p == trust.Position{}:
		return ""
	case p.Tx == 0: // package house
		return fmt.Sprintf("record %d of the house key", p.Entry)
	}
	return fmt.Sprintf("%s transaction %d entry %d", origin, p.Tx, p.Entry)
}
