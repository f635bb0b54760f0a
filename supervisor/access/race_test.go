package access

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestEverythingAtOnce is for the race detector, and holds that what was answered is what a restart finds.
func TestEverythingAtOnce(t *testing.T) {
	w, l := owned(t)
	bert := w.addUser("bert", Operator)
	ctx := t.Context()
	var wg sync.WaitGroup
	for i := range 4 {
		for _, do := range []func(j int){
			func(int) { _, _ = w.Session(l.Cookie) },
			func(int) { _, _ = w.Login(ctx, bert, home) },
			func(int) { _, _ = w.Login(ctx, Credentials{"bert", "wrong password"}, away) },
			func(j int) {
				text, info, err := w.AddToken("anna", fmt.Sprint(i, "-", j), Viewer, time.Time{})
				if err != nil {
					t.Error(err)
				}
				if _, err := w.Token(text); err != nil {
					t.Error(err)
				}
				want(t, w.RemoveToken("anna", info.ID), nil)
			},
			func(int) { _, _, _, _ = w.Users(), w.Sessions(""), w.Tokens(""), w.Closed() },
			func(j int) { _ = w.SetRole("bert", []Role{Viewer, Operator}[j%2]) },
			func(int) { w.clock.add(time.Minute); want(t, w.Tend(), nil) },
			func(int) { _, _ = w.EndSessions("bert", "") },
			func(int) { _, _ = w.SetupCode() },
		} {
			wg.Go(func() {
				for j := range 10 {
					do(j)
				}
			})
		}
	}
	wg.Wait()
	before := w.story()
	w.restart()
	if after := w.story(); after != before {
		t.Errorf("%q became %q", before, after)
	}
	w.wantSession(l.Cookie, nil)
}
