package api

import (
	"time"
)

// SetupState is the answer of GET /castellan/setup: what a page needs before anybody can log in.
type SetupState struct {
	Owner bool `json:"owner"` // there is one: log in; otherwise set up with the code
}

// SetupRequest makes the first user, who is admin.
type SetupRequest struct {
	Code     string `json:"code"` // as castellan setup-code shows it
	Name     string `json:"name"`
	Password string `json:"password"`
}

// LoginRequest is who wants in.
type LoginRequest struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// Me is who calls, and what a page needs to go on.
type Me struct {
	Name string    `json:"name"`
	Role string    `json:"role"` // viewer, operator, admin
	Kind string    `json:"kind"` // session, token; on the appliance local or host
	CSRF string    `json:"csrf,omitempty"`
	Ends time.Time `json:"ends,omitzero"` // of a fresh session, at the latest

	Event string `json:"event,omitempty"` // the newest event before this answer: a stream from there misses nothing of what is asked for next
}

// SetupCode is what the first owner proves with that the appliance is his.
type SetupCode struct {
	Code string `json:"code"`
}

// User is one of the people who may log in.
type User struct {
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	Created  time.Time `json:"created"`
	Sessions int       `json:"sessions"`
	Tokens   int       `json:"tokens"`
}

// UserList is the answer of GET /castellan/users, by name.
type UserList struct {
	Users []User `json:"users"`
}

// UserRequest adds a user. The first one on an appliance can be made so by root only, and must be admin.
type UserRequest struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Role     string `json:"role"`
}

// RoleRequest gives a user another role.
type RoleRequest struct {
	Role string `json:"role"`
}

// PlaceRequest names an address a user logs in from.
type PlaceRequest struct {
	Address string `json:"address"`
}

// PasswordRequest gives a user another password. All his sessions end but the one that asks.
type PasswordRequest struct {
	Password string `json:"password"`
	Current  string `json:"current,omitempty"` // of the user himself; not of an admin who sets another's, nor of root on the appliance
}

// ResetAnswer tells what became of the register of users.
type ResetAnswer struct {
	Aside string `json:"aside,omitempty"` // where the old one is
	Code  string `json:"code"`            // the new setup code
}

// Session is somebody who is logged in.
type Session struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
	Ends    time.Time `json:"ends"` // when it is not used until then
	From    string    `json:"from"` // address of the login
	Agent   string    `json:"agent"`
	Own     bool      `json:"own"` // it is the one that asks
}

// SessionList is the answer of GET /castellan/sessions, the latest use first.
type SessionList struct {
	Sessions []Session `json:"sessions"`
}

// Ended tells how many sessions ended.
type Ended struct {
	Ended int `json:"ended"`
}

// Token is an API token, without what it is known by.
type Token struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Prefix  string    `json:"prefix"`
	Created time.Time `json:"created"`
	Ends    time.Time `json:"ends,omitzero"`
	Ended   bool      `json:"ended"`
	Used    time.Time `json:"used,omitzero"` // the day of the last use
}

// TokenList is the answer of GET /castellan/tokens, oldest first.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// TokenRequest makes a token.
type TokenRequest struct {
	Name string `json:"name"`           // what it is for
	Role string `json:"role"`           // at most that of who asks, and of the user
	User string `json:"user,omitempty"` // whose; empty = of who asks
	Days int    `json:"days,omitempty"` // it ends after so many; 0 = it does not
}

// NewToken is a fresh token. Its text is shown this once.
type NewToken struct {
	Token
	Text string `json:"text"`
}
