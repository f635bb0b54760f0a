package updater

import "fmt"

// at is the same repository at another version. The digest was promised for this version only and is dropped. The
// version becomes the tag, so it must be one.
func (t Target) at(version string) (Target, error) {
	m := imageRef.FindStringSubmatch(t.Reference)
	if m == nil {
		return t, fmt.Errorf("its image reference %.200q is not of the form registry/repository:tag; correct the settings", t.Reference)
	}
	if !imageTag.MatchString(version) {
		return t, fmt.Errorf("version %.128q can't be an image's tag; ask for a version its repository has", version)
	}
	return Target{Reference: m[1] + ":" + version, Version: version}, nil
}
