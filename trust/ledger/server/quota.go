package server

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/castellan/castellan/trust"
)

// strangers is the account of all publishers that nobody allowed, together: new ones cost nothing to make.
const (
	strangers       = "*"
	strangersFactor = 16
)

// quota bounds what strangers may write to an open ledger in a day, each and together.
func (g *gate) quota(sub *submission) error {
	if !g.policy.open || len(sub.fresh) == 0 {
		return nil
	}
	root, _ := g.root()
	bytes := map[string]int64{}
	for i, e := range sub.entries {
		id := strings.Split(sub.fresh[i], "/")[1]
		if !g.allowed(id, root) {
			bytes[id] += int64(len(e.Value))
			bytes[strangers] += int64(len(e.Value))
		}
	}
	return g.within(bytes)
}

// within tells whether publishers may write so many bytes more today.
func (g *gate) within(bytes map[string]int64) error {
	today := g.policy.now().Unix() / 86400
	for id, n := range bytes {
		limit := g.policy.dailyBytes
		if id == strangers {
			limit *= strangersFactor
		}
		if g.day == today {
			n += g.used[id]
		}
		if n > limit {
			return refuse(http.StatusTooManyRequests, "publisher", "try again tomorrow (UTC), or ask the operator for `--allow`",
				"cannot accept this: publisher %s would have written %d bytes today, the limit is %d", id, n, limit)
		}
	}
	return nil
}

// spend books bytes that are in the ledger; only the current day is kept.
func (g *gate) spend(id string, n int64, at time.Time) {
	day := at.Unix() / 86400
	if day > g.day {
		g.day = day
		clear(g.used)
	}
	if day < g.day {
		return
	}
	g.used[id] += n
	root, _ := g.root()
	if !g.allowed(id, root) {
		g.used[strangers] += n
	}
}

// takeFile tells whether a channel file may be stored: a publisher who may write has notarized it. What strangers store
// counts against their bytes of the day: a record of a few hundred bytes must not be the right to a megabyte.
func (g *gate) takeFile(d trust.Digest, size int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	by := g.files[d]
	root, _ := g.root()
	switch {
	case slices.ContainsFunc(by, func(id string) bool { return g.allowed(id, root) }):
		return nil
	case len(by) == 0 || !g.policy.open:
		return refuse(http.StatusForbidden, "body", "notarize the channel file first, with `cas channel`",
			"cannot accept file %s: no channel notarization by a publisher who may write here names it", d)
	}
	if err := g.within(map[string]int64{by[0]: size, strangers: size}); err != nil {
		return err
	}
	g.spend(by[0], size, g.policy.now())
	return nil
}
