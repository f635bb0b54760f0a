package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
)

// recordPage is a record of the log, with all that is known of it.
type recordPage struct {
	Row      logRow
	Reasons  []recordReason
	Explain  *api.Explanation // of a verdict; nil = it can't be told
	Rests    []string
	Replay   *api.Replay
	NoReplay string // why it could not be judged again
	Force    bool   // it is a refusal that may be forced
	Support  string // for whoever helps
}

// Decided tells that the reasons say all: one of them refused the image or put it off.
func (p recordPage) Decided() bool {
	return len(p.Reasons) > 0 && !trust.Outcome(p.Row.Outcome).Allowed()
}

// recordReason is a finding in words.
type recordReason struct {
	helpPage
	Finding trust.Finding
}

// logRecord reads one record. names puts private texts back in; admins are given them.
func (v *visit) logRecord(seq uint64, names bool) (*logRow, error) {
	if seq != 0 {
		list, err := v.api.Log(v.ctx(), api.LogQuery{Before: seq + 1, Last: 1, Names: names})
		if err != nil {
			return nil, err
		}
		if n := len(list.Records); n > 0 && list.Records[n-1].Seq == seq {
			row := v.logRow(list.Records[n-1])
			return &row, nil
		}
	}
	return nil, &api.Error{Status: http.StatusNotFound, Key: "record_not_found", Message: v.say("trust.no_record", seqText(seq)), Next: v.say("trust.no_record_next")}
}

// recordAsked is the record that the address names.
func (v *visit) recordAsked() (recordPage, error) {
	seq, err := strconv.ParseUint(v.r.PathValue("seq"), 10, 63)
	if err != nil {
		seq = 0 // there is none
	}
	row, err := v.logRecord(seq, v.may("admin"))
	if err != nil {
		return recordPage{}, err
	}
	p := recordPage{Row: *row}
	if row.Kind != "verdict" {
		plain, err := v.logRecord(seq, false) // a text that is passed on names nobody
		if err != nil {
			return recordPage{}, err
		}
		p.Support = v.forSupport(recordPage{Row: *plain})
		return p, nil
	}
	for _, f := range row.Verdict.Findings {
		p.Reasons = append(p.Reasons, recordReason{v.reasonHelp(string(f.Reason), f.Reason.Meaning().Short), f})
	}
	if e, err := v.api.Explain(v.ctx(), seq); err == nil { // the record itself tells most of it
		p.Explain, p.Rests = &e, rests(e.Text)
	}
	p.Force = !trust.Outcome(row.Outcome).Allowed() && trust.Reason(row.Reason).Meaning().Force != trust.ForceNo
	p.Support = v.forSupport(p)
	return p, nil
}

func (v *visit) record() (answer, error) {
	p, err := v.recordAsked()
	if err != nil {
		return answer{}, err
	}
	if p.Row.Kind == "verdict" {
		var e *api.Error
		switch r, err := v.api.Replay(v.ctx(), p.Row.Seq); {
		case err == nil:
			p.Replay = &r
		case errors.As(err, &e):
			p.NoReplay = e.Message
		default:
			p.NoReplay = err.Error()
		}
	}
	return show("record", p)
}

// recordText is what whoever helps needs, as a file.
func (v *visit) recordText() (answer, error) {
	p, err := v.recordAsked()
	if err != nil {
		return answer{}, err
	}
	return answer{serve: func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=castellan-record-%d.txt", p.Row.Seq))
		_, _ = w.Write([]byte(p.Support)) // a visitor who left does not concern us
	}}, nil
}

// rests are the lines of an explanation that say what a verdict rests on.
func rests(text string) (out []string) {
	_, after, _ := strings.Cut(text, "It rests on:\n")
	for line := range strings.SplitSeq(after, "\n") {
		if what, ok := strings.CutPrefix(line, "- "); ok {
			out = append(out, what)
		}
	}
	return out
}

// forSupport is all about a record in the daemon's own words, whatever language the page is in: who helps may read another.
func (v *visit) forSupport(p recordPage) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Castellan %s\n", v.ui.cfg.Version)
	if p.Explain != nil {
		fmt.Fprintf(&b, "%s\nnext: %s\n", p.Explain.Text, p.Explain.Next)
	} else {
		fmt.Fprintf(&b, "record %d, %s\n%s\n", p.Row.Seq, p.Row.Time.Format("2006-01-02 15:04:05 -07:00"), p.Row.Summary)
	}
	fmt.Fprintf(&b, "\n%s\n", p.Row.Raw())
	return b.String()
}
