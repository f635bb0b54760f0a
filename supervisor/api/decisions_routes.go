package api

import "context"

// decisionRoutes are the calls about what an owner decides of updates.
var decisionRoutes = []route{
	{"GET", "/castellan/plan", Viewer, never, "What would happen to each service now, with sizes unless they are left out.", call((*Server).getPlan).lasting()},
	{"GET", "/castellan/decisions", Viewer, never, "What the owner decided of updates.", call((*Server).getDecisions)},
	{"POST", "/castellan/modes", Operator, never, "Sets the update mode of a service.", call((*Server).postMode)},
	{"POST", "/castellan/holds", Operator, never, "Keeps a service where it is.", call((*Server).postHold)},
	{"POST", "/castellan/holds/end", Operator, never, "Ends a hold.", call((*Server).postHoldEnd)},
	{"POST", "/castellan/skips", Operator, never, "Passes over a version.", call((*Server).postSkip)},
	{"POST", "/castellan/skips/end", Operator, never, "Takes a version again that was passed over, or all.", call((*Server).postSkipEnd)},
	{"POST", "/castellan/windows", Operator, never, "Adds a maintenance window.", call((*Server).postWindow)},
	{"POST", "/castellan/windows/remove", Operator, never, "Removes a maintenance window.", call((*Server).postWindowRemoval)},
}

// checkService wants the name of a service, or an add-on's slug.
func checkService(what, name string) error {
	if name == "" {
		return missing(what, "service")
	}
	return named(name, "", "")
}

type planIn struct {
	Sizes string `query:"sizes" enum:"0,1,false,true"` // left out: yes
}

// getPlan asks registries for sizes unless the query says that they are to be left out.
func (s *Server) getPlan(ctx context.Context, _ Caller, in planIn) (PlanPreview, error) {
	p, err := s.cfg.Backend.Decisions().Preview(ctx, in.Sizes != "0" && in.Sizes != "false")
	fill(&p.Services)
	for i := range p.Services {
		fill(&p.Services[i].Consent)
	}
	return p, err
}

func (s *Server) getDecisions(ctx context.Context, _ Caller, _ none) (DecisionList, error) {
	list, err := s.cfg.Backend.Decisions().Decided(ctx)
	fill(&list.Services)
	fill(&list.Windows)
	return list, err
}

func (q ModeRequest) check() error {
	if err := checkService("set the mode", q.Service); err != nil {
		return err
	}
	return oneOf("set the mode", "mode", q.Mode, "off", "ask", "auto", "default")
}

func (s *Server) postMode(ctx context.Context, c Caller, in about[ModeRequest]) (Decision, error) {
	return s.cfg.Backend.Decisions().SetMode(ctx, in.Body, c.String())
}

func (q HoldRequest) check() error { return checkService("hold", q.Service) }

func (s *Server) postHold(ctx context.Context, c Caller, in about[HoldRequest]) (Decision, error) {
	return s.cfg.Backend.Decisions().Hold(ctx, in.Body, c.String())
}

func (s *Server) postHoldEnd(ctx context.Context, c Caller, in about[HoldRequest]) (Decision, error) {
	if in.Body.Until != "" || in.Body.Why != "" {
		return Decision{}, badRequest("cannot end a hold: only field \"service\" is wanted")
	}
	in.Body.End = true
	return s.cfg.Backend.Decisions().Hold(ctx, in.Body, c.String())
}

func (q SkipRequest) check() error {
	if q.Version != "" && !versionShape.MatchString(q.Version) {
		return badRequest("cannot skip: field \"version\" is %.60q, which no image can have", q.Version)
	}
	return checkService("skip", q.Service)
}

func (s *Server) postSkip(ctx context.Context, c Caller, in about[SkipRequest]) (Decision, error) {
	if in.Body.Version == "" {
		return Decision{}, missing("skip", "version")
	}
	return s.cfg.Backend.Decisions().Skip(ctx, in.Body, c.String())
}

func (s *Server) postSkipEnd(ctx context.Context, c Caller, in about[SkipRequest]) (Decision, error) {
	in.Body.End = true
	return s.cfg.Backend.Decisions().Skip(ctx, in.Body, c.String())
}

func (s *Server) postWindow(ctx context.Context, c Caller, in about[WindowRequest]) (Decision, error) {
	return s.cfg.Backend.Decisions().AddWindow(ctx, in.Body, c.String())
}

func (q WindowRemoval) check() error {
	if q.ID < 1 {
		return badRequest("cannot remove a window: field \"id\" is %d, want a number from 1", q.ID)
	}
	return nil
}

func (s *Server) postWindowRemoval(ctx context.Context, c Caller, in about[WindowRemoval]) (Decision, error) {
	return s.cfg.Backend.Decisions().RemoveWindow(ctx, in.Body.ID, c.String())
}
