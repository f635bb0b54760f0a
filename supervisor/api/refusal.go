package api

import "context"

// refusalRoutes are the calls about what trust did not let in.
var refusalRoutes = []route{
	{"GET", "/castellan/trust/against", Viewer, never, "What stands against the image of a service that was refused or deferred last, and whether it can be forced.", call((*Server).getAgainst)},
}

// Refusal is a change that trust ended, and all that stands against its image now. No reasons: nothing does any more.
type Refusal struct {
	Change  Change           `json:"change"`
	Outcome string           `json:"outcome"` // REFUSE, DEFER
	Image   string           `json:"image"`   // repository
	Digest  string           `json:"digest"`  // manifest
	Reasons []StandingReason `json:"reasons"` // in the order they were met; the first that can't be forced ends the list
	Verdict uint64           `json:"verdict"` // its verification log record
}

// StandingReason is a reason against an image. Force: no, yes, or typed, when the service's name has to be typed again.
type StandingReason struct {
	ReasonWords
	Force string `json:"force"`
}

type againstIn struct {
	Service string `query:"service"`
}

func (s *Server) getAgainst(ctx context.Context, _ Caller, in againstIn) (Refusal, error) {
	if err := checkService("tell what stands against it", in.Service); err != nil {
		return Refusal{Reasons: []StandingReason{}}, err
	}
	r, err := s.cfg.Backend.Trust().Against(ctx, in.Service)
	fill(&r.Reasons)
	return r, err
}
