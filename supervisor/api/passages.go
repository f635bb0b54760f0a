package api

import (
	"net/http"
	"reflect"
	"strings"
)

// passage is a row for what others answer, with any method: the path is asked about before the table, its rest is not ours to
// filter, and who may is decided by serve, which tells whether the request was its own.
type passage struct {
	route
	serve func(*Server, http.ResponseWriter, *http.Request, door) bool
}

// passages are all of them. People and add-ons are who may come in, for the description.
var passages = []passage{
	{route{"", "/ingress/{token}/{path...}", Operator, never, "An add-on's own page, for who has the cookie ingress_session.", throughTo[pageIn]()}, (*Server).servePage},
	{route{"", "/api/hassio_ingress/{token}/{path...}", Operator, never, "The same, under the address that Home Assistant gives it.", throughTo[pageIn]()}, (*Server).servePage},
	{route{"", "/core/api/{path...}", noPerson, every, "Home Assistant Core's API, for add-ons with homeassistant_api.", throughTo[coreIn]()}, (*Server).serveCore},
	{route{"", "/core/websocket", noPerson, every, "Home Assistant Core's WebSocket; an add-on shows its token in the first message.", throughTo[none]()}, (*Server).serveCore},
	{route{"", "/homeassistant/api/{path...}", noPerson, every, "Home Assistant Core's API, for add-ons with homeassistant_api.", throughTo[coreIn]()}, (*Server).serveCore},
	{route{"", "/homeassistant/websocket", noPerson, every, "Home Assistant Core's WebSocket; an add-on shows its token in the first message.", throughTo[none]()}, (*Server).serveCore},
}

type pageIn struct {
	Token string `path:"token"`
	Path  string `path:"path"`
}

type coreIn struct {
	Path string `path:"path"`
}

// throughTo describes what goes through.
func throughTo[In any]() endpoint { return endpoint{in: reflect.TypeFor[In](), media: "*/*"} }

// passing answers what belongs to a passage, and tells whether it did.
func (s *Server) passing(w http.ResponseWriter, r *http.Request, d door) bool {
	for _, p := range passages {
		if p.serve(s, w, r, d) {
			return true
		}
	}
	return false
}

// described are the rows of a passage as the description has them: a path in its words, once for each method that is common.
func (p passage) described() (out []route) {
	methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	if strings.HasSuffix(p.path, "/websocket") {
		methods = methods[:1]
	}
	for _, method := range methods {
		rt := p.route
		rt.method, rt.path = method, strings.ReplaceAll(rt.path, "...}", "}")
		out = append(out, rt)
	}
	return out
}
