package lifecycle

import (
	"strings"
	"testing"
)

func TestTwoAddonsHaveNoHostNameInCommon(t *testing.T) {
	w := newWorld(t)
	for _, slug := range []string{"my_tv", "my-tv", "My_TV", "my_tv2"} {
		raw := strings.Replace(string(config(slug, "1")), "addons/"+slug, "addons/x", 1)
		w.offer(slug, []byte(raw))
		w.offer(slug+"_made", []byte(strings.Replace(raw, "image: ", "url: https://", 1)))
	}
	for _, slug := range []string{"core_my_tv", "core_my_tv2"} { // one that only resembles it
		if _, err := w.m.Install(ctx, slug, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.m.Build(ctx, "core_my_tv_made", nil); err != nil {
		t.Fatal(err)
	}
	w.calls = nil
	for slug, do := range map[string]func(slug string) (string, error){
		"core_my-tv":      func(slug string) (string, error) { return w.m.Install(ctx, slug, nil) },
		"core_My_TV":      func(slug string) (string, error) { return w.m.Install(ctx, slug, nil) },
		"core_my-tv_made": func(slug string) (string, error) { return w.m.Build(ctx, slug, nil) },
	} {
		if _, err := do(slug); err == nil || !strings.Contains(err.Error(), "that of add-on core_my_tv") || len(w.calls) > 0 {
			t.Errorf("%s: %v after %v", slug, err, w.calls)
		}
	}
	w.rest()
	if _, err := w.m.Uninstall(ctx, "core_my_tv", KeepData); err != nil {
		t.Fatal(err)
	}
	w.rest()
	if _, err := w.m.Install(ctx, "core_my-tv", nil); err != nil {
		t.Errorf("after the first is gone: %v", err)
	}
}
