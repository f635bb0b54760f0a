package api

import (
	"context"
	"fmt"

	"github.com/castellan/castellan/addons"
)

// Role is what a person may do: each role may do what the one before it may.
type Role int

// Roles of people.
const (
	Nobody   Role = iota // is not known
	Viewer               // reads what is no secret
	Operator             // and does the daily work within what trust admits: updates, starts, stops, installs, sets options
	Admin                // and decides: trust, rights, repositories, what is removed

	noPerson // of a route: it is for add-ons alone
)

// String is the role's name.
func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	}
	return "nobody"
}

// Kind says what sort of caller it is.
type Kind string

// Kinds of callers.
const (
	KindNone   Kind = ""       // not known; may call what is open to all
	KindPerson Kind = "person" // a local user, or one who has logged in
	KindHost   Kind = "host"   // who has the host token, as Home Assistant's command line
	KindAddon  Kind = "addon"
)

// Caller is who makes a call. The zero one is nobody.
type Caller struct {
	Kind Kind
	Name string // in words, for the log: "root", "uid 1000", "add-on core_mosquitto"
	Role Role   // of a person or the host
	Slug string // of an add-on

	local    bool            // a person on the unix socket
	visit    *visit          // of a person from the network, also one who is not known
	token    string          // of an add-on
	manifest addons.Manifest // of an add-on
}

// String is the caller in words.
func (c Caller) String() string {
	if c.Name == "" {
		return "an unknown user"
	}
	return c.Name
}

// admin tells whether a caller may see what only the owner may.
func (c Caller) admin() bool { return c.Kind != KindAddon && c.Role == Admin }

// addonRight says which add-ons may call a route. The zero one is [never].
type addonRight struct {
	any   bool   // every add-on
	self  bool   // every add-on about itself: {slug} is "self" or its own
	other string // those with hassio_api and this role, or one that includes it, about others
}

// Rights of add-ons, as Home Assistant's Supervisor gives them by the role in the manifest.
var (
	never     = addonRight{} // whatever its role: that is for people; and asking is logged
	every     = addonRight{any: true}
	own       = addonRight{self: true, other: roleManager}
	itself    = addonRight{self: true} // nobody else, whatever its role
	ownInfo   = addonRight{self: true, other: roleDefault}
	others    = addonRight{other: roleManager} // never itself, where the route is about one add-on
	byDefault = addonRight{other: roleDefault}
	byCore    = addonRight{other: roleCore}
	byManager = addonRight{other: roleManager}
)

// Roles of add-ons, as manifests name them.
const (
	roleDefault = "default"
	roleCore    = "homeassistant"
	roleBackup  = "backup"
	roleManager = "manager"
	roleAdmin   = "admin"
)

// has tells whether an add-on's role includes another.
func (c Caller) has(role string) bool {
	if !c.manifest.HassioAPI || role == "" {
		return false
	}
	have := c.manifest.HassioRole
	switch have {
	case roleAdmin, roleManager:
		return role != roleAdmin || have == roleAdmin
	}
	return role == roleDefault || role == have
}

// may tells whether a caller may call a route; slug is the add-on it is about, "" for none. An error is a refusal in words.
func (c Caller) may(rt route, slug string) error {
	if c.Kind != KindAddon {
		switch {
		case rt.people == Nobody || c.Role >= rt.people:
			return nil
		case c.visit != nil && rt.people != noPerson:
			return forbidden(fmt.Sprintf("%s may not call %s %s: that is for role %s", c, rt.method, rt.path, rt.people), "ask an admin")
		case rt.people == noPerson:
			return forbidden("only an add-on may do that", "castellan addon list")
		}
		return forbidden(fmt.Sprintf("%s may not call %s %s", c, rt.method, rt.path), "run the command as root")
	}
	right, self := rt.addons, slug == "self" || slug != "" && slug == c.Slug
	switch {
	case right.any, right.self && self:
		return nil
	case right == never, self && !right.self:
		return errNever
	case c.has(right.other):
		return nil
	case right.self:
		return forbidden("an add-on may see and change itself only", "call /addons/self/")
	case !c.manifest.HassioAPI:
		return forbidden("the manifest does not ask for hassio_api", "ask the author of the add-on")
	}
	return forbidden(fmt.Sprintf("the manifest's hassio_role is %q, the call wants %q", c.manifest.HassioRole, right.other), "ask the author of the add-on")
}

// errNever is what no add-on may.
var errNever = forbidden("no add-on may do that", "let the owner do it")

func forbidden(message, next string) error {
	return &Error{Status: 403, Key: "forbidden", Message: message, Next: next}
}

// local is the caller at the other end of a unix socket.
func (s *Server) local(ctx context.Context) Caller {
	p := peerOf(ctx)
	c := Caller{Kind: KindPerson, Name: p.String(), Role: Viewer, local: p.known}
	if p.admin(s.cfg.Owner) {
		c.Role = Admin
	}
	return c
}
