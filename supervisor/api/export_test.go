package api

import (
	"context"
	"net/http"
	"net/http/httputil"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Row is one row of the table of routes.
type Row struct {
	Method, Path string
	Admin        bool // it is not for viewers
	People       Role
	Open         bool
	Body         string   // object, any, raw, or none
	Wrong        string   // a body with a member of the wrong type, "" = there is none
	Names        []string // members that name something
	Queries      []string // of numbers and switches
	Text         bool
}

// Rows is the table of routes about add-ons and repositories, and the whole of it.
func Rows() (addons, all []Row) {
	for _, rt := range append(addonRoutes, repositoryRoutes...) {
		addons = append(addons, rowOf(rt))
	}
	for _, rt := range table() {
		if rt.method != "" {
			all = append(all, rowOf(rt))
		}
	}
	return addons, all
}

// NoPerson is the role that nobody has.
const NoPerson = noPerson

func rowOf(rt route) Row {
	out := Row{Method: rt.method, Path: rt.path, Admin: rt.people > Viewer, People: rt.people, Open: rt.people == Nobody && rt.addons == every, Body: "none", Text: rt.text}
	for _, p := range paramsOf(rt.in) {
		if p.where == "query" && p.typ.Kind() != reflect.String {
			out.Queries = append(out.Queries, p.name)
		}
	}
	if _, ok := rt.in.FieldByName("Raw"); ok {
		out.Body = "raw"
	}
	if rt.stream {
		out.Body = "stream"
	}
	body, ok := rt.in.FieldByName("Body")
	switch {
	case !ok:
		return out
	case body.Type == reflect.TypeFor[none]():
		return out
	case body.Type.Kind() != reflect.Struct:
		out.Body = "any"
		return out
	}
	out.Body = "object"
	for _, f := range reflect.VisibleFields(body.Type) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		typ := f.Type
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch typ.Kind() {
		case reflect.Int, reflect.Int64, reflect.Uint16, reflect.Uint64:
			out.Wrong = `{"` + name + `":"x"}`
		case reflect.String:
			out.Wrong = `{"` + name + `":7}`
			if slices.Contains([]string{"service", "version", "slug", "channel", "digest"}, name) {
				out.Names = append(out.Names, name)
			}
		case reflect.Slice, reflect.Map:
			if typ.Elem().Kind() != reflect.Uint8 { // any JSON
				out.Wrong = `{"` + name + `":7}`
			}
		case reflect.Bool:
			out.Wrong = `{"` + name + `":"yes"}`
		}
	}
	return out
}

// HAModels are the types of the answers of Home Assistant's API.
func HAModels() (out []reflect.Type) {
	for _, rt := range table() {
		if rt.out != nil && !strings.HasPrefix(rt.path, "/castellan") {
			out = append(out, rt.out)
		}
	}
	return out
}

// AsRoot is the context of root's connection.
func AsRoot(ctx context.Context) context.Context {
	return context.WithValue(ctx, peerKey{}, peer{known: true})
}

// Mask is mask.
func Mask(options map[string]any, form []map[string]any) map[string]any { return mask(options, form) }

// AnswersWithin is how long add-ons' pages may take to begin an answer.
func (s *Server) AnswersWithin(d time.Duration) {
	p := s.pages()
	p.Transport.(*http.Transport).ResponseHeaderTimeout = d
	s.ingress = func() *httputil.ReverseProxy { return p }
}

// IngressOwners are the sessions for add-ons' pages that are kept.
func (s *Server) IngressOwners() int {
	s.visits.mu.Lock()
	defer s.visits.mu.Unlock()
	return len(s.visits.all)
}

// Stray is stray.
func Stray(p string) bool { return stray(p) }

// Passages are the paths that lead to others.
func Passages() (out []string) {
	for _, p := range passages {
		out = append(out, p.path)
	}
	return out
}

// Visitor is who calls from the network, as the people's door sees him.
func (s *Server) Visitor(r *http.Request) Caller { return s.visitor(r, false) }

// Unmask puts what is in force in the place of each mask.
func Unmask(asked, now AddonOptions) *OptionsCheck {
	return unmask(asked, now)
}

// CommandsHere is commandsHere.
func CommandsHere(text []byte) bool { return commandsHere(text) }
