package web

import (
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// tiles are how trust stands, in four words. What can't be asked for is told as not known; the others are there all the same.
type tiles struct {
	Ledger      ledgerTile
	Images      *api.Judgement // nil = not known
	Overrides   []named[api.OverrideState]
	Revocations []named[api.Revocation]
	NoOverrides bool // not known
	NoPublish   bool // likewise
}

// named is something about a service, with what people call it.
type named[T any] struct {
	It   T
	Name string
}

// ledgerTile is the worst that holds of the ledgers.
type ledgerTile struct {
	Word  string // agreed, unheard, stale, expired, empty, forked
	Tone  string // ok, info, warn, bad
	Count uint64 // of the root's
	Time  time.Time
	More  int // ledgers beside it
}

// ledgerWords are from the best to the worst.
var ledgerWords = []struct{ word, tone string }{{"agreed", "ok"}, {"unheard", "info"}, {"stale", "warn"}, {"empty", "warn"}, {"expired", "warn"}, {"forked", "bad"}}

// ledgerWord is how a ledger stands in a word, and how bad that is. That its mirrors are away is an outage: never "bad".
func ledgerWord(state, agreement string) int {
	word := "agreed"
	switch {
	case state == "quarantined" || agreement == "forked":
		word = "forked"
	case state != "fresh":
		word = state
	case agreement == "unheard":
		word = "unheard"
	}
	for i, w := range ledgerWords {
		if w.word == word {
			return i
		}
	}
	return 1 // a newer daemon's word
}

func (v *visit) tiles() tiles {
	var out tiles
	if list, err := v.api.Ledgers(v.ctx()); err == nil && len(list.Ledgers) > 0 {
		out.Ledger = ledgerTileOf(list.Ledgers)
	} else if s, err := v.status(); err == nil {
		out.Ledger = ledgerTileOf([]api.LedgerView{{LedgerStatus: s.Ledger}})
	}
	if j, err := v.api.Judged(v.ctx()); err == nil {
		out.Images = &j
	}
	list, err := v.api.Overrides(v.ctx())
	out.NoOverrides = err != nil
	for _, o := range list.Overrides {
		out.Overrides = append(out.Overrides, named[api.OverrideState]{o, v.called(o.Service, o.Slug)})
	}
	pubs, err := v.api.Publishers(v.ctx())
	out.NoPublish = err != nil
	for _, r := range pubs.Revocations {
		out.Revocations = append(out.Revocations, named[api.Revocation]{r, v.called(r.Service, r.Slug)})
	}
	return out
}

func ledgerTileOf(list []api.LedgerView) ledgerTile {
	worst := 0
	for _, l := range list {
		worst = max(worst, ledgerWord(l.State, l.Agreement))
	}
	w := ledgerWords[worst]
	return ledgerTile{Word: w.word, Tone: w.tone, Count: list[0].Count, Time: list[0].Time, More: len(list) - 1}
}

// Runs tells how many of the withdrawn images run now.
func (t tiles) Runs() (n int) {
	for _, r := range t.Revocations {
		if r.It.Where == "current" {
			n++
		}
	}
	return n
}
