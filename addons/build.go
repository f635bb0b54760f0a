package addons

import (
	"regexp"
	"slices"
)

// Build is a build.yaml: what an add-on without image is built from on the appliance.
type Build struct {
	From   map[string]string // by architecture; "" holds the one for all
	Squash bool
	Args   map[string]string
	Labels map[string]string
}

// Base is the image to build on for an architecture, or "".
func (b Build) Base(arch string) string {
	if from, ok := b.From[arch]; ok {
		return from
	}
	return b.From[""]
}

var buildImageForm = regexp.MustCompile(`^(?:[a-zA-Z\-.:\d{}]+/)*?[\-\w{}]+/[\-\w{}]+(?::[.\-\w{}]+)?$`)

// ParseBuild reads a build.yaml, .yml or .json, in the limits of [ParseManifest]. The error is an *[InvalidError].
func ParseBuild(name string, data []byte) (Build, error) {
	n, err := readFile(name, data)
	if err != nil {
		return Build{}, err
	}
	b := Build{From: map[string]string{}, Args: map[string]string{}, Labels: map[string]string{}}
	d := &decoder{}
	if n.kind != kindNull && !d.is(n, root, kindDict, "a dictionary with build_from, args and labels") {
		return Build{}, d.err(name)
	}
	const image = "an image as owner/name:tag or ghcr.io/owner/name:tag"
	if from := n.get("build_from"); from != nil && from.kind == kindText {
		b.From[""] = d.formed(from, root.key("build_from"), buildImageForm, image)
	} else if from != nil {
		d.dict(from, root.key("build_from"), "an image, or one by architecture", func(arch string, n *node, where *at) {
			if !slices.Contains(arches, arch) {
				d.fail(n, where, "want an architecture: aarch64, amd64, armhf, armv7 or i386")
			}
			b.From[arch] = d.formed(n, where, buildImageForm, image)
		})
	}
	if squash := n.get("squash"); squash != nil {
		b.Squash = d.flag(squash, root.key("squash"))
	}
	if args := n.get("args"); args != nil {
		b.Args = d.textDict(args, root.key("args"))
	}
	if labels := n.get("labels"); labels != nil {
		b.Labels = d.textDict(labels, root.key("labels"))
	}
	if err := d.err(name); err != nil {
		return Build{}, err
	}
	return b, nil
}
