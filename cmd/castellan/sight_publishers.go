package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
)

// mostWithdrawn bounds the withdrawals of one publisher that are shown.
const mostWithdrawn = 50

// Roles of a publisher, in the order in which they are shown.
var publisherRoles = []string{"core", "security", "house", "named", "pinned"}

// publisherSight gathers whose word counts for what.
type publisherSight struct {
	h        *house
	services []supervisor.Status
	rows     map[string]*api.PublisherView
	ledgers  []trust.Evidence // those that judge something here, the root's first
	origins  []string         // of these
	asked    map[string]bool  // ledgers and repositories whose words were read
	chains   map[string][]trust.PlacedPublisher
	errs     []error
}

// Publishers implements api.Sight.
func (h trustView) Publishers(ctx context.Context) (api.PublisherList, error) {
	services, err := h.manager.Services()
	if err != nil {
		return api.PublisherList{}, err
	}
	g := &publisherSight{h: h.house, services: services, rows: map[string]*api.PublisherView{}, asked: map[string]bool{}, chains: map[string][]trust.PlacedPublisher{}}
	g.whose()
	var out api.PublisherList
	if out.Revocations, err = h.revocations(ctx, services, g); err != nil {
		return out, err
	}
	for _, s := range services {
		for _, slot := range []*supervisor.Slot{s.Current, s.Previous} {
			if slot == nil {
				continue
			}
			if err := ctx.Err(); err != nil {
				return out, err
			}
			ev, err := h.evidence(slot.Subject)
			if err != nil {
				g.errs = append(g.errs, err)
				continue
			}
			g.words(ev, slot.Subject.Repository)
		}
	}
	g.documents()
	for _, row := range g.rows {
		out.Publishers = append(out.Publishers, *g.tidy(row))
	}
	rank := func(p api.PublisherView) int { return slices.Index(publisherRoles, p.Roles[0]) }
	slices.SortFunc(out.Publishers, func(a, b api.PublisherView) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID))
	})
	if err := errors.Join(g.errs...); err != nil {
		out.Error = err.Error()
	}
	return out, nil
}

// whose names all whose word counts, and for what.
func (g *publisherSight) whose() {
	root, _ := g.h.roots.current()
	house := g.h.ownPolicy().House
	for _, id := range root.Core {
		g.role(id, "core")
	}
	for _, id := range root.Security {
		g.role(id, "security")
	}
	if house != "" {
		g.role(house, "house")
	}
	for _, p := range root.Preload {
		g.role(p.Publisher, "named")
	}
	for service, id := range g.h.publishers() {
		g.service(g.role(id, "named"), service)
	}
	for _, p := range g.h.memory.Pins() {
		if p.Publisher == "" {
			continue
		}
		at := g.service(g.role(p.Publisher, "pinned"), p.Component)
		at.Pinned, at.Floor, at.Ledger = true, p.Floor.Tx, p.Ledger
	}
	g.ledger(g.h.evidence(trust.Subject{Class: trust.ClassCore}))
	for _, s := range g.services {
		if s.Current == nil {
			continue
		}
		g.ledger(g.h.evidence(s.Current.Subject))
		if c := s.Service.Class; c == trust.ClassCore || c == trust.ClassSupervisor {
			for _, id := range root.Core {
				g.service(g.rows[id], s.Service.Name)
			}
		}
		if id := g.h.owner.vouched(g.h.audit, s.Current.Verdict); id != "" && s.Current.Outcome == trust.Allow && g.rows[id] != nil {
			g.service(g.rows[id], s.Service.Name)
		}
	}
}

func (g *publisherSight) role(id, role string) *api.PublisherView {
	if g.rows[id] == nil {
		g.rows[id] = &api.PublisherView{ID: id}
	}
	if row := g.rows[id]; !slices.Contains(row.Roles, role) {
		row.Roles = append(row.Roles, role)
	}
	return g.rows[id]
}

func (g *publisherSight) service(row *api.PublisherView, name string) *api.PublisherService {
	i := slices.IndexFunc(row.Services, func(s api.PublisherService) bool { return s.Service == name })
	if i < 0 {
		at := api.PublisherService{Service: name, Slug: slugOf(name)}
		at.Installed = slices.ContainsFunc(g.services, func(s supervisor.Status) bool { return s.Service.Name == name && s.Current != nil })
		row.Services = append(row.Services, at)
		i = len(row.Services) - 1
	}
	return &row.Services[i]
}

