package api

import (
	"context"
	"regexp"
)

// trustRoutes are the calls that show an owner why things may run here, and judge them anew.
var trustRoutes = []route{
	{"GET", "/castellan/trust/overrides", Viewer, never, "The overrides that wait to be used, and those that services run by.", call((*Server).getOverrides)},
	{"POST", "/castellan/trust/overrides/end", Admin, never, "Takes back an override that waits.", call((*Server).postOverrideEnd)},
	{"GET", "/castellan/trust/ledgers", Viewer, never, "Each ledger that is followed: its head, its keys, its mirrors, and whether they agree.", call((*Server).getLedgers)},
	{"GET", "/castellan/trust/publishers", Viewer, never, "Whose word counts for what, and what was withdrawn of what is installed or was refused lately.", call((*Server).getPublishers)},
	{"GET", "/castellan/trust/verify", Viewer, never, "The newest judgement of each installed image.", call((*Server).getJudged)},
	{"POST", "/castellan/trust/verify", Operator, never, "Syncs the ledgers, judges each installed image anew, and acts on withdrawals.", call((*Server).postJudge)},
}

func (s *Server) getOverrides(ctx context.Context, _ Caller, _ none) (OverrideList, error) {
	list, err := s.cfg.Backend.Trust().Overrides(ctx)
	fill(&list)
	for i := range list {
		fill(&list[i].Reasons)
		fill(&list[i].Passes)
	}
	return OverrideList{list}, err
}

// overrideID is the shape of an override's ID.
var overrideID = regexp.MustCompile(`^[a-z2-7]{1,32}$`)

func (r EndOverrideRequest) check() error {
	switch {
	case r.ID == "":
		return missing("end an override", "id")
	case !overrideID.MatchString(r.ID):
		return badRequest("cannot read field \"id\": %.60q is no override", r.ID)
	}
	return nil
}

func (s *Server) postOverrideEnd(ctx context.Context, c Caller, in about[EndOverrideRequest]) (none, error) {
	return none{}, s.cfg.Backend.Trust().EndOverride(ctx, in.Body.ID, c.String())
}

func (s *Server) getLedgers(ctx context.Context, _ Caller, _ none) (LedgerList, error) {
	list, err := s.cfg.Backend.Trust().Ledgers(ctx)
	fill(&list)
	for i := range list {
		fill(&list[i].Keys)
		fill(&list[i].Mirrors)
	}
	return LedgerList{list}, err
}

func (s *Server) getPublishers(ctx context.Context, _ Caller, _ none) (PublisherList, error) {
	list, err := s.cfg.Backend.Trust().Publishers(ctx)
	fill(&list.Publishers)
	fill(&list.Revocations)
	for i := range list.Publishers {
		p := &list.Publishers[i]
		fill(&p.Roles)
		fill(&p.Ledgers)
		fill(&p.Names)
		fill(&p.Revoked)
		fill(&p.Services)
		fill(&p.Withdrawn)
	}
	return list, err
}

func (s *Server) getJudged(ctx context.Context, _ Caller, _ none) (Judgement, error) {
	return judged(s.cfg.Backend.Trust().Judged(ctx))
}

func (s *Server) postJudge(ctx context.Context, _ Caller, _ none) (Judgement, error) {
	return judged(s.cfg.Backend.Trust().JudgeAll(ctx))
}

func judged(j Judgement, err error) (Judgement, error) {
	fill(&j.Images)
	for i := range j.Images {
		fill(&j.Images[i].Reasons)
	}
	return j, err
}
