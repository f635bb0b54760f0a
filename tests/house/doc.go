// Package house holds the whole house to its promises, on real parts: the programs castellan and cas as they are built
// for an appliance, a container engine, a registry, a ledger, and a channel, with every line between them in the hands
// of the test. The programs are driven as people drive them, and killed as a power cut kills them.
//
// It has tests only; run it beside a private engine:
//
//	tests/with-engine.sh go test ./tests/house/...
package house
