package web

import (
	"regexp"
	"strings"
)

// called is what people call a service: an add-on by its name, core by the house's word for it.
func (v *visit) called(service, slug string) string {
	if slug == "" {
		slug, _ = strings.CutPrefix(service, "addon_")
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

// names looks up an add-on's name. The list is asked for once, and again when a name is not in it: a stream lives longer than
// a page.
func (v *visit) names(slug string) string {
	if name, ok := v.named[slug]; ok {
		return name
	}
	if v.named == nil {
		v.named = map[string]string{}
	}
	list, err := v.api.Addons(v.ctx(), false)
	if err != nil {
		return "" // the slug serves
	}
	for _, a := range list.Addons {
		v.named[a.Slug] = a.Name
	}
	if _, ok := v.named[slug]; !ok {
		v.named[slug] = ""
	}
	return v.named[slug]
}
