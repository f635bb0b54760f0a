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
// # Records
//
// Records and root documents are DSSE v1 envelopes around in-toto v1 statements. Where those leave a choice, or are
// left, this package does as follows:
//
//   - JSON is read strictly: what two programs could read in two ways is refused, null and unknown fields included.
//     DSSE would have readers ignore unknown fields of an envelope; nobody signs those, so they are refused as well.
//   - DSSE's optional key ID is required, and is the sha256 of the public key; the payload type names the kind of
//     document and must agree with the statement's predicate type.
//   - in-toto wants a subject: a publisher or root document speaks about its root keys.
//   - Times are RFC 3339 in UTC with whole seconds, a uid is a decimal string up to 2^63-1, other numbers stay below
//     2^53, which every JSON reader can hold.
//   - SHA-1 and MD5 name nothing, not even packages.
//   - A publisher's root key alone withdraws but never vouches. It can be revoked once it is rotated away.
//   - A [Transfer] may go back to any document that holds, and voids those between: see [VerifyChain].
//   - A "*" in a name stays within its path segment and matches the empty string too.
//
// The package knows no Docker, no HTTP server, no configuration file and no supervisor.
package trust
