// Package updater decides what should run: it reads release channels, compares versions and plans. It never acts:
// a [Plan] is handed to the supervisor, which never decides what is newest.
//
// Channel files are Home Assistant's (stable.json), with an optional "castellan" object. Which bytes a channel is at
// any time is said by the newest TRUSTED `channel` record of a core publisher in the ledger, not by the server that
// sends the file.
package updater

import (
	"time"

	"github.com/castellan/castellan/trust"
)

// Release is what a channel offers now.
type Release struct {
	Channel  string
	Digest   trust.Digest // of the channel file's bytes
	Fetched  time.Time
	Verified bool              // the file is the one the newest channel record names
	Targets  map[string]Target // by target name: "core", "supervisor", "dns", …
	Floor    map[string]string // target -> oldest version an owner may go back to
	Requires map[string][]Requirement
	Rollout  int  // percent of appliances, 100 when the channel says nothing
	Bucket   int  // 0 to 99, where this appliance stands in the rollout: it moves when Bucket < Rollout
	Together bool // all targets move or none does
}

// Target is one image a release names: a repository with a version, and a digest when the channel gives one.
type Target struct {
	Reference string // "registry/repo:version" or "registry/repo@sha256:…"
	Version   string
	Digest    trust.Digest // index or manifest digest the channel promises, "" = none
}

// Requirement is met when Target's installed version is at least Version.
type Requirement struct {
	Target  string
	Version string
}

// Mode is a service's update mode.
type Mode string

// Update modes. The zero value means Ask.
const (
	ModeAuto Mode = "auto"
	ModeAsk  Mode = "ask"
	ModeHold Mode = "hold"
	ModeOff  Mode = "off" // say nothing, but move when the owner asks for this service
)

// Installed is one service as it stands, the way the planner sees it.
type Installed struct {
	Service string
	Class   trust.Class
	Target  string // name of its target in the channel; "" when Want gives the image
	Want    Target // for services outside a channel
	Version string // "" when nothing runs yet
	Mode    Mode
	Busy    string       // ID of the open change, "" = none
	Failed  FailedUpdate // the last update that was rolled back or refused, so that it is not tried in a loop
	Addon   *Addon       // nil for what is no add-on from a repository
	Decided Decided      // what the owner decided, besides Mode
}

// Addon is what its repository and its owner say of an add-on's next version. The words are for people.
type Addon struct {
	Slug        string        // what people and commands call it
	Detached    string        // why its repository does not offer it any more, "" = it does
	Unavailable string        // why the offered version does not work here, "" = it does
	Seen        time.Time     // when the offered version was first seen, zero = unknown
	MinAge      time.Duration // how long ago that must be, 0 = [MinAge]
	Breaking    []string      // versions that no automatic update crosses
	Options     string        // why the options are not good for the offered version, "" = they are
	Asleep      bool          // it does not run, so it can be updated first and get good options afterwards
	Asks        []string      // rights it asks for that its owner has not granted
	Local       bool          // it is built here: an update is a build, which only its owner asks for
}

// FailedUpdate remembers a target that did not work.
type FailedUpdate struct {
	Version string
	Digest  trust.Digest
	When    time.Time
	Why     string
}

// Step is one service's move in a plan.
type Step struct {
	Service  string
	Class    trust.Class
	Action   trust.Action
	From     string // version, "" = not installed
	To       Target
	Channel  *trust.ChannelClaim // nil for services outside a channel
	Requires []string            // unmet requirements in words
}

// Skip says why a service does not move. Code is stable: up-to-date, hold, ask, busy, downgrade, uncomparable,
// failed-before, no-target, rollout, unverified-channel, requires, together, detached, unavailable, too-new, breaking,
// options, consent, local-build, off, skipped, window.
type Skip struct {
	Service string
	Code    string
	Why     string
	To      Target    // what it would have been
	Next    string    // what a person can do about it, "" for nothing
	Ends    time.Time // when it ends by itself: a window opens, a hold is over; zero = not known
}

// Plan is what should happen now.
type Plan struct {
	Made     time.Time
	Steps    []Step
	Skips    []Skip
	Together bool // the steps that have a Channel move as one
}
