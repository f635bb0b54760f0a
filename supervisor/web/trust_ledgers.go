package web

import (
	"net/http"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// ledgerRow is a ledger in words.
type ledgerRow struct {
	api.LedgerView
	Word, Tone         string
	WarnAfter, MostAge string // durations in words
}

// Icon is the sign beside the word.
func (l ledgerRow) Icon() string { return toneIcon(l.Tone) }

// Icon is the sign beside the word.
func (l ledgerTile) Icon() string { return toneIcon(l.Tone) }

func toneIcon(tone string) string {
	switch tone {
	case "ok":
		return "circle-check"
	case "bad":
		return "circle-x"
	case "info":
		return "circle-help"
	}
	return "triangle-alert"
}

// span is a number of seconds in words: in days when it is some.
func (v *visit) span(seconds int64) string {
	if d := time.Duration(seconds) * time.Second; d < 48*time.Hour {
		return v.ui.in(v.lang).lasts(d)
	}
	return v.say("trust.span_days", seconds/(24*3600))
}

func (v *visit) ledgers() (answer, error) {
	list, err := v.api.Ledgers(v.ctx())
	if err != nil {
		return answer{}, err
	}
	var rows []ledgerRow
	for _, l := range list.Ledgers {
		w := ledgerWords[ledgerWord(l.State, l.Agreement)]
		rows = append(rows, ledgerRow{l, w.word, w.tone, v.span(l.Warn), v.span(l.Most)})
	}
	return show("ledgers", rows)
}

// publishersPage are those whose word counts, what services are bound to, and the owner's own words.
type publishersPage struct {
	List      []publisherRow
	NoList    *fault
	Error     string
	Pins      []named[api.Pin]
	NoPins    *fault
	House     *api.HouseList
	NoHouse   *fault
	Services  []logService
	HouseForm houseForm
}

// publisherRow is a publisher with its services as people call them.
type publisherRow struct {
	api.PublisherView
	Voice    string
	Services []string
}

func (v *visit) publishers() (answer, error) { return v.publishersPage(houseForm{}) }

func (v *visit) publishersPage(form houseForm) (answer, error) {
	p := publishersPage{HouseForm: form}
	labels := map[string]string{}
	list, err := v.api.Publishers(v.ctx())
	p.NoList, p.Error = v.failOf(err), list.Error
	for _, one := range list.Publishers {
		row := publisherRow{PublisherView: one, Voice: one.Label}
		labels[one.ID] = one.Label
		for _, s := range one.Services {
			row.Services = append(row.Services, v.called(s.Service, s.Slug))
		}
		p.List = append(p.List, row)
	}
	pins, err := v.api.Pins(v.ctx())
	p.NoPins = v.failOf(err)
	for _, pin := range pins.Pins {
		p.Pins = append(p.Pins, named[api.Pin]{pin, v.called(pin.Service, "")})
	}
	house, err := v.api.House(v.ctx())
	if p.NoHouse = v.failOf(err); err == nil {
		p.House = &house
	}
	if s, err := v.status(); err == nil { // without it nothing can be chosen
		for _, one := range s.Services {
			p.Services = append(p.Services, logService{one.Name, v.called(one.Name, one.Slug)})
		}
	}
	a := answer{view: "publishers", data: p}
	if form.Fault != nil {
		a.status = http.StatusUnprocessableEntity
	}
	return a, nil
}

// forgetPage asks whether a service is to be unbound from its publisher.
type forgetPage struct {
	Pin   api.Pin
	Name  string
	Label string
}

func (v *visit) forget() (answer, error) {
	pins, err := v.api.Pins(v.ctx())
	if err != nil {
		return answer{}, err
	}
	for _, p := range pins.Pins {
		if p.Service == v.query("service") {
			return show("forget", forgetPage{Pin: p, Name: v.called(p.Service, "")})
		}
	}
	return seeOther("/ui/trust/publishers"), nil // somebody else forgot it
}

func (v *visit) postForget() (answer, error) {
	service := v.form("service")
	if err := v.api.Forget(v.ctx(), service); err != nil {
		return v.again("/ui/trust/publishers", err)
	}
	return v.done("/ui/trust/publishers", "trust.forgotten", v.called(service, ""))
}
