package web

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// logRows is how many records a page of the log shows.
const logRows = 25

// logPage is the log as a table.
type logPage struct {
	Filter   logFilter
	Rows     []logRow
	Before   uint64 // asks for the page of older ones; 0 = there is none
	Services []logService
	Kinds    []audit.Kind
	Results  []string
	Periods  []string
}

type logService struct{ Service, Name string }

// logFilter is what of the log is looked at, as in the address. What can't be there is left out rather than refused: an address
// is typed and shared.
type logFilter struct {
	Result  string // an outcome of the Judge
	Kind    string
	Service string
	Since   string // 1, 7, 30: days
	Day     string // one day, as "2026-11-26", without Since
	Text    string
	Before  uint64
}

var (
	logResults = []string{string(trust.Allow), string(trust.AllowUnsigned), string(trust.AllowOverridden), string(trust.Defer), string(trust.Refuse)}
	logPeriods = []string{"1", "7", "30"}
)

func (v *visit) logFilter() logFilter {
	f := logFilter{Service: cut(v.query("service"), 128), Text: cut(v.query("q"), 60)}
	if r := v.query("result"); slices.Contains(logResults, r) {
		f.Result = r
	}
	if k := v.query("kind"); slices.Contains(audit.Kinds(), audit.Kind(k)) {
		f.Kind = k
	}
	if s := v.query("since"); slices.Contains(logPeriods, s) {
		f.Since = s
	}
	if _, err := time.ParseInLocation(time.DateOnly, v.query("day"), time.Local); err == nil && f.Since == "" {
		f.Day = v.query("day")
	}
	f.Before, _ = strconv.ParseUint(v.query("before"), 10, 64) // what is no number is the newest page
	return f
}

// whole tells that nothing is filtered and the newest page is shown.
func (f logFilter) whole() bool { return f == logFilter{} }

// Any tells that something is filtered.
func (f logFilter) Any() bool { f.Before = 0; return !f.whole() }

// Only tells that nothing but a result is filtered.
func (f logFilter) Only(result string) bool { f.Before = 0; return f == logFilter{Result: result} }

// query is the filter as the API takes it.
func (f logFilter) query(now time.Time) api.LogQuery {
	q := api.LogQuery{Service: f.Service, Outcome: f.Result, Text: f.Text}
	if f.Kind != "" {
		q.Kinds = []string{f.Kind}
	}
	if days, err := strconv.Atoi(f.Since); err == nil {
		q.Since = now.AddDate(0, 0, -days)
	}
	if day, err := time.ParseInLocation(time.DateOnly, f.Day, time.Local); err == nil {
		q.Since, q.Until = day, day.AddDate(0, 0, 1)
	}
	return q
}

// Export is the address of all records that the filter chooses, which the API sends as a file.
func (p logPage) Export(format string) string {
	q := p.Filter.query(time.Now())
	u := url.Values{"format": {format}}
	for name, s := range map[string]string{"outcome": q.Outcome, "service": q.Service, "q": q.Text, "kind": p.Filter.Kind} {
		if s != "" {
			u.Set(name, s)
		}
	}
	for name, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !t.IsZero() {
			u.Set(name, t.UTC().Format(time.RFC3339))
		}
	}
	return "/castellan/log/export?" + u.Encode()
}

// Older is the address of the page of older records.
func (p logPage) Older() string {
	u := url.Values{"before": {seqText(p.Before)}}
	f := p.Filter
	for name, s := range map[string]string{"result": f.Result, "kind": f.Kind, "service": f.Service, "since": f.Since, "day": f.Day, "q": f.Text} {
		if s != "" {
			u.Set(name, s)
		}
	}
	return "/ui/trust?" + u.Encode()
}

func (v *visit) logPage() (logPage, error) {
	p := logPage{Filter: v.logFilter(), Kinds: audit.Kinds(), Results: logResults, Periods: logPeriods}
	q := p.Filter.query(v.now)
	q.Last, q.Before, q.Names = logRows, p.Filter.Before, v.may("admin")
	list, err := v.api.Log(v.ctx(), q)
	if err != nil {
		return p, err
	}
	p.Before = list.Before
	for _, r := range slices.Backward(list.Records) {
		p.Rows = append(p.Rows, v.logRow(r))
	}
	known := p.Filter.Service == ""
	if s, err := v.status(); err == nil { // without it only the one that was chosen can be chosen
		for _, one := range s.Services {
			p.Services = append(p.Services, logService{one.Name, v.called(one.Name, one.Slug)})
			known = known || one.Name == p.Filter.Service
		}
	}
	if !known {
		p.Services = append(p.Services, logService{p.Filter.Service, v.called(p.Filter.Service, "")})
	}
	return p, nil
}
