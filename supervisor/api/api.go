// Package api serves Castellan over HTTP: Home Assistant's Supervisor envelope and status codes, with Castellan's own
// calls under /castellan/. It decides who may call what and turns errors into answers; the work is done by the
// [Backend] behind it and goes on when the caller leaves.
//
// # Threat model
//
// Whoever can open the unix socket is a local user; the kernel says which one. Reading is for everybody who may
// connect; what changes the house is for root and the user the daemon runs as. Bodies are strict JSON of limited
// size; nothing a caller sends reaches a file name or a command.
//
// An add-on is somebody else's program with a token of its own, and may share the bridge with one that is hostile. A
// token opens what its add-on may do to itself, and what the role in its manifest, which its owner agreed to, says:
// nothing that forces, pins, holds, or changes trust is reachable with it, and asking is logged. No add-on can take the
// API from the others: connections are limited per address and in all, calls per add-on, and slow ones are cut.
//
// The network of the house is not trusted ([Server.ServePeople]). Nothing but login and setup is open there without a session or
// an API token; a session counts for a change only with its CSRF token; a name that is not ours, and a page of another
// site, are refused; connections and slow callers are limited as on the bridge. What shows a way in without a password,
// the setup code and the reset of all users, is for the unix socket alone.
//
// Browsers send a cookie to every port of a host, so an add-on with a page of its own is sent the session's, without TLS at
// least. From the appliance and the add-ons' bridge a session counts only where it began.
//
// BUG: an add-on that is sent the cookie and has an accomplice elsewhere in the network can use it from there.
package api

import "context"

// Backend is the appliance as the API sees it. Calls are safe for concurrent use.
type Backend interface {
	Upkeep
	Trust() Trust
	Log() Log
	Addons() Addons // nil = the appliance has none
	Repositories() Repositories
	Decisions() Decisions
}

// Upkeep keeps the services up to date. Update, Rollback and Check answer as soon as the work is accepted; its course is in
// [Change].
type Upkeep interface {
	Status(ctx context.Context) (Status, error)
	// Check syncs the ledger, polls the channel, judges what is installed, and answers with the plan.
	Check(ctx context.Context) (Plan, error)
	// Update submits what the plan holds for one service, or for all when Service is empty.
	Update(ctx context.Context, r UpdateRequest) (Accepted, error)
	Rollback(ctx context.Context, service string) (Accepted, error)
	Changes(ctx context.Context) ([]Change, error)
}

// Trust is what an owner decides about trust. by is the caller in words ("root", "uid 1000").
type Trust interface {
	// Against is what stands against the image of a service that was refused or deferred last.
	Against(ctx context.Context, service string) (Refusal, error)
	Force(ctx context.Context, r ForceRequest, by string) (Override, error)
	Pins(ctx context.Context) ([]Pin, error)
	// Forget drops a service's pin: its next signed image may come from another publisher, and be older.
	Forget(ctx context.Context, service, by string) error
	House
	Sight
}

// Log is the verification log as the API sees it.
type Log interface {
	// Records are the newest q.Last that match, oldest first.
	Records(ctx context.Context, q LogQuery) ([]LogRecord, error)
	// Walk hands over all that match, oldest first, until take fails; q.Last is not heeded.
	Walk(ctx context.Context, q LogQuery, take func(LogRecord) error) error
	Verify(ctx context.Context) (LogReport, error)
	// Days counts verdicts by outcome for that many days up to today, oldest first.
	Days(ctx context.Context, n int) ([]LogDay, error)
	Explain(ctx context.Context, seq uint64) (Explanation, error)
	Replay(ctx context.Context, seq uint64) (Replay, error)
}

// KeyTrust is the error_key of what trust refused or deferred.
const KeyTrust = "trust_refused"

// Error is an error with an answer of its own. Anything else becomes status 400 with the error's text.
type Error struct {
	Status  int    // HTTP status
	Key     string // stable error_key, as "trust_refused"
	Message string
	Next    string // what a person does now
	Job     string // the change that failed, when it is one

	// Extra is what a program needs to go on, by name; it is sent as extra_fields, beside next.
	Extra map[string]any
}

func (e *Error) Error() string { return e.Message }
