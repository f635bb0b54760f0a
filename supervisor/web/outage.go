package web

import "github.com/castellan/castellan/supervisor/api"

// outage is something that the whole house stands on and that is away. Each page says so, because on a phone, and on a page
// that was opened by its address, nothing else does.
type outage struct {
	Code string // of the texts in the room "down"
	Icon string
	Live bool // the page is read anew as a whole when it is over
}

// roomLeft is how little storage counts as none: a record, an image's list of files and a session need more.
const roomLeft = 8 << 20

// outageOf is the worst that holds, "" = nothing is away.
func outageOf(s api.Status) string {
	switch {
	case s.Engine.Error != "":
		return "engine_away"
	case s.Storage.Total > 0 && s.Storage.Free < min(roomLeft, s.Storage.Total/10):
		return string(StorageFull)
	case s.Ledger.Error != "":
		return "ledger_away"
	}
	return ""
}

// outageIcons are the pictures of outages.
var outageIcons = map[string]string{"engine_away": "triangle-alert", "storage_full": "hard-drive", "ledger_away": "shield-question-mark"}

// Outage is what this page has to say of the house, nil = nothing, or it says so itself.
func (h head) Outage() *outage {
	if !h.In() {
		return nil
	}
	s, err := h.v.status()
	if err != nil {
		return nil // the menu says that nothing is known
	}
	code := outageOf(s)
	if f, ok := h.D.(fault); code == "" || ok && f.Code == code {
		return nil
	}
	if p, ok := h.D.(helpPage); ok && p.Code == code {
		return nil
	}
	if mood := moodOf(s).word; h.Room == "overview" && (code == "engine_away" && mood == "engine" || code == "ledger_away" && mood == "ledger") {
		return nil
	}
	return &outage{Code: code, Icon: outageIcons[code], Live: h.Live != ""}
}
