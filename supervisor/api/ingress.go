package api

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"strings"
)

// Ingress is the add-ons' own pages as the server reaches them. Calls are safe for concurrent use.
type Ingress interface {
	// Page finds the installed add-on whose pages a token names, without telling by its time how much of the token is
	// right. It is asked for each request of a person who may see pages.
	Page(ctx context.Context, token string) (IngressPage, bool)
	// Dial connects to an add-on's pages. [ErrAsleep] says that it does not run.
	Dial(ctx context.Context, slug string) (net.Conn, error)
	// Panels are the installed add-ons with pages, by slug.
	Panels(ctx context.Context) (map[string]IngressPanel, error)
}

// IngressPage is an add-on with pages.
type IngressPage struct {
	Slug, Name string
	Stream     bool // it takes bodies whose length is not known before
}

// IngressPanel is an add-on's place in Home Assistant's side bar.
type IngressPanel struct {
	Title  string `json:"title"`
	Icon   string `json:"icon"`
	Admin  bool   `json:"admin"`
	Enable bool   `json:"enable"`
}

// IngressPanels is the answer of /ingress/panels.
type IngressPanels struct {
	Panels map[string]IngressPanel `json:"panels"`
}

// IngressSession is the answer of /ingress/session: the value of the cookie ingress_session.
type IngressSession struct {
	Session string `json:"session"`
}

// IngressSessionRequest begins a session. User is the ID of the person at Home Assistant, who is told to the add-ons; only
// Home Assistant knows it.
type IngressSessionRequest struct {
	User string `json:"user_id,omitempty"`
}

// IngressSessionCheck asks whether a session goes on.
type IngressSessionCheck struct {
	Session string `json:"session"`
}

// ErrAsleep says that an add-on does not run.
var ErrAsleep = &Error{Status: http.StatusServiceUnavailable, Key: "app_not_running", Message: "it does not run", Next: "start it"}

// Where pages are: for Home Assistant, and under the address that its frontend has.
const (
	ingressInside  = "/ingress/"
	ingressOutside = "/api/hassio_ingress/"
)

// ingressRoutes are the calls about add-ons' own pages. The pages themselves are among the passages.
var ingressRoutes = []route{
	{"POST", "/ingress/session", Operator, never, "Begins a session for add-ons' own pages.", settingCookie((*Server).postIngressSession)},
	{"POST", "/ingress/validate_session", Operator, never, "Whether a session goes on; it is made longer.", call((*Server).postIngressCheck)},
	{"GET", "/ingress/panels", Viewer, byManager, "The add-ons that have pages of their own.", call((*Server).getIngressPanels)},
}

func noIngress() error {
	return &Error{Status: http.StatusNotFound, Key: "no_ingress", Message: "this appliance shows no pages of add-ons"}
}

// postIngressSession gives people's browsers the cookie itself: no script of ours needs to touch it then, and none of a page
// can. Home Assistant hands it on as it likes.
func (s *Server) postIngressSession(_ context.Context, c Caller, in about[IngressSessionRequest]) (IngressSession, *http.Cookie, error) {
	if in.Body.User != "" && (c.Kind != KindHost || !nameShape.MatchString(in.Body.User)) {
		return IngressSession{}, nil, badRequest("cannot read field \"user_id\": want the ID of a user, from Home Assistant alone")
	}
	if s.cfg.Ingress == nil {
		return IngressSession{}, nil, noIngress()
	}
	id := s.visits.begin(c, in.Body.User)
	if c.visit == nil {
		return IngressSession{id}, nil, nil
	}
	return IngressSession{id}, &http.Cookie{Name: ingressCookie, Value: id, Path: "/", HttpOnly: true, Secure: c.visit.tls, SameSite: http.SameSiteStrictMode}, nil
}

func (s *Server) postIngressCheck(_ context.Context, c Caller, in about[IngressSessionCheck]) (none, error) {
	if in.Body.Session == "" {
		return none{}, missing("check a session", "session")
	}
	if _, ok := s.visits.use(in.Body.Session, c); !ok {
		return none{}, &Error{Status: http.StatusUnauthorized, Message: "no such session"}
	}
	return none{}, nil
}

func (s *Server) getIngressPanels(ctx context.Context, _ Caller, _ none) (IngressPanels, error) {
	if s.cfg.Ingress == nil {
		return IngressPanels{Panels: map[string]IngressPanel{}}, nil
	}
	panels, err := s.cfg.Ingress.Panels(ctx)
	if panels == nil {
		panels = map[string]IngressPanel{}
	}
	return IngressPanels{panels}, err
}

// pagePath takes the address of a page apart: what stands before it, the token, and the path at the add-on as it was
// written. ok is false for what is no page.
func pagePath(escaped string) (prefix, token, rest string, ok bool) {
	for _, begin := range []string{ingressInside, ingressOutside} {
		after, found := strings.CutPrefix(escaped, begin)
		if !found {
			continue
		}
		token, rest, ok = strings.Cut(after, "/")
		return begin + token, token, "/" + rest, ok && token != ""
	}
	return "", "", "", false
}

// leadsToPages is what in a path tells where the pages of an add-on are, however it is written.
var leadsToPages = regexp.MustCompile(`(?i)((?:^|/)(?:ingress|hassio_ingress)/+)([^/]+)`)

// pathInWords is a path as the log has it, and whoever is told of it: without what leads to the pages of an add-on.
func pathInWords(p string) string {
	switch p {
	case "/ingress/session", "/ingress/validate_session", "/ingress/panels":
		return p
	}
	return leadsToPages.ReplaceAllString(p, "${1}…")
}
