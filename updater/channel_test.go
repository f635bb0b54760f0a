package updater

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/castellan/castellan/trust"
)

// stable is a channel file in the shape of Home Assistant's, with %s in place of what follows the images.
const stableFormat = `{
  "channel": "stable",
  "supervisor": "2026.07.5",
  "homeassistant": {"default": "2026.8.3", "qemux86-64": "2026.8.3", "raspberrypi4-64": "2026.8.3", "raspberrypi4": "2025.11.3"},
  "hassos": {"ova": "18.2", "rpi4-64": "18.2"},
  "hassos-upgrade": {"15": "15.2"},
  "ota": "https://artifacts.example/{version}/{os_name}_{board}-{version}.raucb",
  "cli": "2026.06.0", "dns": "2026.02.0", "audio": "2026.02.0", "multicast": "2026.08.0", "observer": "2026.08.0",
  "a key of next year": [1, {"x": null}],
  "images": {
    "core": "ghcr.io/home-assistant/{machine}-homeassistant",
    "supervisor": "ghcr.io/home-assistant/{arch}-hassio-supervisor",
    "cli": "ghcr.io/home-assistant/{arch}-hassio-cli",
    "audio": "ghcr.io/home-assistant/{arch}-hassio-audio",
    "dns": "ghcr.io/home-assistant/{arch}-hassio-dns",
    "observer": "ghcr.io/home-assistant/{arch}-hassio-observer",
    "multicast": "ghcr.io/home-assistant/{arch}-hassio-multicast"
  }%s
}`

var (
	stable = fmt.Sprintf(stableFormat, "")
	pi4    = ChannelOptions{Name: "stable", Machine: "raspberrypi4-64", Arch: "aarch64"}
	shaA   = "sha256:" + strings.Repeat("a", 64)
	shaB   = "sha256:" + strings.Repeat("b", 64)
)

func withExtension(ext string) []byte {
	return []byte(fmt.Sprintf(stableFormat, `, "castellan": `+ext))
}

func TestHomeAssistantChannelIsReadAsItIs(t *testing.T) {
	rel, err := ParseChannel([]byte(stable), pi4)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Target{
		"core":       {Reference: "ghcr.io/home-assistant/raspberrypi4-64-homeassistant:2026.8.3", Version: "2026.8.3"},
		"supervisor": {Reference: "ghcr.io/home-assistant/aarch64-hassio-supervisor:2026.07.5", Version: "2026.07.5"},
		"cli":        {Reference: "ghcr.io/home-assistant/aarch64-hassio-cli:2026.06.0", Version: "2026.06.0"},
		"dns":        {Reference: "ghcr.io/home-assistant/aarch64-hassio-dns:2026.02.0", Version: "2026.02.0"},
		"audio":      {Reference: "ghcr.io/home-assistant/aarch64-hassio-audio:2026.02.0", Version: "2026.02.0"},
		"multicast":  {Reference: "ghcr.io/home-assistant/aarch64-hassio-multicast:2026.08.0", Version: "2026.08.0"},
		"observer":   {Reference: "ghcr.io/home-assistant/aarch64-hassio-observer:2026.08.0", Version: "2026.08.0"},
	}
	if d := cmp.Diff(want, rel.Targets); d != "" {
		t.Error(d)
	}
	if rel.Digest != trust.DigestOf([]byte(stable)) || rel.Rollout != 100 || rel.Together || rel.Verified || rel.Channel != "stable" {
		t.Errorf("%+v", rel)
	}
	old := pi4
	old.Machine = "raspberrypi4"
	if rel, err = ParseChannel([]byte(stable), old); err != nil || rel.Targets["core"].Version != "2025.11.3" {
		t.Errorf("a frozen machine: %v %v", rel.Targets["core"], err)
	}
}

