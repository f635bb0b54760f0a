package registry

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/castellan/castellan/trust"
)

// Limits on what is read. A real manifest has some kilobytes and at most 127 layers.
const (
	maxManifest = 4 << 20
	maxLayers   = 512
	maxEntries  = 1024
)

// document is an OCI index or manifest, or one of Docker's of schema 2; they have the same keys.
type document struct {
	SchemaVersion int            `json:"schemaVersion"`
	MediaType     string         `json:"mediaType"`
	Manifests     []descriptor   `json:"manifests"`
	Config        *descriptor    `json:"config"`
	Layers        []descriptor   `json:"layers"`
	FSLayers      jsontext.Value `json:"fsLayers"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      trust.Digest      `json:"digest"`
	Size        int64             `json:"size"`
	URLs        []string          `json:"urls"`
	Platform    *trust.Platform   `json:"platform"`
	Annotations map[string]string `json:"annotations"`
}

func (d document) isIndex() bool { return len(d.Manifests) > 0 }

// parseDocument reads bytes whose digest may be right although their sender is hostile. Keys are matched without
// regard to case and may not repeat, because that is how the engine reads them: with another reading it could run
// something else than what was judged. A document that is both index and manifest is refused (CVE-2021-41190).
func parseDocument(data []byte) (document, error) {
	var d document
	if len(data) > maxManifest {
		return d, fmt.Errorf("%w: a manifest of more than %d bytes", ErrBadContent, maxManifest)
	}
	if err := json.Unmarshal(data, &d, json.MatchCaseInsensitiveNames(true)); err != nil {
		return d, fmt.Errorf("%w: not a manifest: %w", ErrBadContent, err)
	}
	if err := d.check(); err != nil {
		return d, fmt.Errorf("%w: not a manifest: %w", ErrBadContent, err)
	}
	return d, nil
}

func (d *document) check() error {
	index, manifest := d.isIndex(), d.Config != nil || len(d.Layers) > 0
	switch {
	case d.SchemaVersion != 2 || len(d.FSLayers) > 0:
		return fmt.Errorf("schema version %d, want 2", d.SchemaVersion)
	case index == manifest:
		return errors.New("want either \"manifests\" or \"config\" and \"layers\"")
	}
	if index {
		d.MediaType = cmp.Or(d.MediaType, string(types.OCIImageIndex))
		if !types.MediaType(d.MediaType).IsIndex() {
			return fmt.Errorf("an index that calls itself %.80q", d.MediaType)
		}
		if len(d.Manifests) > maxEntries {
			return fmt.Errorf("an index of %d entries, at most %d are read", len(d.Manifests), maxEntries)
		}
		return checkDescriptors(d.Manifests)
	}
	d.MediaType = cmp.Or(d.MediaType, string(types.OCIManifestSchema1))
	if !types.MediaType(d.MediaType).IsImage() {
		return fmt.Errorf("a manifest that calls itself %.80q", d.MediaType)
	}
	if d.Config == nil || !types.MediaType(d.Config.MediaType).IsConfig() {
		return errors.New("it is an artifact and not a container image")
	}
	if len(d.Layers) > maxLayers {
		return fmt.Errorf("%d layers, at most %d are read", len(d.Layers), maxLayers)
	}
	for i, l := range d.Layers {
		if len(l.URLs) > 0 || strings.Contains(l.MediaType, "foreign") || strings.Contains(l.MediaType, "nondistributable") {
			return fmt.Errorf("layer %d is kept outside the registry", i)
		}
	}
	return checkDescriptors(d.blobs())
}

func checkDescriptors(list []descriptor) error {
	sizes := map[trust.Digest]int64{}
	var sum int64
	for i, d := range list {
		if _, err := trust.ParseDigest(string(d.Digest)); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if d.Size < 0 || d.Size > 1<<50 {
			return fmt.Errorf("entry %d: size %d", i, d.Size)
		}
		if s, ok := sizes[d.Digest]; ok && s != d.Size {
			return fmt.Errorf("entry %d: %s has two sizes", i, d.Digest)
		}
		sizes[d.Digest] = d.Size
		sum += d.Size // at most 1025 * 2^50, which fits
	}
	return nil
}

// blobs lists config and layers.
func (d document) blobs() []descriptor { return append([]descriptor{*d.Config}, d.Layers...) }

// size is the sum of all blobs, each once.
func (d document) size() (sum int64) {
	seen := map[trust.Digest]bool{}
	for _, b := range d.blobs() {
		if !seen[b.Digest] {
			seen[b.Digest] = true
			sum += b.Size
		}
	}
	return sum
}

// choose finds the entry of an index that fits want best. Attestations, unknown platforms and nested indexes are no
// candidates.
func choose(entries []descriptor, want trust.Platform) (descriptor, error) {
	best, bestFit := descriptor{}, -1
	var offered []string
	for _, e := range entries {
		switch {
		case e.Platform == nil || e.Platform.OS == "unknown" || e.Annotations["vnd.docker.reference.type"] != "",
			e.MediaType != "" && !types.MediaType(e.MediaType).IsImage():
			continue
		}
		if s := e.Platform.String(); !slices.Contains(offered, s) {
			offered = append(offered, s)
		}
		if f := fit(*e.Platform, want); f > bestFit {
			best, bestFit = e, f
		}
	}
	if bestFit < 0 {
		return best, fmt.Errorf("%w: want %s, it has %.300s; %s", ErrNoPlatform, want, strings.Join(offered, ", "), nextStep[ErrNoPlatform])
	}
	return best, nil
}

// fit tells how well an image for have runs on want: -1 not at all, higher is better. ARM variants run those below
// them (v7 runs v6); a missing variant means v8 for arm64, v7 for arm, v1 for amd64, as containerd has it.
func fit(have, want trust.Platform) int {
	if have.OS != want.OS || have.Architecture != want.Architecture {
		return -1
	}
	h, w := variant(have), variant(want)
	if h < 0 || w < 0 {
		if have.Variant == want.Variant {
			return 0
		}
		return -1
	}
	if h > w {
		return -1
	}
	return h
}

// variant is the number of a variant, -1 when it has none.
func variant(p trust.Platform) int {
	if p.Variant == "" {
		return map[string]int{"arm64": 8, "arm": 7, "amd64": 1}[p.Architecture]
	}
	n, err := strconv.Atoi(strings.TrimPrefix(p.Variant, "v"))
	if err != nil || n < 0 || n > 99 {
		return -1
	}
	return n
}
