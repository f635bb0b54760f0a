package lifecycle

import "testing"

func TestOnlyServicesOfAddonsHaveASlug(t *testing.T) {
	for service, want := range map[string]string{Service("core_mosquitto"): "core_mosquitto", "core": "", "addon": "", "my_addon_x": "", "": ""} {
		if slug, ok := Slug(service); slug != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", service, slug, ok, want)
		}
	}
}