func TestChannelExtensionIsRead(t *testing.T) {
	data := withExtension(`{
	  "targets": {"demo": {"reference": "127.0.0.1:5000/castellan/demo", "version": "1.2.0"},
	              "pinned": {"reference": "registry.example/x/y@` + shaB + `", "version": "7"}},
	  "digests": {"core": "` + shaA + `", "core/raspberrypi4-64": "` + shaB + `", "core/green": "` + shaA + `", "dns/aarch64": "` + shaA + `"},
	  "requires": {"core": [{"target": "supervisor", "version": "2026.07.0"}]},
	  "floors": {"core": "2026.6.0"}, "rollout": 25, "together": true}`)
	rel, err := ParseChannel(data, pi4)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rel.Targets["demo"], (Target{Reference: "127.0.0.1:5000/castellan/demo:1.2.0", Version: "1.2.0"}); got != want {
		t.Errorf("demo: %v", got)
	}
	if got := rel.Targets["pinned"]; got.Digest != trust.Digest(shaB) {
		t.Errorf("pinned: %v", got)
	}
	if got := rel.Targets["core"].Digest; got != trust.Digest(shaB) {
		t.Errorf("the digest for this machine must win, got %s", got)
	}
	if got := rel.Targets["dns"].Digest; got != trust.Digest(shaA) {
		t.Errorf("the digest for this architecture: %s", got)
	}
	if d := cmp.Diff(map[string][]Requirement{"core": {{"supervisor", "2026.07.0"}}}, rel.Requires); d != "" {
		t.Error(d)
	}
	if rel.Floor["core"] != "2026.6.0" || rel.Rollout != 25 || !rel.Together {
		t.Errorf("%+v", rel)
	}
}

