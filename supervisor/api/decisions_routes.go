package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
)

// decisionRoutes are the calls about what an owner decides of updates.
var decisionRoutes = []route{
	{"GET", "/castellan/plan", anyone, (*Server).getPlan},
	{"GET", "/castellan/decisions", anyone, (*Server).getDecisions},
	{"POST", "/castellan/modes", admin, (*Server).postMode},
	{"POST", "/castellan/holds", admin, postHold(false)},
	{"POST", "/castellan/holds/end", admin, postHold(true)},
	{"POST", "/castellan/skips", admin, postSkip(false)},
	{"POST", "/castellan/skips/end", admin, postSkip(true)},
	{"POST", "/castellan/windows", admin, (*Server).postWindow},
	{"POST", "/castellan/windows/remove", admin, (*Server).postWindowRemoval},
}

// serviceShape and versionShape are what a decision may name.
var (
	serviceShape = regexp.MustCompile(`^[a-zA-Z0-9][-_.a-zA-Z0-9]{0,127}$`)
	versionShape = regexp.MustCompile(`^[a-zA-Z0-9_][-_.+a-zA-Z0-9]{0,127}$`)
)

func checkService(what, name string) error {
	switch {
	case name == "":
		return missing(what, "service")
	case !serviceShape.MatchString(name):
		return &Error{Status: http.StatusNotFound, Key: "service_not_found", Message: fmt.Sprintf("no service %.60q is configured", name), Next: "castellan status"}
	}
	return nil
}

// getPlan asks registries for sizes unless the query says sizes=0.
func (s *Server) getPlan(r *http.Request) (any, error) {
	sizes := true
	if r.URL.Query().Has("sizes") {
		var err error
		if sizes, err = queryBool(r, "sizes"); err != nil {
			return nil, err
		}
	}
	p, err := s.backend.Decisions().Preview(r.Context(), sizes)
	fill(&p.Services)
	for i := range p.Services {
		fill(&p.Services[i].Consent)
	}
	return p, err
}

func (s *Server) getDecisions(r *http.Request) (any, error) {
	list, err := s.backend.Decisions().Decided(r.Context())
	fill(&list.Services)
	fill(&list.Windows)
	return list, err
}

// decision reads a request and has it carried out.
func decision[T any](s *Server, r *http.Request, check func(T) error, do func(Decisions, context.Context, T, string) (Decision, error)) (any, error) {
	req, err := readAll(r, check)
	if err != nil {
		return nil, err
	}
	return do(s.backend.Decisions(), r.Context(), req, peerOf(r.Context()).String())
}

func (s *Server) postMode(r *http.Request) (any, error) {
	return decision(s, r, func(q ModeRequest) error {
		if err := checkService("set the mode", q.Service); err != nil {
			return err
		}
		return oneOf("set the mode", "mode", q.Mode, "off", "ask", "auto", "default")
	}, Decisions.SetMode)
}

func postHold(end bool) func(*Server, *http.Request) (any, error) {
	return func(s *Server, r *http.Request) (any, error) {
		return decision(s, r, func(q HoldRequest) error {
			if end && (q.Until != "" || q.Why != "") {
				return badRequest("cannot end a hold: only field \"service\" is wanted")
			}
			return checkService("hold", q.Service)
		}, func(d Decisions, ctx context.Context, q HoldRequest, by string) (Decision, error) {
			q.End = end
			return d.Hold(ctx, q, by)
		})
	}
}

func postSkip(end bool) func(*Server, *http.Request) (any, error) {
	return func(s *Server, r *http.Request) (any, error) {
		return decision(s, r, func(q SkipRequest) error {
			switch {
			case q.Version == "" && !end:
				return missing("skip", "version")
			case q.Version != "" && !versionShape.MatchString(q.Version):
				return badRequest("cannot skip: field \"version\" is %.60q, which no image can have", q.Version)
			}
			return checkService("skip", q.Service)
		}, func(d Decisions, ctx context.Context, q SkipRequest, by string) (Decision, error) {
			q.End = end
			return d.Skip(ctx, q, by)
		})
	}
}

func (s *Server) postWindow(r *http.Request) (any, error) {
	return decision(s, r, nil, Decisions.AddWindow)
}

func (s *Server) postWindowRemoval(r *http.Request) (any, error) {
	return decision(s, r, func(q WindowRemoval) error {
		if q.ID < 1 {
			return badRequest("cannot remove a window: field \"id\" is %d, want a number from 1", q.ID)
		}
		return nil
	}, func(d Decisions, ctx context.Context, q WindowRemoval, by string) (Decision, error) {
		return d.RemoveWindow(ctx, q.ID, by)
	})
}
