package lifecycle

import (
	"fmt"
	"strings"
	"testing"
)

func TestTokenFindsItsAddonOnly(t *testing.T) {
	w := newWorld(t)
	w.installed()
	token := w.record(radio).Token
	if c, ok := w.m.ByToken(token); !ok || c.Slug != radio || c.Token != token || c.Manifest.Name != "radio" {
		t.Error(c, ok)
	}
	for _, bad := range []string{"", token[1:], token + "0", strings.Repeat("0", len(token))} {
		if c, ok := w.m.ByToken(bad); ok {
			t.Errorf("token %q is taken for that of %s", bad, c.Slug)
		}
	}
	twin := w.record(radio)
	twin.Slug = "core_twin"
	w.m.records["core_twin"] = twin
	if c, ok := w.m.ByToken(token); ok {
		t.Errorf("two have the token, and it is taken for that of %s", c.Slug)
	}
	delete(w.m.records, "core_twin")
	if _, err := w.m.Uninstall(ctx, radio, KeepData); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.m.ByToken(token); ok {
		t.Error("an add-on that is being removed is let in")
	}
}

// many is an appliance with n add-ons.
func many(t testing.TB, n int) *world {
	w := newWorld(t)
	for i := range n {
		name := fmt.Sprintf("app%d", i)
		w.offer(name, config(name, "1"))
		if _, err := w.m.Install(ctx, "core_"+name, nil); err != nil {
			t.Fatal(err)
		}
		w.settle()
	}
	w.rest()
	return w
}

// TestATokenThatIsNobodysCostsNothing: no manifest is parsed and nobody is asked for it.
func TestATokenThatIsNobodysCostsNothing(t *testing.T) {
	w := many(t, 30)
	bad := newToken()
	w.stood = func() { t.Error("the supervisor is asked") }
	if n := testing.AllocsPerRun(20, func() {
		if _, ok := w.m.ByToken(bad); ok {
			t.Error("it is taken for somebody's")
		}
	}); n > 60 {
		t.Errorf("%.0f allocations for 30 add-ons: something is parsed", n)
	}
}

func BenchmarkByToken(b *testing.B) {
	w := many(b, 30)
	for name, token := range map[string]string{"nobody": newToken(), "somebody": w.record("core_app7").Token} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.m.ByToken(token)
			}
		})
	}
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.m.Callers()
		}
	})
}