// ledger adds one that judges something here.
func (g *publisherSight) ledger(ev trust.Evidence, err error) {
	var head trust.Head
	if err == nil {
		head, err = ev.Head()
	}
	switch {
	case err != nil:
		g.errs = append(g.errs, err)
	case !slices.Contains(g.origins, head.Origin):
		g.ledgers, g.origins = append(g.ledgers, ev), append(g.origins, head.Origin)
	}
}

// chain is the documents of a publisher in a ledger.
func (g *publisherSight) chain(ev trust.Evidence, origin, id string) []trust.PlacedPublisher {
	key := origin + "\n" + id
	chain, ok := g.chains[key]
	if !ok {
		var err error
		if chain, err = ev.PublisherChain(id); err != nil {
			g.errs = append(g.errs, err)
		}
		g.chains[key] = chain
	}
	return chain
}

// documents reads who the publishers say they are: in the root's ledger before any other.
func (g *publisherSight) documents() {
	for i, ev := range g.ledgers {
		for id, row := range g.rows {
			chain := g.chain(ev, g.origins[i], id)
			if len(chain) == 0 {
				continue
			}
			row.Ledgers = append(row.Ledgers, g.origins[i])
			if row.Version > 0 {
				continue
			}
			doc := chain[len(chain)-1].Publisher
			row.Label, row.Contact, row.Names, row.Version, row.Keys, row.Threshold = doc.Label, doc.Contact, doc.Names, doc.Version, len(doc.Keys), max(doc.Threshold, 1)
			for _, r := range doc.Revoked {
				row.Revoked = append(row.Revoked, api.RevokedKey{Key: r.KeyID, Reason: r.Reason, Cutoff: r.Cutoff})
			}
		}
	}
}

// words reads what those whose word counts say of a repository's images. Only what they signed is shown.
func (g *publisherSight) words(ev trust.Evidence, repository string) {
	head, err := ev.Head()
	key := head.Origin + "\n" + repository
	if err != nil || g.asked[key] || repository == "" {
		g.errs = append(g.errs, err)
		return
	}
	g.asked[key] = true
	if f, ok := ev.(trust.Focused); ok {
		ev = f.For(slices.Collect(maps.Keys(g.rows)))
	}
	for _, kind := range []string{trust.KindImage, trust.KindSupervisor} {
		found, err := ev.ByName(kind, repository, "")
		if err != nil {
			g.errs = append(g.errs, err)
			continue
		}
		last := map[string]bool{} // publishers whose last word here is known
		for _, n := range slices.Backward(found) {
			row := g.rows[n.Notarization.Publisher]
			if row == nil || last[row.ID] && n.Notarization.Status != trust.Untrusted {
				continue
			}
			if _, err := trust.VerifyNotarization(g.chain(ev, head.Origin, row.ID), n); err != nil {
				continue // anybody can append anything
			}
			word := wordOf(n, head.Origin)
			if !last[row.ID] && (row.Last == nil || row.Last.Time.Before(word.Time)) {
				row.Last = &word
			}
			last[row.ID] = true
			if n.Notarization.Status == trust.Untrusted {
				row.Withdrawn = append(row.Withdrawn, word)
			}
		}
	}
}

func wordOf(n trust.PlacedNotarization, origin string) api.PublisherWord {
	w := api.PublisherWord{Status: n.Notarization.Status.String(), Image: n.Notarization.Name, Version: n.Notarization.Version, Severity: string(n.Notarization.Severity),
		Reason: n.Notarization.Reason, Time: time.Unix(n.Notarization.SignedAt, 0).UTC(), Ledger: origin, Tx: n.Pos.Tx}
	if len(n.Notarization.Subjects) > 0 {
		w.Digest = string(n.Notarization.Subjects[0].Digest)
	}
	return w
}

func (g *publisherSight) tidy(row *api.PublisherView) *api.PublisherView {
	slices.SortFunc(row.Roles, func(a, b string) int {
		return cmp.Compare(slices.Index(publisherRoles, a), slices.Index(publisherRoles, b))
	})
	sort.Slice(row.Services, func(i, j int) bool { return row.Services[i].Service < row.Services[j].Service })
	sort.SliceStable(row.Withdrawn, func(i, j int) bool { return row.Withdrawn[j].Time.Before(row.Withdrawn[i].Time) })
	row.Withdrawn = row.Withdrawn[:min(len(row.Withdrawn), mostWithdrawn)]
	return row
}
