package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
)

// resolutionRoutes are Home Assistant's calls about what is wrong and what helps.
var resolutionRoutes = []route{
	{"GET", "/resolution/info", Viewer, byDefault, "What is wrong, and what helps.", ha((*Server).getResolution)},
	{"POST", "/resolution/healthcheck", Operator, byManager, "Looks at the ledger and the channel, and judges what runs.", haWork(refresh(false))},
	{"POST", "/resolution/check/{check}/run", Operator, byManager, "Runs one check.", haWork((*Server).postCheckRun)},
	{"POST", "/resolution/check/{check}/options", Admin, never, "Accepts that a check is on; none can be switched off.", ha((*Server).postCheckOptions)},
	{"GET", "/resolution/issue/{uuid}/suggestions", Viewer, byManager, "What helps against an issue.", ha((*Server).getSuggestions)},
	{"DELETE", "/resolution/issue/{uuid}", Operator, never, "Shows an issue no more until the next start.", ha((*Server).deleteIssue)},
	{"POST", "/resolution/suggestion/{uuid}", Admin, never, "Does what a suggestion says.", haWork((*Server).postSuggestion)},
	{"DELETE", "/resolution/suggestion/{uuid}", Operator, never, "Shows a suggestion no more until the next start.", ha((*Server).deleteSuggestion)},
}

// Resolution is the answer of /resolution/info.
type Resolution struct {
	Unsupported []string     `json:"unsupported"`
	Unhealthy   []string     `json:"unhealthy"`
	Suggestions []Suggestion `json:"suggestions"`
	Issues      []Issue      `json:"issues"`
	Checks      []Check      `json:"checks"`
}

// Issue is something that is wrong.
type Issue struct {
	Type           string         `json:"type"`
	Context        string         `json:"context"`
	Reference      *string        `json:"reference"`
	ReferenceExtra map[string]any `json:"reference_extra"`
	UUID           string         `json:"uuid"`
}

// Suggestion is what helps.
type Suggestion struct {
	Issue
	Auto bool `json:"auto"`
}

// Suggestions is the answer of /resolution/issue/{uuid}/suggestions.
type Suggestions struct {
	Suggestions []Suggestion `json:"suggestions"`
}

// Check is something that is looked at regularly.
type Check struct {
	Slug    string `json:"slug"`
	Enabled bool   `json:"enabled"`
}

// checks are what every turn of the update loop looks at. None can be switched off.
var checks = []Check{{"core_trust", true}, {"addon_trust", true}, {"supervisor_trust", true}, {"detached_addon_removed", true}}

// ailments are Home Assistant's words for why the appliance is not healthy, and not supported.
func (s *Server) ailments(st Status) (unhealthy, unsupported []string) {
	unhealthy, unsupported = []string{}, []string{}
	if st.Engine.Error != "" {
		unhealthy = append(unhealthy, "docker")
	}
	if slices.ContainsFunc(st.Services, untrusted) {
		unhealthy = append(unhealthy, "untrusted")
	}
	if len(s.cfg.Jobs.Ignored()) > 0 {
		unsupported = append(unsupported, "job_conditions")
	}
	return unhealthy, unsupported
}

func untrusted(row ServiceStatus) bool { return row.Badge == "withdrawn" || row.Badge == "refused" }

// helps maps an issue to the suggestion against it; a type without one has none.
var helps = map[string]string{"trust": "execute_integrity", "detached_addon_removed": "execute_remove", "fatal_error": "execute_reload"}

func issue(kind, context, reference string) Issue {
	return Issue{Type: kind, Context: context, Reference: text(reference), UUID: jobID("issue/" + kind + "/" + context + "/" + reference)}
}

// help is the suggestion against an issue.
func (i Issue) help() (Suggestion, bool) {
	kind, ok := helps[i.Type]
	if i.Type == "fatal_error" && i.Context != "store" {
		ok = false
	}
	out := Suggestion{Issue: i}
	out.Type, out.UUID = kind, jobID("suggestion/"+i.UUID)
	return out, ok
}

// dismissed are the issues and suggestions that nobody wants to see.
type dismissed struct {
	mu   sync.Mutex
	uuid map[string]bool
}

func (d *dismissed) add(uuid string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uuid == nil {
		d.uuid = map[string]bool{}
	}
	d.uuid[uuid] = true
}

func (d *dismissed) has(uuid string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.uuid[uuid]
}

