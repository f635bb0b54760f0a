package api

import (
	"context"
	"fmt"
	"net/http"
)

// baseRoutes are Castellan's own calls about the house.
var baseRoutes = []route{
	{"GET", "/supervisor/ping", Nobody, every, "Answers when the daemon does.", call(func(*Server, context.Context, Caller, none) (none, error) { return none{}, nil })},
	{"GET", "/castellan/version", Viewer, never, "The version of the daemon.", call((*Server).getVersion)},
	{"GET", "/castellan/status", Viewer, never, "The state of the house.", call((*Server).getStatus)},
	{"POST", "/castellan/check", Operator, never, "Syncs the ledger, polls the channel, judges what is installed, and answers with the plan.", call((*Server).postCheck)},
	{"POST", "/castellan/update", Operator, never, "Submits what the plan holds for one service, or for all.", call((*Server).postUpdate)},
	{"POST", "/castellan/rollback", Operator, never, "Submits the way back to the previous version of a service.", call((*Server).postRollback)},
	{"GET", "/castellan/changes", Viewer, never, "All changes that are remembered, newest first.", call((*Server).getChanges)},
	{"GET", "/castellan/changes/{id}", Viewer, never, "One change.", call((*Server).getChange)},
	{"POST", "/castellan/trust/force", Admin, never, "Lets in what trust refused, once.", call((*Server).postForce)},
	{"GET", "/castellan/trust/pins", Viewer, never, "What is remembered of each service: who must have signed it.", call((*Server).getPins)},
	{"POST", "/castellan/trust/forget", Admin, never, "Drops a pin.", call((*Server).postForget)},
	{"GET", "/castellan/trust/house", Viewer, never, "The words of the house key, oldest first.", call((*Server).getHouse)},
	{"POST", "/castellan/trust/house/init", Admin, never, "Makes the house key.", call((*Server).postHouseInit)},
	{"POST", "/castellan/trust/house/accept", Admin, never, "Vouches for what a service would run now.", call((*Server).postHouseAccept)},
	{"POST", "/castellan/trust/house/withdraw", Admin, never, "Withdraws what a service runs.", call((*Server).postHouseWithdraw)},
}

// VersionInfo is the answer of /castellan/version.
type VersionInfo struct {
	Version string `json:"version"`
}

// ChangeList is the answer of /castellan/changes, newest first.
type ChangeList struct {
	Changes []Change `json:"changes"`
}

// PinList is the answer of /castellan/trust/pins.
type PinList struct {
	Pins []Pin `json:"pins"`
}

// about is a request whose body is all it has.
type about[B any] struct{ Body B }

func (s *Server) getVersion(context.Context, Caller, none) (VersionInfo, error) {
	return VersionInfo{s.cfg.Version}, nil
}

func (s *Server) getStatus(ctx context.Context, _ Caller, _ none) (Status, error) {
	return s.cfg.Backend.Status(ctx)
}

func (s *Server) postCheck(ctx context.Context, _ Caller, _ none) (Plan, error) {
	return s.cfg.Backend.Check(ctx)
}

func (r UpdateRequest) check() error {
	if r.Version != "" && r.Service == "" {
		return badRequest("cannot update to version %q: field \"service\" is missing; a version needs a service", r.Version)
	}
	return named(r.Service, r.Version, "")
}

func (s *Server) postUpdate(ctx context.Context, _ Caller, in about[UpdateRequest]) (Accepted, error) {
	return accepted(s.cfg.Backend.Update(ctx, in.Body))
}

func (r RollbackRequest) check() error {
	if r.Service == "" {
		return missing("roll back", "service")
	}
	return named(r.Service, "", "")
}

func (s *Server) postRollback(ctx context.Context, _ Caller, in about[RollbackRequest]) (Accepted, error) {
	return accepted(s.cfg.Backend.Rollback(ctx, in.Body.Service))
}

func (r ForceRequest) check() error { return named(r.Service, "", r.Digest) }

func (s *Server) postForce(ctx context.Context, c Caller, in about[ForceRequest]) (Override, error) {
	return s.cfg.Backend.Trust().Force(ctx, in.Body, c.String())
}

func (r ForgetRequest) check() error {
	if r.Service == "" {
		return missing("forget", "service")
	}
	return named(r.Service, "", "")
}

func (s *Server) postForget(ctx context.Context, c Caller, in about[ForgetRequest]) (none, error) {
	return none{}, s.cfg.Backend.Trust().Forget(ctx, in.Body.Service, c.String())
}

func (s *Server) getPins(ctx context.Context, _ Caller, _ none) (PinList, error) {
	pins, err := s.cfg.Backend.Trust().Pins(ctx)
	fill(&pins)
	return PinList{pins}, err
}

func (s *Server) getChanges(ctx context.Context, _ Caller, _ none) (ChangeList, error) {
	all, err := s.cfg.Backend.Changes(ctx)
	fill(&all)
	return ChangeList{all}, err
}

type changeIn struct {
	ID string `path:"id"`
}

func (s *Server) getChange(ctx context.Context, _ Caller, in changeIn) (Change, error) {
	all, err := s.cfg.Backend.Changes(ctx)
	if err != nil {
		return Change{}, err
	}
	for _, c := range all {
		if c.ID == in.ID {
			return c, nil
		}
	}
	return Change{}, &Error{Status: http.StatusNotFound, Key: "change_not_found",
		Message: fmt.Sprintf("no change %.40q is known", in.ID), Next: "castellan status"}
}
