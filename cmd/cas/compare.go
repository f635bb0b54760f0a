package main

import (
	"fmt"
	"slices"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/artifact"
)

// compare holds a trusted artifact against what it was notarized as. What the caller asked for by --name and --version
// must be so: the same content under another name or version is not vouched for as this. What only the reference says
// is a warning: mirrors and moving tags are ordinary.
func (e *evidence) compare(v *verdict, art artifact.Artifact, asked about) {
	n, ok := e.record(v.Record, v.Digest)
	if !ok {
		if asked.name != "" || asked.version != "" {
			v.Status, v.Exit = trust.Unknown.String(), exitUnknown
			v.Detail = "its parts are vouched for by different records, so that it has no one name and version"
		}
		return
	}
	for _, c := range []struct{ what, asked, found, record string }{
		{"name", asked.name, art.Name, n.Name},
		{"version", asked.version, art.Version, n.Version},
	} {
		switch {
		case c.asked != "" && c.asked != c.record:
			v.Status, v.Exit = trust.Unknown.String(), exitUnknown
			v.Detail = fmt.Sprintf("it was notarized with %s %q, not %q", c.what, c.record, c.asked)
			return
		case c.asked == "" && c.found != "" && c.found != c.record && v.Warning == "":
			v.Warning = fmt.Sprintf("it was notarized with %s %q", c.what, c.record)
		}
	}
	v.Name, v.Version, v.Kind = n.Name, n.Version, n.Kind
}

// record is the notarization at a place of the ledger that speaks about d or about a part of the same artifact.
func (e *evidence) record(pos trust.Position, d trust.Digest) (trust.Notarization, bool) {
	found, err := e.ByDigest(d)
	if err != nil {
		return trust.Notarization{}, false
	}
	i := slices.IndexFunc(found, func(p trust.PlacedNotarization) bool { return p.Pos == pos })
	if i < 0 {
		return trust.Notarization{}, false
	}
	return found[i].Notarization, true
}
