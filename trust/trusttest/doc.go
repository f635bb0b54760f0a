// Package trusttest makes ledgers that lie, lag, fork and forget, and mirrors that fail, for tests.
//
// [Ledger] is a real immudb store whose transactions a test chooses, its exported bytes and its checkpoints;
// [Publisher] signs real records; [Mirror] serves a static tree over HTTP and breaks in every way a mirror can.
// Nothing here is a model of the real thing: what an appliance verifies is what a real store wrote.
//
// Only tests import this package. It may import immudb for that reason, and nothing of `cas serve`.
package trusttest
