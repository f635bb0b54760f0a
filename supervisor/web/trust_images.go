package web

import (
	"github.com/castellan/castellan/supervisor/api"
)

// imagesPage are the images that run, as they were judged last, and what was decided otherwise.
type imagesPage struct {
	Judged     *api.Judgement
	JudgedErr  *fault
	Images     []imageRow
	Overrides  []named[api.OverrideState]
	Revoked    []named[api.Revocation]
	NoOverride *fault
	NoRevoked  *fault
	Labels     map[string]string // of publishers, by ID
}

// imageRow is an image in words.
type imageRow struct {
	api.JudgedImage
	Name  string
	Voice string // who vouches for it, as people say it
}

// images reads each part for itself: what can't be had says so in its place.
func (v *visit) images() (answer, error) {
	p := imagesPage{Labels: map[string]string{}}
	pubs, err := v.api.Publishers(v.ctx())
	p.NoRevoked = v.failOf(err)
	for _, pub := range pubs.Publishers {
		p.Labels[pub.ID] = pub.Label
	}
	for _, r := range pubs.Revocations {
		p.Revoked = append(p.Revoked, named[api.Revocation]{r, v.called(r.Service, r.Slug)})
	}
	list, err := v.api.Overrides(v.ctx())
	p.NoOverride = v.failOf(err)
	for _, o := range list.Overrides {
		p.Overrides = append(p.Overrides, named[api.OverrideState]{o, v.called(o.Service, o.Slug)})
	}
	j, err := v.api.Judged(v.ctx())
	if p.JudgedErr = v.failOf(err); p.JudgedErr == nil {
		p.Judged = &j
		for _, one := range j.Images {
			p.Images = append(p.Images, imageRow{one, v.called(one.Service, one.Slug), v.voice(one.Publisher, p.Labels)})
		}
	}
	return show("images", p)
}

// failOf is an error in words, nil for none.
func (v *visit) failOf(err error) *fault {
	if err == nil {
		return nil
	}
	f := v.fail(err)
	return &f
}

// voice is who vouches, as people say it: the owner, the project, or a publisher by the name it gives itself, which is no proof of
// anything; its ID is.
func (v *visit) voice(publisher string, labels map[string]string) string {
	switch publisher {
	case "":
		return ""
	case "you", "project":
		return v.say("trust.voice_" + publisher)
	}
	if l := labels[publisher]; l != "" {
		return l
	}
	return publisher
}
