package access

// Role says what somebody may. Each role may all that those before it may.
type Role string

// Roles.
const (
	// Viewer sees: what runs, plans, changes, verdicts, the log, events, metrics. He changes nothing, and sees no
	// secret, option of an add-on that may be one, or other people's sessions.
	Viewer Role = "viewer"

	// Operator does the daily work within what trust admits: starts, stops and restarts, updates and rolls back to a
	// kept version, holds and skips versions, installs and configures add-ons, makes backups. He never decides whom
	// the house trusts, and restores nothing.
	Operator Role = "operator"

	// Admin decides, besides, about trust (ledgers, publishers, pins, overrides, modes), about users, tokens of others,
	// certificates and add-on repositories, restores backups and removes data.
	Admin Role = "admin"
)

func (r Role) rank() int {
	switch r {
	case Viewer:
		return 1
	case Operator:
		return 2
	case Admin:
		return 3
	}
	return 0
}

// Valid tells whether r is one of the roles.
func (r Role) Valid() bool { return r.rank() > 0 }

// May tells whether somebody with role r may do what needs the role need. Of what is no role nobody may anything.
func (r Role) May(need Role) bool { return need.Valid() && r.rank() >= need.rank() }

func lesser(a, b Role) Role {
	if a.rank() < b.rank() {
		return a
	}
	return b
}

// Kind says how somebody proved who he is.
type Kind string

// Kinds.
const (
	BySession Kind = "session" // a person who logged in; whatever changes something needs the CSRF token too
	ByToken   Kind = "token"   // a program
)

// Principal is somebody who was let in. The zero Principal may nothing.
type Principal struct {
	Name string // of the user
	Role Role   // as it is now; of a token at most its user's
	Kind Kind
	ID   string // of the session or token, as it is listed
}
