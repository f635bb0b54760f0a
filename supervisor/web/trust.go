package web

import (
	"net/http"
	"slices"

	"github.com/castellan/castellan/supervisor/api"
)

// trustScreens are what was checked, what the ledger says, and forcing.
var trustScreens = slices.Concat([]screen{
	{"GET", "/ui/trust", api.Viewer, (*visit).trust},
	{"GET", "/ui/trust/images", api.Viewer, (*visit).images},
	{"GET", "/ui/trust/ledgers", api.Viewer, (*visit).ledgers},
	{"GET", "/ui/trust/publishers", api.Viewer, (*visit).publishers},
	{"GET", "/ui/trust/log/{seq}", api.Viewer, (*visit).record},
	{"GET", "/ui/trust/log/{seq}/text", api.Viewer, (*visit).recordText},
	{"GET", "/ui/trust/chain", api.Viewer, (*visit).chain},
	{"POST", "/ui/trust/verify", api.Viewer, (*visit).postVerify},
	{"GET", "/ui/trust/forget", api.Viewer, (*visit).forget},
	{"POST", "/ui/trust/forget", api.Viewer, (*visit).postForget},
	{"POST", "/ui/trust/house/init", api.Viewer, (*visit).postHouseInit},
	{"POST", "/ui/trust/house/accept", api.Viewer, (*visit).postHouseAccept},
	{"POST", "/ui/trust/house/withdraw", api.Viewer, (*visit).postHouseWithdraw},
}, forceScreens)

// trustPage is the room's first page: how things stand, and the log.
type trustPage struct {
	Tiles tiles
	Days  daysChart
	Log   logPage
}

func (v *visit) trust() (answer, error) {
	log, err := v.logPage()
	if err != nil {
		return answer{}, err
	}
	p := trustPage{Tiles: v.tiles(), Log: log}
	if log.Filter.whole() {
		p.Days = v.days()
	}
	return show("trust", p)
}

// postVerify has every installed image judged anew, and tells what came of it.
func (v *visit) postVerify() (answer, error) {
	to := v.back("/ui/trust/images")
	j, err := v.api.JudgeAll(v.ctx())
	if err != nil {
		return v.again(to, err)
	}
	switch {
	case j.Error != "":
		return v.again(to, &api.Error{Key: "integrity_error", Message: v.say("trust.verified_part", j.Verified, j.Installed), Next: j.Error})
	case j.Bad > 0:
		return v.again(to, &api.Error{Key: "refused", Message: v.say("trust.verified_bad", j.Bad), Next: v.say("trust.verified_bad_next")})
	}
	return v.done(to, "trust.verified", j.Verified, j.Installed)
}

// chain checks that no record of the log was altered, taken out or put in.
func (v *visit) chain() (answer, error) {
	r, err := v.api.VerifyLog(v.ctx())
	if err != nil {
		return answer{}, err
	}
	a := answer{view: "chain", data: r, status: http.StatusOK}
	return a, nil
}
