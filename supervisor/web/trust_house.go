package web

import "github.com/castellan/castellan/supervisor/api"

// houseForm is what somebody typed to give his own word, with what was wrong.
type houseForm struct {
	Say      string // accept, withdraw
	Service  string
	Why      string
	Severity string
	Fault    *fault
}

func (v *visit) postHouseInit() (answer, error) {
	if _, err := v.api.InitHouse(v.ctx()); err != nil {
		return v.again("/ui/trust/publishers", err)
	}
	return v.done("/ui/trust/publishers", "trust.house_made")
}

// postHouseAccept vouches for what a service would run now.
func (v *visit) postHouseAccept() (answer, error) {
	f := houseForm{Say: "accept", Service: v.form("service"), Why: v.form("why")}
	_, err := v.api.AcceptHouse(v.ctx(), api.HouseRequest{Service: f.Service, Why: f.Why})
	return v.houseSaid(f, err, "trust.house_accepted")
}

// postHouseWithdraw takes back what a service runs.
func (v *visit) postHouseWithdraw() (answer, error) {
	f := houseForm{Say: "withdraw", Service: v.form("service"), Why: v.form("why"), Severity: v.form("severity")}
	_, err := v.api.WithdrawHouse(v.ctx(), api.HouseRequest{Service: f.Service, Why: f.Why, Severity: f.Severity})
	return v.houseSaid(f, err, "trust.house_withdrawn")
}

// houseSaid goes on after the owner's word, or shows the form again with what was typed.
func (v *visit) houseSaid(f houseForm, err error, key string) (answer, error) {
	if err != nil {
		f.Fault = v.failOf(err)
		return v.publishersPage(f)
	}
	return v.done("/ui/trust/publishers", key, v.called(f.Service, ""))
}
