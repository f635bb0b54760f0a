package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// TestTheMenuCountsWhatThePageOfUpdatesLists: what its owner skipped, switched off or holds does not wait for him.
func TestTheMenuCountsWhatThePageOfUpdatesLists(t *testing.T) {
	answers := quiet()
	s := api.Status{State: "running", Ledger: api.LedgerStatus{State: "fresh", Time: time.Now()}}
	for i, code := range []string{"ask", "window", "skipped", "off", "hold", "unavailable", "detached", ""} {
		s.Services = append(s.Services, api.ServiceStatus{Name: fmt.Sprint("s", i), Class: "addon", State: "running", Badge: "verified", Version: "1", Available: "2", Code: code})
	}
	s.Services = append(s.Services, api.ServiceStatus{Name: "new", Class: "addon", State: "running", Badge: "verified", Version: "1"})
	answers["GET /castellan/status"] = s
	u, _ := fakeUI(t, "admin", answers)
	if page := get(u, "/ui/settings/about").Body.String(); !strings.Contains(page, ">3</b>") {
		t.Errorf("the menu does not count 3: %s", page[strings.Index(page, "<ul>"):strings.Index(page, "</nav>")])
	}
}

// TestCauses: the worst and a mistake in the configuration are never cut off, what is cut is counted, and each leads to where it is
// explained.
func TestCauses(t *testing.T) {
	s := api.Status{Config: api.ConfigStatus{Error: "line 3"}}
	for i := range 9 {
		s.Services = append(s.Services, api.ServiceStatus{Name: fmt.Sprint("addon_", i), Slug: fmt.Sprint(i), Title: "Lamp", Class: "addon", State: "running", Badge: "unsigned", Version: "1"})
	}
	s.Services = append(s.Services, api.ServiceStatus{Name: "addon_bad", Slug: "bad", Title: "Bad", Class: "addon", State: "running", Badge: "withdrawn", Version: "1"})
	u, _ := fakeUI(t, "admin", quiet())
	v := &visit{ui: u, lang: "en", asked: &answeredStatus{status: s}}
	list := v.causes(moodOf(s), s)
	if len(list) != mostCauses || list[0].Href != "/ui/trust?service=addon_bad#log" || !strings.Contains(list[1].Text, "configuration") || list[mostCauses-1].Text != "And 6 more" {
		t.Errorf("%+v", list)
	}
	s.Services = s.Services[:4]
	if list = v.causes(moodOf(s), s); len(list) != 5 {
		t.Errorf("of five there are %+v", list)
	}
}

func TestATokenIsForeverOnlyWhenThatIsAsked(t *testing.T) {
	u, f := fakeUI(t, "admin", quiet())
	for _, days := range []string{"", "ever", "-1"} {
		w := post(u, "/ui/settings/tokens", url.Values{"name": {"cellar"}, "role": {"viewer"}, "days": {days}})
		if w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%q days: %d", days, w.Code)
		}
	}
	for _, one := range f.asked {
		if one.call == "POST /castellan/tokens" {
			t.Errorf("a token is made of %s", one.body)
		}
	}
}
