package lifecycle

import (
	"errors"
	"testing"
)

func TestPagesStayWhereTheyAre(t *testing.T) {
	w := newWorld(t)
	w.offer("radio", config("radio", "1", "ingress: true", "ingress_port: 0"))
	w.offer("plain", config("plain", "1"))
	for _, slug := range []string{radio, "core_plain"} {
		if _, err := w.m.Install(ctx, slug, nil); err != nil {
			t.Fatal(err)
		}
		w.settle()
	}
	w.rest()
	first, err := w.m.Ingress(radio)
	if err != nil || len(first.Token) != 43 || first.Port < 62000 {
		t.Fatal(first, err)
	}
	if slug, ok := w.m.ByIngress(first.Token); !ok || slug != radio {
		t.Error(slug, ok)
	}
	for _, bad := range []string{"", first.Token[1:], first.Token + "A", w.record(radio).Token} {
		if slug, ok := w.m.ByIngress(bad); ok {
			t.Errorf("token %q is taken for that of %s", bad, slug)
		}
	}
	if _, err := w.m.Ingress("core_plain"); !errors.Is(err, ErrNoPages) {
		t.Error("one without pages:", err)
	}
	if _, err := w.m.Ingress("core_absent"); !errors.Is(err, ErrNotInstalled) {
		t.Error("one that is not there:", err)
	}
	yes := true
	if _, err := w.m.Configure(ctx, radio, Patch{Panel: &yes}); err != nil || !w.record(radio).Settings.Panel {
		t.Error("its pages get no place:", err)
	}
	if _, err := w.m.Configure(ctx, "core_plain", Patch{Panel: &yes}); err == nil || w.record("core_plain").Settings.Panel {
		t.Error("one without pages gets a place for them:", err)
	}
	w.boot()
	if again, err := w.m.Ingress(radio); err != nil || again != first {
		t.Errorf("after a start: %v %v, want %v", again, err, first)
	}
	if _, err := w.m.Uninstall(ctx, radio, KeepData); err != nil {
		t.Fatal(err)
	}
	if slug, ok := w.m.ByIngress(first.Token); ok {
		t.Errorf("the pages of %s are shown while it is removed", slug)
	}
}