func TestBadChannelFilesAreRefusedByKey(t *testing.T) {
	replace := func(old, new string) []byte { return []byte(strings.Replace(stable, old, new, 1)) }
	for _, c := range []struct {
		name string
		data []byte
		o    ChannelOptions
		want string
	}{
		{"empty", nil, pi4, "EOF"},
		{"captive portal", []byte("<html>sign in</html>"), pi4, "invalid character '<'"},
		{"cut", []byte(stable[:200]), pi4, "EOF"},
		{"rubbish behind", []byte(stable + "{}"), pi4, "after top-level value"},
		{"too big", []byte(stable + strings.Repeat(" ", MaxChannelBytes)), pi4, "at most 1048576"},
		{"other channel", []byte(stable), ChannelOptions{Name: "beta", Machine: "green"}, `key "channel" says "stable", want "beta"`},
		{"unknown machine", []byte(stable), ChannelOptions{Name: "stable", Machine: "toaster"}, `has no machine "toaster"`},
		{"no machine set", []byte(stable), ChannelOptions{Name: "stable"}, "needs {machine}"},
		{"duplicate key", replace(`"supervisor"`, `"channel": "stable", "supervisor"`), pi4, "duplicate"},
		{"duplicate machine", replace(`"default"`, `"raspberrypi4-64"`), pi4, "duplicate"},
		{"no versions of core", replace(`"homeassistant":`, `"homeAssistant":`), pi4, `"homeassistant.raspberrypi4-64" is missing`},
		{"no image of core", replace(`"core": "ghcr`, `"Core": "ghcr`), pi4, `"images.core" is missing`},
		{"image is no name", replace(`ghcr.io/home-assistant/{machine}`, `https://evil/{machine}`), pi4, "is not an image name"},
		{"other placeholder", replace(`{machine}`, `{mashine}`), pi4, "is not an image name"},
		{"version is no tag", replace(`"raspberrypi4-64": "2026.8.3"`, `"raspberrypi4-64": "2026.8.3@sha256:x"`), pi4, "can be an image's tag"},
		{"wrong type", replace(`"2026.07.5"`, `7`), pi4, "/supervisor"},
		{"a wanted target is missing", replace(`"dns": "2026.02.0"`, `"dns": ""`), ChannelOptions{Name: "stable", Machine: "green", Targets: []string{"dns"}}, `key "dns" is missing`},
		{"a wanted target nobody has", []byte(stable), ChannelOptions{Name: "stable", Machine: "raspberrypi4-64", Arch: "aarch64", Targets: []string{"zigbee"}}, `no target "zigbee"`},
		{"extension: unknown key", withExtension(`{"rollOut": 10}`), pi4, "rollOut"},
		{"extension: duplicate", withExtension(`{"rollout": 10, "rollout": 100}`), pi4, "duplicate"},
		{"extension: wrong type", withExtension(`[]`), pi4, `key "castellan"`},
		{"extension: 101 percent", withExtension(`{"rollout": 101}`), pi4, `"rollout"`},
		{"extension: digest", withExtension(`{"digests": {"core": "sha256:ABC"}}`), pi4, `"digests.core"`},
		{"extension: two digests", withExtension(`{"targets": {"x": {"reference": "r.example/x@` + shaA + `", "version": "1"}}, "digests": {"x": "` + shaB + `"}}`), pi4, `"digests.x" says`},
		{"extension: reference", withExtension(`{"targets": {"x": {"reference": "-", "version": "1"}}}`), pi4, `"targets.x.reference"`},
		{"extension: version", withExtension(`{"targets": {"x": {"reference": "r.example/x"}}}`), pi4, `"targets.x.version"`},
		{"extension: target name", withExtension(`{"targets": {"../x": {"reference": "r.example/x", "version": "1"}}}`), pi4, `"targets"`},
		{"extension: requirement", withExtension(`{"requires": {"core": [{"target": "supervisor", "version": "soon"}]}}`), pi4, `"requires.core[0]"`},
		{"extension: floor", withExtension(`{"floors": {"core": "old"}}`), pi4, `"floors.core"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			rel, err := ParseChannel(c.data, c.o)
			if err == nil {
				t.Fatalf("accepted: %+v", rel)
			}
			if !errors.Is(err, ErrChannel) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "correct the settings") {
				t.Errorf("error %q does not say %q and the next step", err, c.want)
			}
		})
	}
}

func TestRolloutGrowsWithoutSwappingHomes(t *testing.T) {
	in := map[int]int{}
	for i := range 2000 {
		o := pi4
		o.Appliance = fmt.Sprintf("home-%d", i)
		small, err := ParseChannel(withExtension(`{"rollout": 10}`), o)
		if err != nil {
			t.Fatal(err)
		}
		big, err := ParseChannel(withExtension(`{"rollout": 40, "floors": {"core": "1"}}`), o)
		if err != nil {
			t.Fatal(err)
		}
		if small.Bucket != big.Bucket {
			t.Fatal("the place in the rollout changed with the percentage")
		}
		for _, r := range []Release{small, big} {
			if r.Bucket < r.Rollout {
				in[r.Rollout]++
			}
		}
	}
	if in[10] < 140 || in[10] > 260 || in[40] < 700 || in[40] > 900 {
		t.Errorf("of 2000 homes 10 %% are %d and 40 %% are %d", in[10], in[40])
	}
}

func FuzzParseChannel(f *testing.F) {
	f.Add([]byte(stable))
	f.Add(withExtension(`{"targets": {"x": {"reference": "r.example/x:1@` + shaA + `", "version": "1"}}, "rollout": 0}`))
	f.Add([]byte(`{"channel":"stable","castellan":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rel, err := ParseChannel(data, pi4)
		if err != nil {
			if !errors.Is(err, ErrChannel) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		for name, target := range rel.Targets {
			if !imageRef.MatchString(target.Reference) || target.Version == "" || name == "" {
				t.Fatalf("target %q: %+v", name, target)
			}
		}
		if _, ok := rel.Targets["core"]; !ok || rel.Rollout < 0 || rel.Rollout > 100 {
			t.Fatalf("%+v", rel)
		}
	})
}
