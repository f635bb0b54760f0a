package archive

import (
	"cmp"
	"slices"
)

// Keep says how many backups of a kind stay, 0 = all. The owner's own always do.
type Keep struct {
	BeforeUpdate int // of each service
	Scheduled    int
}

// DefaultKeep is what is kept when nobody says otherwise.
var DefaultKeep = Keep{BeforeUpdate: 3, Scheduled: 7}

// Surplus names the backups that may be removed, oldest first: the newest ones of each kind stay. Items with a problem are
// no backups to it; they neither count nor go.
func Surplus(list []Item, k Keep) (slugs []string) {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b Item) int {
		return cmp.Or(b.Date.Compare(a.Date), cmp.Compare(a.Slug, b.Slug))
	})
	type group struct {
		origin  Origin
		service string
	}
	have := map[group]int{}
	for _, i := range sorted {
		g, most := group{origin: i.Origin}, 0
		switch {
		case i.Problem != nil:
		case i.Origin == BeforeUpdate && i.Service != "":
			g.service, most = i.Service, k.BeforeUpdate
		case i.Origin == Scheduled:
			most = k.Scheduled
		}
		if most <= 0 {
			continue
		}
		if have[g]++; have[g] > most {
			slugs = append(slugs, i.Slug)
		}
	}
	slices.Reverse(slugs)
	return slugs
}
