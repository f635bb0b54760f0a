package testenv

import (
	"os/exec"
	"testing"
)

func TestPrivateEngineLeavesNothingBehind(t *testing.T) {
	var dir, group, bridge string
	t.Run("run", func(t *testing.T) {
		d := PrivateEngine(t)
		dir, group, bridge = d.dir, d.group, d.bridge
		d.Kill()
		d.Start()
		d.Stop()
		d.Start()
		d.PowerCut()
		d.Start()
	})
	if dir == "" {
		t.SkipNow() // without an engine the part above said so
	}
	if left := append(processesOf(dir), membersOf(group)...); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	if exec.Command("ip", "link", "show", bridge).Run() == nil {
		t.Errorf("bridge %s is left", bridge)
	}
}

func TestImageIsWhatItsDigestsSay(t *testing.T) {
	reg := Registry(t)
	one := BuildImage(t, Build{Registry: reg})
	two := BuildImage(t, Build{Registry: reg, Tag: "2.0", Index: true})
	if one.Index != "" || one.Manifest == two.Manifest || one.Config == two.Config || two.Index == "" {
		t.Errorf("digests: %+v %+v", one, two)
	}
	if s := two.Subject("core", "addon"); len(s.Digests()) != 3 {
		t.Errorf("subject: %+v", s)
	}
}
