package api_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

func (h *house) Overrides(context.Context) ([]api.OverrideState, error) {
	return []api.OverrideState{{State: "waiting"}}, nil
}
func (h *house) EndOverride(_ context.Context, id, by string) error {
	h.did("end override " + id + " by " + by)
	return nil
}
func (h *house) Ledgers(context.Context) ([]api.LedgerView, error) {
	return []api.LedgerView{{LedgerStatus: api.LedgerStatus{Origin: "l"}, Role: "root"}}, nil
}
func (h *house) Publishers(context.Context) (api.PublisherList, error) {
	return api.PublisherList{Publishers: []api.PublisherView{{ID: "p-x"}}}, nil
}
func (h *house) Judged(context.Context) (api.Judgement, error) {
	return api.Judgement{Installed: 1, Images: []api.JudgedImage{{Service: "core"}}}, nil
}
func (h *house) JudgeAll(context.Context) (api.Judgement, error) {
	h.did("judge")
	return api.Judgement{Installed: 1}, nil
}

// Walk hands over what h.log holds, and breaks with h.broken after that.
func (h *house) Walk(_ context.Context, q api.LogQuery, take func(api.LogRecord) error) error {
	h.did(fmt.Sprintf("walk %v %s %s %q %v", q.Kinds, q.Service, q.Outcome, q.Text, q.Names))
	for _, r := range h.log {
		if err := take(r); err != nil {
			return err
		}
	}
	return h.broken
}

func TestTheTrustPageHasEveryList(t *testing.T) {
	s := newStage(t)
	for path, want := range map[string]string{
		"/castellan/trust/overrides":  `{"overrides":[{"id":"","service":"","version":"","digest":"","reasons":[],"expires":"0001-01-01T00:00:00Z","seq":0,"state":"waiting","passes":[],"since":"0001-01-01T00:00:00Z","ends":""}]}`,
		"/castellan/trust/ledgers":    `"keys":[],"head":"","age":0,"stale":false,"warn":0,"max":0,"agreement":"","agreeing":0,"mirrors":[],"records":{"transactions":0,"notarizations":0,"withdrawals":0,"publishers":0,"remembered":0}}]}`,
		"/castellan/trust/publishers": `{"publishers":[{"id":"p-x","roles":[],"ledgers":[],"names":[],"version":0,"keys":0,"threshold":0,"revoked":[],"services":[],"withdrawn":[]}],"revocations":[]}`,
		"/castellan/trust/verify":     `{"installed":1,"verified":0,"bad":0,"images":[{"service":"core","class":"","version":"","image":"","digest":"","badge":"","reasons":[],"changed":false}]}`,
	} {
		if rec := send(s.by(api.Viewer), "GET", path, "", ""); rec.Code != 200 || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %s, want %s", path, rec.Code, rec.Body.String(), want)
		}
	}
	if rec := send(s.by(api.Viewer), "POST", "/castellan/trust/verify", "", ""); rec.Code != 403 {
		t.Errorf("a viewer has all judged: %d", rec.Code)
	}
	if rec := send(s.by(api.Operator), "POST", "/castellan/trust/verify", "", ""); rec.Code != 200 || !slices.Contains(s.reached(), "judge") {
		t.Errorf("an operator does not: %d %s", rec.Code, rec.Body.String())
	}
	for body, want := range map[string]int{`{"id":"k3x7"}`: 200, `{}`: 400, `{"id":"../x"}`: 400, `{"id":""}`: 400} {
		if rec := send(s.by(api.Admin), "POST", "/castellan/trust/overrides/end", "", body); rec.Code != want {
			t.Errorf("end %s: %d %s", body, rec.Code, rec.Body.String())
		}
	}
}

func TestWhatIsAskedOfTheLogIsChecked(t *testing.T) {
	s := newStage(t)
	for query, says := range map[string]string{
		"kind=dance": `query \"kind\"`, "kind=verdict,": `query \"kind\"`, "outcome=allow": `query \"outcome\"`, "since=yesterday": `query \"since\"`, "until=7": `query \"until\"`,
		"before=0": `query \"before\"`, "last=0": `query \"last\"`, "q=" + strings.Repeat("x", 201): `query \"q\"`, "q=%ff": "",
	} {
		for _, path := range []string{"/castellan/log", "/castellan/log/export"} {
			if path == "/castellan/log/export" && (strings.HasPrefix(query, "before") || strings.HasPrefix(query, "last")) {
				continue
			}
			if rec := send(s.by(api.Viewer), "GET", path+"?"+query, "", ""); rec.Code != 400 || !strings.Contains(rec.Body.String(), says) {
				t.Errorf("%s?%s: %d %s", path, query, rec.Code, rec.Body.String())
			}
		}
	}
	if rec := send(s.by(api.Viewer), "GET", "/castellan/log/export?format=xml", "", ""); rec.Code != 400 {
		t.Errorf("a format that is none: %d", rec.Code)
	}
	if got := s.reached(); len(got) != 0 {
		t.Errorf("reached the house: %q", got)
	}
}

