// Package rules holds what the house agreed on, as tests: which package may import which, where the large libraries may
// appear, what stands at the top of the repository, and that everything exported is documented. `make lint` runs it
// together with gofmt, vet and staticcheck.
package rules
