// Package bench measures what only the real programs can show: how much memory the daemon holds, what a look for
// updates costs on the wire, and how long a service is away while the daemon replaces it. Its benchmarks carry the
// build tag "bench", because they time things and want a quiet machine; tests/bench.sh runs them beside a private
// engine and compares them with their targets.
package bench
