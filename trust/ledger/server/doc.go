// Package server is the ledger behind `cas serve`: it takes signed records in, and gives a static, cacheable tree
// out that every appliance can verify without trusting this program.
//
// # What the server is trusted with
//
// Order, and nothing else. It can not forge a record (each is signed by its publisher), can not show two histories
// without leaving a signed proof of it (each checkpoint commits to every transaction before it), and can not hide a
// newer record for longer than appliances accept an old checkpoint. What it lets in is a spam filter: an appliance
// judges every record again.
//
// # What is kept, and who can alter it
//
//   - immudb/: the transactions, fsynced before an answer is given. Whoever alters them makes a ledger that no
//     appliance follows, since the chain of hashes no longer meets the signed checkpoints.
//   - signed.json: the last (count, alh) ever signed, written before the checkpoint is shown. Whoever can alter it can
//     make this server sign a second history; appliances then hold both notes, which is the proof against it. When it
//     is missing beside a ledger that is not empty, the server stops.
//   - segments/: exported transactions, derived from immudb and made again when in doubt.
//   - files/: channel files under their sha256, checked when read.
//   - the note key: whoever has it can sign checkpoints; it is replaced by a root document only.
//
// # Crashes
//
// A record that was answered with a position is durable. A record that was not answered may or may not be in the
// ledger; posting the same record again is safe and gives the same answer. The signer's state is written before a
// checkpoint is published, so a crash between the two costs one checkpoint and never allows a second history.
package server
