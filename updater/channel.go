package updater

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/trust"
)

// MaxChannelBytes is the size a channel file may have. Home Assistant's has about 3 KB.
const MaxChannelBytes = 1 << 20

// ErrChannel is what every refusal of a channel file wraps: the file was read and is not usable. The release known
// before stays.
var ErrChannel = errors.New("channel file refused")

// ChannelOptions says what an appliance wants from a channel file.
type ChannelOptions struct {
	Name      string   // the file must say that it is this channel, "stable"
	Machine   string   // Home Assistant's machine name, "raspberrypi4-64"; "" = the file's default
	Arch      string   // Home Assistant's architecture, "aarch64" or "amd64"
	Targets   []string // targets that must be there, nil = core; others are read when the file has all of one
	Appliance string   // appliance ID, spreads staged rollouts; "" = first in line
}

// homeAssistantTargets is target name -> key of its version. The image template has the target's name.
var homeAssistantTargets = map[string]string{
	"core": "homeassistant", "supervisor": "supervisor", "cli": "cli", "dns": "dns",
	"audio": "audio", "multicast": "multicast", "observer": "observer",
}

// channelFile is Home Assistant's file. Keys that are not here (hassos, ota, …) are of no use to us and ignored.
type channelFile struct {
	Channel       string            `json:"channel"`
	HomeAssistant map[string]string `json:"homeassistant"`
	Supervisor    string            `json:"supervisor"`
	CLI           string            `json:"cli"`
	DNS           string            `json:"dns"`
	Audio         string            `json:"audio"`
	Multicast     string            `json:"multicast"`
	Observer      string            `json:"observer"`
	Images        map[string]string `json:"images"`
	Castellan     jsontext.Value    `json:"castellan"`
}

// ParseChannel reads a channel file of Home Assistant's format (stable.json, 2021 and later):
//
//	{"channel": "stable", "homeassistant": {"<machine>": "2026.8.3", …}, "supervisor": "2026.07.5", …,
//	 "images": {"core": "ghcr.io/home-assistant/{machine}-homeassistant", "dns": "…/{arch}-hassio-dns", …},
//	 "castellan": {…}}
//
// As there, an unknown machine or a missing key that is used refuses the whole file; unknown keys are ignored. The
// optional "castellan" object is strict, see [channelExtension]. Errors wrap [ErrChannel], name the key and say what
// to do. The release says nothing yet about whether the file is the right one: the [Poller] sets Verified.
func ParseChannel(data []byte, o ChannelOptions) (Release, error) {
	rel, err := parseChannel(data, o)
	if err != nil {
		return Release{}, fmt.Errorf("cannot read channel %q: %w: %w; tell the channel's publisher or correct the settings", o.Name, ErrChannel, err)
	}
	return rel, nil
}

func parseChannel(data []byte, o ChannelOptions) (Release, error) {
	if len(data) > MaxChannelBytes {
		return Release{}, fmt.Errorf("%d bytes, at most %d are read", len(data), MaxChannelBytes)
	}
	var f channelFile
	if err := json.Unmarshal(data, &f); err != nil {
		return Release{}, err
	}
	if f.Channel != o.Name {
		return Release{}, fmt.Errorf("key \"channel\" says %.40q, want %q", f.Channel, o.Name)
	}
	rel := Release{
		Channel: o.Name, Digest: trust.DigestOf(data), Rollout: 100,
		Targets: map[string]Target{}, Floor: map[string]string{}, Requires: map[string][]Requirement{},
	}
	var ext channelExtension
	if len(f.Castellan) > 0 {
		if err := json.Unmarshal(f.Castellan, &ext, json.RejectUnknownMembers(true)); err != nil {
			return Release{}, fmt.Errorf("key \"castellan\": %w", err)
		}
	}
	missing := map[string]error{}
	for name := range homeAssistantTargets {
		t, err := f.target(name, o)
		if err != nil {
			missing[name] = err
			continue
		}
		rel.Targets[name] = t
	}
	if err := ext.apply(&rel, o); err != nil {
		return Release{}, fmt.Errorf("key \"castellan\": %w", err)
	}
	wanted := o.Targets
	if wanted == nil {
		wanted = []string{"core"}
	}
	for _, name := range wanted {
		if _, ok := rel.Targets[name]; ok {
			continue
		}
		if err := missing[name]; err != nil {
			return Release{}, err
		}
		return Release{}, fmt.Errorf("no target %q; it has %s", name, strings.Join(slices.Sorted(maps.Keys(rel.Targets)), ", "))
	}
	rel.Bucket = bucket(o.Appliance, &rel)
	return rel, nil
}

// target finds one of Home Assistant's targets.
func (f *channelFile) target(name string, o ChannelOptions) (Target, error) {
	version := map[string]string{
		"supervisor": f.Supervisor, "cli": f.CLI, "dns": f.DNS, "audio": f.Audio, "multicast": f.Multicast, "observer": f.Observer,
	}[name]
	key := homeAssistantTargets[name]
	if name == "core" {
		machine := o.Machine
		if machine == "" {
			machine = "default"
		}
		var ok bool
		if version, ok = f.HomeAssistant[machine]; !ok && f.HomeAssistant != nil {
			return Target{}, fmt.Errorf("key \"homeassistant\" has no machine %q; it has %.600s", machine, strings.Join(slices.Sorted(maps.Keys(f.HomeAssistant)), ", "))
		}
		key += "." + machine
	}
	if version == "" {
		return Target{}, fmt.Errorf("key %q is missing", key)
	}
	template, ok := f.Images[name]
	if !ok {
		return Target{}, fmt.Errorf("key \"images.%s\" is missing", name)
	}
	// Only these two are substituted, core's by machine and the others' by architecture.
	placeholder, value := "{arch}", o.Arch
	if name == "core" {
		placeholder, value = "{machine}", o.Machine
	}
	if value == "" && strings.Contains(template, placeholder) {
		return Target{}, fmt.Errorf("key \"images.%s\" needs %s and the appliance's settings name none", name, placeholder)
	}
	image := strings.ReplaceAll(template, placeholder, value)
	if !imageName.MatchString(image) {
		return Target{}, fmt.Errorf("key \"images.%s\": %.200q is not an image name", name, image)
	}
	if !imageTag.MatchString(version) {
		return Target{}, fmt.Errorf("key %q: %.200q is not a version that can be an image's tag", key, version)
	}
	return Target{Reference: image + ":" + version, Version: version}, nil
}

// The forms of the OCI distribution specification. A bare name without a "/" is not taken: nobody should mean Docker
// Hub's library by a slip.
var (
	imageName = regexp.MustCompile(`^` + imageNameForm + `$`)
	imageTag  = regexp.MustCompile(`^` + imageTagForm + `$`)
	imageRef  = regexp.MustCompile(`^(` + imageNameForm + `)(:` + imageTagForm + `)?(@sha256:[0-9a-f]{64})?$`)
)

const (
	imageNameForm = `[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*){1,16}`
	imageTagForm  = `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
)