func (s *Server) getResolution(ctx context.Context, _ Caller, _ none) (Resolution, error) {
	st, err := s.cfg.Backend.Status(ctx)
	if err != nil {
		return Resolution{}, err
	}
	out := Resolution{Suggestions: []Suggestion{}, Issues: []Issue{}, Checks: checks}
	out.Unhealthy, out.Unsupported = s.ailments(st)
	var found []Issue
	for _, row := range st.Services {
		where, ref := "addon", cmp.Or(row.Slug, row.Name)
		if row.Class == "core" || row.Class == "supervisor" {
			where, ref = row.Class, ""
		}
		switch {
		case untrusted(row):
			found = append(found, issue("trust", where, ref))
		case row.State == "stuck":
			found = append(found, issue("fatal_error", where, ref))
		case row.Error != "":
			found = append(found, issue("update_rollback", where, ref))
		}
	}
	if st.Ledger.State == "expired" || st.Ledger.State == "quarantined" {
		found = append(found, issue("trust", "system", ""))
	}
	more, err := s.storeIssues(ctx)
	for _, i := range append(found, more...) {
		if s.gone.has(i.UUID) {
			continue
		}
		out.Issues = append(out.Issues, i)
		if help, ok := i.help(); ok && !s.gone.has(help.UUID) {
			out.Suggestions = append(out.Suggestions, help)
		}
	}
	return out, err
}

// storeIssues are those about add-ons nobody offers any more and repositories that are out of reach.
func (s *Server) storeIssues(ctx context.Context) (out []Issue, err error) {
	list, err := s.installed(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if a.Detached {
			out = append(out, issue("detached_addon_removed", "addon", a.Slug))
		}
	}
	repos, err := s.followed(ctx)
	for _, r := range repos {
		if r.Trouble != "" {
			out = append(out, issue("fatal_error", "store", r.Slug))
		}
	}
	return out, err
}

type checkIn struct {
	Check string `path:"check"`
}

func (q checkIn) check() error {
	if !slices.ContainsFunc(checks, func(c Check) bool { return c.Slug == q.Check }) {
		return &Error{Status: http.StatusNotFound, Key: "resolution_check_not_found_error", Message: fmt.Sprintf("no check %.40q is known", q.Check)}
	}
	return nil
}

func (s *Server) postCheckRun(ctx context.Context, c Caller, _ checkIn) (none, error) {
	return refresh(false)(s, ctx, c, none{})
}

type checkOptionsIn struct {
	Check string `path:"check"`
	Body  struct {
		Enabled *bool `json:"enabled,omitempty"`
	}
}

func (q checkOptionsIn) check() error {
	if err := (checkIn{q.Check}).check(); err != nil {
		return err
	}
	if q.Body.Enabled != nil && !*q.Body.Enabled {
		return &Error{Status: http.StatusBadRequest, Key: "not_supported", Message: fmt.Sprintf("cannot switch the check %q off: it is part of every look at the ledger", q.Check)}
	}
	return nil
}

func (s *Server) postCheckOptions(context.Context, Caller, checkOptionsIn) (none, error) {
	return none{}, nil
}

// issueOf finds an issue.
func (s *Server) issueOf(ctx context.Context, uuid string) (Issue, error) {
	all, err := s.getResolution(ctx, Caller{}, none{})
	if err != nil {
		return Issue{}, err
	}
	for _, i := range all.Issues {
		if i.UUID == uuid {
			return i, nil
		}
	}
	return Issue{}, &Error{Status: http.StatusNotFound, Key: "resolution_issue_not_found_error", Message: fmt.Sprintf("no issue %.40q is known", uuid)}
}

func (s *Server) getSuggestions(ctx context.Context, _ Caller, in messageIn) (Suggestions, error) {
	out := Suggestions{Suggestions: []Suggestion{}}
	i, err := s.issueOf(ctx, in.UUID)
	if help, ok := i.help(); err == nil && ok && !s.gone.has(help.UUID) {
		out.Suggestions = append(out.Suggestions, help)
	}
	return out, err
}

func (s *Server) deleteIssue(ctx context.Context, _ Caller, in messageIn) (none, error) {
	i, err := s.issueOf(ctx, in.UUID)
	if err == nil {
		s.gone.add(i.UUID)
	}
	return none{}, err
}

// suggestionOf finds a suggestion.
func (s *Server) suggestionOf(ctx context.Context, uuid string) (Suggestion, error) {
	all, err := s.getResolution(ctx, Caller{}, none{})
	if err != nil {
		return Suggestion{}, err
	}
	for _, g := range all.Suggestions {
		if g.UUID == uuid {
			return g, nil
		}
	}
	return Suggestion{}, &Error{Status: http.StatusNotFound, Key: "resolution_suggestion_not_found_error", Message: fmt.Sprintf("no suggestion %.40q is known", uuid)}
}

func (s *Server) deleteSuggestion(ctx context.Context, _ Caller, in messageIn) (none, error) {
	g, err := s.suggestionOf(ctx, in.UUID)
	if err == nil {
		s.gone.add(g.UUID)
	}
	return none{}, err
}

func (s *Server) postSuggestion(ctx context.Context, c Caller, in messageIn) (none, error) {
	g, err := s.suggestionOf(ctx, in.UUID)
	if err != nil {
		return none{}, err
	}
	switch g.Type {
	case "execute_reload":
		return s.postHARepair(ctx, c, slugIn{*g.Reference})
	case "execute_remove":
		_, err = s.postHAUninstall(ctx, c, addonIn[HAUninstall]{Slug: *g.Reference})
		return none{}, err
	}
	return refresh(false)(s, ctx, c, none{})
}
