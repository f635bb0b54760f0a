// Package trust decides whether an image may come into the house.
//
// # Threat model
//
// Everything that arrives from outside is hostile: records, checkpoints, manifests, mirrors and clocks. The
// ledger operator may lie, lag, fork, forge or vanish; a mirror may serve anything or hang; a publisher's working
// key may be stolen. What is believed: the root document shipped with the appliance (by threshold of its keys), a
// publisher's root key for that publisher's own document chain, and the files this package keeps on the disk of
// the appliance against anybody but the appliance's own root user.
//
// # How a permission comes to be
//
// A replica of the ledger ([Evidence]) is searched for every record about a [Subject]; [Collect] copies them into
// [Facts]; [Judge], a pure function, turns [Input] into a [Verdict]; the [Gate] writes the verdict to the
// verification log and, only after it is on disk, mints a [Permit]. The engine asks for a Permit and a Permit has
// no exported fields, so code that skips a step does not compile.
//
// An outage is never an attack: whatever could not be checked ends as [Defer], and only what was checked and found
// bad ends as [Refuse]. Neither touches what runs.
//
// The package knows no Docker, no HTTP server, no configuration file and no supervisor.
package trust
