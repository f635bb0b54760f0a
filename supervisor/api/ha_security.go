package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/castellan/castellan/supervisor/jobs"
)

// securityRoutes are Home Assistant's calls about content trust.
var securityRoutes = []route{
	{"GET", "/security/info", Viewer, byDefault, "How content trust stands: always on.", ha((*Server).getSecurityInfo)},
	{"POST", "/security/options", Admin, never, "Accepts what is so; trust cannot be switched off.", ha((*Server).postSecurityOptions)},
	{"POST", "/security/integrity", Operator, never, "Judges what runs by what the ledger says now.", haWork((*Server).postIntegrity)},
}

// security is how content trust stands. What the ledger does not vouch for does not come in, and what cannot be checked does
// not either; passwords are not looked up anywhere.
var security = SecurityInfo{ContentTrust: true, ForceSecurity: true}

func (s *Server) getSecurityInfo(context.Context, Caller, none) (SecurityInfo, error) {
	return security, nil
}

// SecurityOptions is the body of /security/options.
type SecurityOptions struct {
	ContentTrust  *bool `json:"content_trust,omitempty"`
	Pwned         *bool `json:"pwned,omitempty"`
	ForceSecurity *bool `json:"force_security,omitempty"`
}

func (s *Server) postSecurityOptions(_ context.Context, _ Caller, in about[SecurityOptions]) (none, error) {
	refuse := func(key, why, next string) (none, error) {
		return none{}, &Error{Status: http.StatusBadRequest, Key: "not_supported", Message: fmt.Sprintf("cannot set %q: %s", key, why), Next: next}
	}
	is := func(v *bool, so bool) bool { return v == nil || *v == so }
	switch q := in.Body; {
	case !is(q.ContentTrust, security.ContentTrust):
		return refuse("content_trust", "trust cannot be switched off", "let one image in: castellan trust force")
	case !is(q.ForceSecurity, security.ForceSecurity):
		return refuse("force_security", "what cannot be checked never comes in", "castellan status")
	case !is(q.Pwned, security.Pwned):
		return refuse("pwned", "this appliance sends no password, nor a part of one, anywhere", "ask without it")
	}
	return none{}, nil
}

// integrityWithin bounds the look at the ledger: Home Assistant's client waits for 30 seconds.
const integrityWithin = 20 * time.Second

func (s *Server) postIntegrity(ctx context.Context, _ Caller, _ none) (Integrity, error) {
	t := task{name: "security_manager_integrity_check", group: groupSecurity, queue: true, accepted: true, cancel: true, what: "judge what runs", key: "integrity_error"}
	_, out, err := work(ctx, s, t, func(ctx context.Context, _ *jobs.Job) (Integrity, error) { return s.integrity(ctx) })
	return out, err
}

func (s *Server) integrity(ctx context.Context) (Integrity, error) {
	within, cancel := context.WithTimeout(ctx, integrityWithin)
	defer cancel()
	heard := s.cfg.Home.Refresh(within, false) == nil // otherwise nothing that is good is good for sure
	out := Integrity{Supervisor: "untested", Core: "untested", Plugins: map[string]string{}, Addons: map[string]string{}}
	st, err := s.cfg.Backend.Status(ctx)
	for _, row := range st.Services {
		word := integrity(row, heard && (st.Ledger.State == "fresh" || st.Ledger.State == "stale"))
		switch {
		case row.Image == "": // nothing of it is installed
		case row.Class == "core":
			out.Core = word
		case row.Class == "supervisor":
			out.Supervisor = word
		case row.Slug != "":
			out.Addons[row.Slug] = word
		default:
			out.Addons[row.Name] = word
		}
	}
	return out, err
}

// integrity is Home Assistant's word for what is known of a service. What its owner forced in is vouched for by nobody.
func integrity(row ServiceStatus, heard bool) string {
	switch row.Badge {
	case "withdrawn", "refused", "forced":
		return "error"
	case "unsigned", "local":
		return "untested"
	case "verified":
		if heard {
			return "pass"
		}
	}
	return "failed"
}
