package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/castellan/castellan/supervisor"
)

// TestTheListOfOneServiceInspectsItsContainersOnly: with thirty add-ons a look would take a thousand requests otherwise.
func TestTheListOfOneServiceInspectsItsContainersOnly(t *testing.T) {
	const n = 30
	var requests atomic.Int64
	host := fakeEngine(t, func(w http.ResponseWriter, r *http.Request) {
		if pong(w, r, "1.41") {
			return
		}
		requests.Add(1)
		if !strings.HasSuffix(r.URL.Path, "/containers/json") {
			name := path.Base(path.Dir(r.URL.Path))
			fmt.Fprintf(w, `{"Id":%q,"Name":"/%s","Image":"sha256:%064d","State":{"Running":true},"HostConfig":{},
				"Config":{"Labels":{"io.castellan.appliance":"h","io.castellan.service":%q}}}`, name, name, 0, name)
			return
		}
		var asked struct{ Label map[string]bool }
		if err := json.Unmarshal([]byte(r.URL.Query().Get("filters")), &asked); err != nil || !asked.Label[supervisor.LabelHouse+"=h"] {
			t.Errorf("asked for %s: %v", r.URL.RawQuery, err)
		}
		var out []map[string]any
		for i := range n {
			name := fmt.Sprintf("addon_%d", i)
			if len(asked.Label) == 1 || asked.Label[supervisor.LabelService+"="+name] {
				out = append(out, map[string]any{"Id": name})
			}
		}
		_ = json.NewEncoder(w).Encode(out) // the client says when it is cut off
	})
	e, err := New(Config{Host: host, House: "h"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() }) // only its connections
	for service, want := range map[string]int64{"": 1 + n, "addon_3": 2, "addon_none": 1} {
		requests.Store(0)
		list, err := e.List(t.Context(), service)
		if got := requests.Load(); err != nil || got != want || int64(len(list)) != want-1 {
			t.Errorf("of %q: %d containers with %d requests, want %d: %v", service, len(list), got, want, err)
		}
	}
}
