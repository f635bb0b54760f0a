package trust

import "strings"

// Roles of an image's subjects (TRUST.md §3.2): the classic image store of Docker names an image by its config, the
// containerd one by its manifest or index, so a notarization lists all three.
const (
	RoleIndex    = "index"
	RoleManifest = "manifest"
	RoleConfig   = "config"
)

func (n Notarization) checkSubjects() error {
	if len(n.Subjects) == 0 || len(n.Subjects) > MaxSubjects {
		return fieldError("subject", "%d subjects, want 1 to %d", len(n.Subjects), MaxSubjects)
	}
	switch n.Kind {
	case KindChannel, KindFile, KindDir, KindGit:
		if len(n.Subjects) != 1 {
			return fieldError("subject", "%d subjects, kind %q has exactly one", len(n.Subjects), n.Kind)
		}
	}
	seen := make(map[RecordSubject]bool, len(n.Subjects))
	for i, s := range n.Subjects {
		if err := n.checkSubject(s); err != nil {
			return fieldError("subject", "subject %d: %w", i, err)
		}
		if seen[s] {
			return fieldError("subject", "subject %d: %s stands there twice", i, s.Digest)
		}
		seen[s] = true
	}
	return nil
}

func (n Notarization) checkSubject(s RecordSubject) error {
	if err := checkText("name", s.Name, maxName); err != nil {
		return err
	}
	if n.Kind == KindPackage {
		if !strings.HasPrefix(s.Name, "pkg:") {
			return fieldError("name", "%.80q is not a package URL", s.Name)
		}
		if _, err := ParseAnyDigest(string(s.Digest)); err != nil {
			return err
		}
	} else if _, err := ParseDigest(string(s.Digest)); err != nil {
		return err
	}
	switch {
	case n.Kind == KindImage, n.Kind == KindSupervisor && s.Role != "":
		return checkRole(s)
	case n.Kind == KindSupervisor && s.Platform != "": // one program file per platform
		return checkPlatform("platform", s.Platform)
	case s.Role != "" || s.Platform != "":
		return fieldError("role", "role and platform belong to images, not to kind %q", n.Kind)
	}
	return nil
}

func checkRole(s RecordSubject) error {
	switch s.Role {
	case RoleIndex:
		if s.Platform != "" {
			return fieldError("platform", "an index has none, it stands for all")
		}
		return nil
	case RoleManifest, RoleConfig:
		return checkPlatform("platform", s.Platform)
	}
	return fieldError("role", "%.40q is not one of index, manifest, config", s.Role)
}
