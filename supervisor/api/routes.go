package api

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// access says who may call a route.
type access int

const (
	anyone access = iota // whoever may open the socket
	admin                // root, and the user the daemon runs as
)

// route is one row of the table: what is called, by whom, and what answers. handle returns the `data` of the
// envelope, or a [rawAnswer] that goes out without one.
type route struct {
	method string
	path   string
	access access
	handle func(*Server, *http.Request) (any, error)
}

// routes is the whole API: reviewing who may do what is reading these tables.
var routes = slices.Concat(baseRoutes, addonRoutes, repositoryRoutes, decisionRoutes)

var baseRoutes = []route{
	{"GET", "/supervisor/ping", anyone, func(*Server, *http.Request) (any, error) { return struct{}{}, nil }},
	{"GET", "/castellan/version", anyone, (*Server).getVersion},
	{"GET", "/castellan/status", anyone, func(s *Server, r *http.Request) (any, error) { return s.backend.Status(r.Context()) }},
	{"POST", "/castellan/check", admin, func(s *Server, r *http.Request) (any, error) { return s.backend.Check(r.Context()) }},
	{"POST", "/castellan/update", admin, (*Server).postUpdate},
	{"POST", "/castellan/rollback", admin, (*Server).postRollback},
	{"GET", "/castellan/changes", anyone, (*Server).getChanges},
	{"GET", "/castellan/changes/{id}", anyone, (*Server).getChange},
	{"POST", "/castellan/trust/force", admin, (*Server).postForce},
	{"GET", "/castellan/trust/pins", anyone, (*Server).getPins},
	{"POST", "/castellan/trust/forget", admin, (*Server).postForget},
	{"GET", "/castellan/trust/house", anyone, (*Server).getHouse},
	{"POST", "/castellan/trust/house/init", admin, (*Server).postHouseInit},
	{"POST", "/castellan/trust/house/accept", admin, (*Server).postHouseAccept},
	{"POST", "/castellan/trust/house/withdraw", admin, (*Server).postHouseWithdraw},
	{"GET", "/castellan/log", anyone, (*Server).getLog},
	{"GET", "/castellan/log/verify", anyone, func(s *Server, r *http.Request) (any, error) { return s.backend.Log().Verify(r.Context()) }},
	{"GET", "/castellan/log/{seq}/explain", anyone, (*Server).getExplain},
	{"GET", "/castellan/log/{seq}/replay", anyone, (*Server).getReplay},
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

// LogList is the answer of /castellan/log, oldest first.
type LogList struct {
	Records []LogRecord `json:"records"`
}

func (s *Server) getVersion(*http.Request) (any, error) { return VersionInfo{s.version}, nil }

func (s *Server) postUpdate(r *http.Request) (any, error) {
	var req UpdateRequest
	if err := readBody(r, &req); err != nil {
		return nil, err
	}
	if req.Version != "" && req.Service == "" {
		return nil, badRequest("cannot update to version %q: field \"service\" is missing; a version needs a service", req.Version)
	}
	return s.backend.Update(r.Context(), req)
}

func (s *Server) postRollback(r *http.Request) (any, error) {
	var req RollbackRequest
	if err := readBody(r, &req); err != nil {
		return nil, err
	}
	if req.Service == "" {
		return nil, badRequest("cannot roll back: field \"service\" is missing")
	}
	return s.backend.Rollback(r.Context(), req.Service)
}

func (s *Server) postForce(r *http.Request) (any, error) {
	var req ForceRequest
	if err := readBody(r, &req); err != nil {
		return nil, err
	}
	return s.backend.Trust().Force(r.Context(), req, peerOf(r.Context()).String())
}

func (s *Server) postForget(r *http.Request) (any, error) {
	var req ForgetRequest
	if err := readBody(r, &req); err != nil {
		return nil, err
	}
	if req.Service == "" {
		return nil, badRequest("cannot forget: field \"service\" is missing")
	}
	return struct{}{}, s.backend.Trust().Forget(r.Context(), req.Service, peerOf(r.Context()).String())
}

func (s *Server) getPins(r *http.Request) (any, error) {
	pins, err := s.backend.Trust().Pins(r.Context())
	if pins == nil {
		pins = []Pin{}
	}
	return PinList{pins}, err
}

func (s *Server) getChanges(r *http.Request) (any, error) {
	all, err := s.backend.Changes(r.Context())
	if all == nil {
		all = []Change{}
	}
	return ChangeList{all}, err
}

func (s *Server) getChange(r *http.Request) (any, error) {
	all, err := s.backend.Changes(r.Context())
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if c.ID == r.PathValue("id") {
			return c, nil
		}
	}
	return nil, &Error{Status: http.StatusNotFound, Key: "change_not_found",
		Message: fmt.Sprintf("no change %.40q is known", r.PathValue("id")), Next: "castellan status"}
}

func (s *Server) getLog(r *http.Request) (any, error) {
	q := LogQuery{Kind: r.URL.Query().Get("kind"), Service: r.URL.Query().Get("service")}
	if v := r.URL.Query().Get("last"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 10000 {
			return nil, badRequest("cannot read query \"last\" %.20q: want a number from 1 to 10000", v)
		}
		q.Last = n
	}
	recs, err := s.backend.Log().Records(r.Context(), q)
	if recs == nil {
		recs = []LogRecord{}
	}
	return LogList{recs}, err
}

func (s *Server) getExplain(r *http.Request) (any, error) {
	seq, err := seqOf(r)
	if err != nil {
		return nil, err
	}
	return s.backend.Log().Explain(r.Context(), seq)
}

func (s *Server) getReplay(r *http.Request) (any, error) {
	seq, err := seqOf(r)
	if err != nil {
		return nil, err
	}
	return s.backend.Log().Replay(r.Context(), seq)
}

func seqOf(r *http.Request) (uint64, error) {
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	if err != nil || seq == 0 {
		return 0, badRequest("cannot read log record number %.20q: want a number from 1", r.PathValue("seq"))
	}
	return seq, nil
}
