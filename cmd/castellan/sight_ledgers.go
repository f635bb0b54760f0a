package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/addons/store"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
)

// Whether a ledger's story is one.
const (
	ledgerAgreed  = "agreed"  // mirrors gave our history at the last sync, and none another
	ledgerForked  = "forked"  // it signed two histories (TRUST.md §5)
	ledgerUnheard = "unheard" // no mirror gave a checkpoint at the last sync, or there was none yet
)

// Ledgers implements api.Sight.
func (h trustView) Ledgers(context.Context) ([]api.LedgerView, error) {
	root, _ := h.roots.current()
	st := h.ledgerStatus()
	h.mu.Lock()
	st.Error = h.syncErr
	h.mu.Unlock()
	l := root.Ledgers[0]
	out := []api.LedgerView{h.ledgerView(st, "root", Ledger{l.Origin, l.NoteKeys, l.URLs}, h.replica)}
	for _, f := range h.ledgers.followed() {
		out = append(out, h.ledgerView(h.followedStatus(f), "repository", f.Ledger, f.replica))
	}
	marks := h.memory.Marks()
	for i := range out {
		for _, m := range marks {
			if m.Ledger == out[i].Origin {
				out[i].Records.Remembered++
			}
		}
	}
	return out, nil
}

func (h *house) ledgerView(st api.LedgerStatus, role string, l Ledger, r *ledger.Replica) api.LedgerView {
	warn, most := h.freshness()
	out := api.LedgerView{LedgerStatus: st, Role: role, Age: -1, Stale: st.State == "stale" || st.State == "expired", Agreement: ledgerUnheard,
		Fingerprint: store.Ledger{Origin: l.Origin, Keys: l.Keys}.Fingerprint(), Warn: int64(warn.Seconds()), Most: int64(most.Seconds())}
	for _, k := range l.Keys {
		key := api.LedgerKey{Fingerprint: strings.TrimPrefix(string(trust.DigestOf([]byte(k))), "sha256:")}
		if v, err := note.NewVerifier(k); err == nil { // it was read when the ledger was opened
			key.Name, key.Hash = v.Name(), fmt.Sprintf("%08x", v.KeyHash())
		}
		out.Keys = append(out.Keys, key)
	}
	if r == nil {
		out.Mirrors = mirrors(l.URLs, nil)
		return out
	}
	head, err := r.Head()
	if err != nil {
		return out
	}
	out.Head, out.Quarantine = string(head.Alh), head.Quarantined
	if !head.Time.IsZero() {
		out.Age = max(0, int64(h.now().Sub(head.Time).Seconds()))
	}
	stats := r.Stats()
	out.Records = api.LedgerRecords{Transactions: stats.Transactions, Notarizations: stats.Notarizations, Withdrawals: stats.Withdrawals, Publishers: stats.Publishers}
	met, at, ok := r.LastSync()
	if ok {
		out.Asked = at
	}
	out.Mirrors = mirrors(l.URLs, met.Mirrors)
	for _, m := range out.Mirrors {
		if m.State == "agrees" || m.State == "stale" {
			out.Agreeing++
		}
	}
	switch {
	case head.Quarantined != "":
		out.Agreement, out.Agreeing = ledgerForked, 0
	case out.Agreeing > 0:
		out.Agreement = ledgerAgreed
	}
	return out
}

// mirrors are the places a ledger may be read from, with what those did that were asked. A password in an address is not
// shown.
func mirrors(urls []string, met []ledger.MirrorReport) []api.LedgerMirror {
	out := []api.LedgerMirror{}
	for _, at := range urls {
		row := api.LedgerMirror{URL: shownAddress(at), State: "unasked"}
		if i := slices.IndexFunc(met, func(m ledger.MirrorReport) bool { return m.URL == strings.TrimSuffix(at, "/") }); i >= 0 {
			m := met[i]
			row.State, row.Count, row.Time = "agrees", m.Count, m.Time
			switch {
			case m.Err != nil:
				row.State, row.Error = "failed", strings.ReplaceAll(m.Err.Error(), m.URL, shownAddress(m.URL))
			case m.Stale:
				row.State = "stale"
			}
		}
		out = append(out, row)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].URL < out[j].URL })
	return out
}

func shownAddress(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "an address that can't be read"
	}
	return u.Redacted()
}
