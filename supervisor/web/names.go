package web

import (
	"regexp"
	"strings"
	"time"
)

// called is what people call a service: an add-on by its name, core by the house's word for it.
func (v *visit) called(service, slug string) string {
	if slug == "" {
		slug, _ = strings.CutPrefix(service, "addon_")
	}
	if s, err := v.status(); err == nil { // it is asked for anyway
		for _, one := range s.Services {
			if one.Slug == slug && one.Title != "" {
				return one.Title
			}
		}
	}
	if name := v.names(slug); name != "" {
		return name
	}
	if service == "core" || strings.HasPrefix(service, "core-") {
		return v.say("layout.core")
	}
	return withoutRepository.ReplaceAllString(slug, "")
}

// withoutRepository takes off a slug what the repository put before it.
var withoutRepository = regexp.MustCompile(`^(?:[0-9a-f]{8}|local|core)_`)

// namesKeep is for how long a list of names counts. A page is drawn in less; a stream lives longer.
const namesKeep = 2 * time.Second

// names looks up an add-on's name. The list is asked for once, whatever comes of it, and again after a while when a name is not
// in it.
func (v *visit) names(slug string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if name, ok := v.named[slug]; ok || !v.namedAt.IsZero() && v.since(v.namedAt) < namesKeep {
		return name
	}
	list, err := v.api.Addons(v.ctx(), false)
	v.namedAt = time.Now()
	if err != nil {
		return "" // the slug serves
	}
	if v.named == nil {
		v.named = map[string]string{}
	}
	for _, a := range list.Addons {
		v.named[a.Slug] = a.Name
	}
	return v.named[slug]
}

// learn keeps a name that an answer told beside what was asked.
func (v *visit) learn(slug, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.named == nil {
		v.named = map[string]string{}
	}
	v.named[slug] = name
}
