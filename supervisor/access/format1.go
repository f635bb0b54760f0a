package access

import "time"

// state1 is format 1.
type state1 struct {
	Format   int       `json:"format"`
	Mark     time.Time `json:"mark"`
	Users    []user    `json:"users"`
	Sessions []session `json:"sessions"`
	Tokens   []token1  `json:"tokens"`
}

type token1 struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Name    string    `json:"name"`
	Prefix  string    `json:"prefix"`
	Hash    digest    `json:"hash"`
	Created time.Time `json:"created"`
	End     time.Time `json:"end,omitzero"`
	Used    time.Time `json:"used,omitzero"`
}

// parseFormat1 upgrades. A token of format 1 could all that its user could, so that becomes its role: nothing that
// worked stops, and no token grows with its user from now on.
func parseFormat1(b []byte) (state, error) {
	var old state1
	if err := strict(b, &old); err != nil {
		return state{}, err
	}
	s := state{Format: format, Mark: old.Mark, Users: old.Users, Sessions: old.Sessions}
	if old.Tokens != nil {
		s.Tokens = make([]token, 0, len(old.Tokens))
	}
	for _, t := range old.Tokens {
		role := Viewer // of a user that is not there; check refuses it
		if u := s.user(t.User); u != nil {
			role = u.Role
		}
		s.Tokens = append(s.Tokens, token{
			ID: t.ID, User: t.User, Name: t.Name, Role: role, Prefix: t.Prefix, Hash: t.Hash,
			Created: t.Created, End: t.End, Used: t.Used,
		})
	}
	return s, nil
}