func TestOneLogPageLeadsToTheOneBefore(t *testing.T) {
	s := newStage(t)
	for i := range 7 {
		s.house.log = append(s.house.log, api.LogRecord{Seq: uint64(i + 1), Line: json.RawMessage(`{}`)})
	}
	var pages [][]uint64
	for before := uint64(0); len(pages) < 9; {
		query := "?last=3"
		if before > 0 {
			query += fmt.Sprintf("&before=%d", before)
		}
		list := data[api.LogList](t, send(s.by(api.Viewer), "GET", "/castellan/log"+query, "", ""))
		var page []uint64
		for _, r := range list.Records {
			page = append(page, r.Seq)
		}
		pages = append(pages, page)
		if before = list.Before; before == 0 {
			break
		}
	}
	if got := fmt.Sprint(pages); got != "[[5 6 7] [2 3 4] [1]]" {
		t.Errorf("pages %s", got)
	}
}

// TestAnExportIsWholeOrBreaksOff: nobody takes a part for the whole, and a spreadsheet runs nothing of it.
func TestAnExportIsWholeOrBreaksOff(t *testing.T) {
	h, socket := serve(t, uint32(os.Getuid()))
	at := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for i, summary := range []string{"radio: \"good\", and\nmore", "=HYPERLINK(1)", "@x", "-1"} {
		line, err := json.Marshal(map[string]any{"seq": i + 1})
		if err != nil {
			t.Fatal(err)
		}
		h.log = append(h.log, api.LogRecord{Seq: uint64(i + 1), Time: at, Kind: "verdict", Service: "radio", Outcome: "ALLOW", Summary: summary, Line: line})
	}
	c := client.New(socket)
	read := func(format string) (string, error) {
		body, err := c.ExportLog(t.Context(), api.LogQuery{Kinds: []string{"verdict", "boot"}, Service: "radio", Outcome: "ALLOW", Text: "a b", Names: true}, format)
		if err != nil {
			return "", err
		}
		defer body.Close()
		b, err := io.ReadAll(body)
		return string(b), err
	}
	if got, err := read("jsonl"); err != nil || got != "{\"seq\":1}\n{\"seq\":2}\n{\"seq\":3}\n{\"seq\":4}\n" {
		t.Errorf("lines %q, %v", got, err)
	}
	if want := `walk [verdict boot] radio ALLOW "a b" true`; !slices.Contains(h.calls, want) {
		t.Errorf("asked %q, want %q", h.calls, want)
	}
	table, err := read("csv")
	rows, err2 := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err := errors.Join(err, err2); err != nil || len(rows) != 5 || strings.Join(rows[0], ",") != "seq,time,kind,service,outcome,reason,summary" {
		t.Fatalf("%v, %q", err, rows)
	}
	for i, want := range []string{"radio: \"good\", and\nmore", "'=HYPERLINK(1)", "'@x", "'-1"} {
		if got := rows[i+1][6]; got != want || rows[i+1][1] != "2026-08-01T12:00:00Z" {
			t.Errorf("row %q, want %q", rows[i+1], want)
		}
	}
	h.broken = errors.New("the disk does not answer")
	for range 8000 { // more than is kept back
		h.log = append(h.log, h.log[0])
	}
	for _, format := range []string{"jsonl", "csv"} {
		if got, err := read(format); err == nil || got == "" {
			t.Errorf("%s: a part is taken for the whole: %v", format, err)
		}
	}
	h.log = nil
	var known *api.Error
	if got, err := read("jsonl"); !errors.As(err, &known) || known.Message != "the disk does not answer" {
		t.Errorf("one that fails at once: %q, %v", got, err)
	}
}

func TestNamesInTheLogAreForAdmins(t *testing.T) {
	s := newStage(t)
	for role, want := range map[api.Role]string{api.Viewer: "false", api.Operator: "false", api.Admin: "true"} {
		s.house.calls = nil
		rec := httptest.NewRecorder()
		s.by(role).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/castellan/log/export?names=1", nil))
		if want := `walk []   "" ` + want; !slices.Contains(s.reached(), want) || rec.Header().Get("Content-Type") != "application/x-ndjson" ||
			!strings.HasPrefix(rec.Header().Get("Content-Disposition"), "attachment; filename=castellan-log-") {
			t.Errorf("%s: asked %q, want %q; headers %v", role, s.reached(), want, rec.Header())
		}
	}
}
