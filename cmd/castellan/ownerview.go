package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	housekey "github.com/castellan/castellan/trust/house"
	"github.com/castellan/castellan/updater"
)

// houseRecord is the payload of a record about the house key. By and Why are references to private texts.
type houseRecord struct {
	What       string         `json:"what"` // init, accept, withdraw
	Publisher  string         `json:"publisher"`
	Service    string         `json:"service,omitempty"`
	Repository string         `json:"repository,omitempty"`
	Version    string         `json:"version,omitempty"`
	Digests    []trust.Digest `json:"digests,omitempty"`
	UID        string         `json:"uid,omitempty"`
	By         string         `json:"by"`
	Why        string         `json:"why,omitempty"`
}

func (h trustView) logHouse(ctx context.Context, r houseRecord) (seq uint64, err error) {
	if r.By, err = h.audit.Private(r.By); err != nil {
		return 0, err
	}
	if r.Why, err = h.audit.Private(r.Why); err != nil {
		return 0, err
	}
	return h.audit.Append(context.WithoutCancel(ctx), audit.KindHouse, r)
}

// InitHouse implements api.House.
func (h trustView) InitHouse(ctx context.Context, by string) (api.HouseKey, error) {
	o := h.owner
	o.mu.Lock()
	defer o.mu.Unlock()
	var out api.HouseKey
	s, err := housekey.Init(o.dir, func(id string) (err error) {
		out.Publisher = id
		out.Seq, err = h.logHouse(ctx, houseRecord{What: "init", Publisher: id, By: by})
		return err
	})
	if err != nil {
		return api.HouseKey{}, &api.Error{Status: http.StatusConflict, Key: "house_key", Message: err.Error(), Next: "castellan trust house list"}
	}
	o.store, o.err = s, nil
	h.log.Warn("a house key was made: what it vouches for may run here", "publisher", out.Publisher, "by", by)
	return out, nil
}

// store is the house key that counts, or why there is none.
func (h trustView) store() (*housekey.Store, error) {
	s, err := h.owner.get()
	switch {
	case err != nil:
		return nil, &api.Error{Status: http.StatusConflict, Key: "house_key", Message: err.Error(), Next: "restore a backup; if there is none, move away what is left of the file, then: castellan trust house init"}
	case s == nil:
		return nil, &api.Error{Status: http.StatusConflict, Key: "house_key", Message: "this appliance has no house key", Next: "castellan trust house init"}
	case h.ownPolicy().House != s.Publisher():
		return nil, &api.Error{Status: http.StatusConflict, Key: "house_key", Message: fmt.Sprintf(
			"the configuration accepts another house key, %s; this appliance's own is %s", h.ownPolicy().House, s.Publisher()), Next: "remove trust.house from " + h.path}
	}
	return s, nil
}

// AcceptHouse implements api.House.
func (h trustView) AcceptHouse(ctx context.Context, r api.HouseRequest, by string) (api.HouseWord, error) {
	s, err := h.store()
	if err != nil {
		return api.HouseWord{}, err
	}
	if r.Channel != "" {
		return h.acceptChannel(ctx, s, r, by)
	}
	asked, err := h.wouldRun(ctx, r)
	if err != nil {
		return api.HouseWord{}, err
	}
	subject := asked.Subject
	if r.Digest != "" && r.Digest != string(subject.Manifest) {
		return api.HouseWord{}, &api.Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("cannot accept %s %s: it is %s, not %.80s", r.Service, subject.Version, subject.Manifest, r.Digest)}
	}
	against, err := h.gate.Against(ctx, asked)
	if err != nil {
		return api.HouseWord{}, err
	}
	for _, f := range against { // a word of the owner's vouches; it undoes nothing
		if m := f.Reason.Meaning(); f.Reason == trust.Revoked || f.Reason == trust.LocallyDenied || f.Reason.Meaning().Force == trust.ForceNo {
			return api.HouseWord{}, &api.Error{Status: http.StatusForbidden, Key: api.KeyTrust, Message: fmt.Sprintf(
				"cannot accept %s %s: %s (%s: %s), which the house key does not outweigh", r.Service, subject.Version, m.Short, f.Reason, f.Detail), Next: m.Next}
		}
	}
	return h.say(ctx, s, housekey.Word{Name: subject.Repository, Version: subject.Version, Subjects: housekey.Subjects(subject), Status: trust.Trusted}, subject, r, by)
}

// acceptChannel vouches for a file of the channel that is followed, by its digest.
func (h trustView) acceptChannel(ctx context.Context, s *housekey.Store, r api.HouseRequest, by string) (api.HouseWord, error) {
	d, err := trust.ParseDigest(r.Digest)
	switch {
	case err != nil:
		return api.HouseWord{}, &api.Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("cannot accept a file of channel %.60s: %v", r.Channel, err),
			Next: "look at the file, then give --digest sha256:… of it"}
	case r.Service != "" || h.poller == nil || r.Channel != h.config().Channel.Name:
		return api.HouseWord{}, &api.Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("cannot accept a file of channel %.60q: it is not the one this appliance follows, or a service was named as well", r.Channel)}
	}
	out, err := h.say(ctx, s, housekey.ChannelWord("", r.Channel, d), trust.Subject{Class: trust.ClassCore}, r, by)
	if err == nil {
		h.wake()
	}
	return out, err
}

// wouldRun is what a service would run now: what was refused or deferred last, else what the plan wants.
func (h trustView) wouldRun(ctx context.Context, r api.HouseRequest) (trust.Request, error) {
	if _, err := h.find(r.Service); err != nil {
		return trust.Request{}, err
	}
	list, err := h.manager.Changes()
	if err != nil {
		return trust.Request{}, err
	}
	for _, c := range slices.Backward(list) {
		if c.Service.Name != r.Service {
			continue
		}
		stopped := c.State == supervisor.StateRefused || c.State == supervisor.StateDeferred
		if stopped && c.Verdict != nil && c.To != nil && c.Raw != nil && (r.Version == "" || r.Version == c.Verdict.Subject.Version) {
			return trust.Request{Subject: c.Verdict.Subject, Action: trust.OwnerUpdate, Raw: c.Raw, Channel: c.Channel, FirstResolved: c.To.Resolved}, nil
		}
		if !c.Resting() {
			return trust.Request{}, &api.Error{Status: http.StatusBadRequest, Key: "change_under_way",
				Message: fmt.Sprintf("change %s of %s is under way: what comes of it is not known yet", c.ID, r.Service),
				Next:    "castellan status, and accept again when it has ended"}
		}
		break // something newer than a refusal happened
	}
	plan, err := h.makePlan(updater.OwnerRequest{Service: r.Service, Version: r.Version})
	if err != nil {
		return trust.Request{}, err
	}
	plan = only(plan, r.Service)
	if len(plan.Steps) == 0 {
		why := "nothing else is offered to it"
		if len(plan.Skips) > 0 {
			why = plan.Skips[0].Why
		}
		return trust.Request{}, &api.Error{Status: http.StatusNotFound, Key: "nothing_to_accept",
			Message: fmt.Sprintf("there is nothing to accept for %s: %s", r.Service, why), Next: "castellan trust house accept " + r.Service + " --version VERSION"}
	}
	step := plan.Steps[0]
	res, err := h.resolver.Resolve(ctx, step.Service, step.Class, step.To.Reference, step.To.Version)
	if err != nil {
		return trust.Request{}, fmt.Errorf("cannot look up %s %s: %w", r.Service, step.To.Version, err)
	}
	return trust.Request{Subject: res.Subject, Action: trust.OwnerUpdate, Raw: &res.Raw, Channel: step.Channel}, nil
}

// WithdrawHouse implements api.House.
func (h trustView) WithdrawHouse(ctx context.Context, r api.HouseRequest, by string) (api.HouseWord, error) {
	s, err := h.store()
	if err != nil {
		return api.HouseWord{}, err
	}
	st, err := h.find(r.Service)
	if err != nil {
		return api.HouseWord{}, err
	}
	w := housekey.Word{Status: trust.Untrusted, Severity: trust.Severity(r.Severity), Reason: r.Why}
	if w.Severity == "" {
		w.Severity = trust.SeverityNotify
	}
	subject := trust.Subject{Component: r.Service, Class: st.Service.Class}
	switch d := trust.Digest(r.Digest); {
	case st.Current != nil && (d == "" || st.Current.Subject.Has(d)):
		subject = st.Current.Subject
		w.Name, w.Version, w.Subjects = subject.Repository, subject.Version, housekey.Subjects(subject)
	default:
		for _, n := range s.List() {
			if slices.ContainsFunc(n.Subjects, func(x trust.RecordSubject) bool { return x.Digest == d }) {
				w.Name, w.Version, w.Subjects = n.Name, n.Version, n.Subjects
				subject.Repository = n.Name
			}
		}
		if w.Subjects == nil {
			return api.HouseWord{}, &api.Error{Status: http.StatusNotFound, Key: "nothing_to_withdraw",
				Message: fmt.Sprintf("cannot withdraw: %s does not run %.80q, and you have not accepted it", r.Service, r.Digest), Next: "castellan trust house list"}
		}
	}
	out, err := h.say(ctx, s, w, subject, r, by)
	if err == nil {
		h.wake() // what runs is judged again
	}
	return out, err
}

// say signs a word beside the ledger its subject is judged by.
func (h trustView) say(ctx context.Context, s *housekey.Store, w housekey.Word, subject trust.Subject, r api.HouseRequest, by string) (api.HouseWord, error) {
	ev, err := h.ledgers.For(subject)
	if err != nil {
		return api.HouseWord{}, err
	}
	head, err := ev.Head()
	if err != nil {
		return api.HouseWord{}, err
	}
	w.Ledger = head.Origin
	var seq uint64
	what := map[trust.Status]string{trust.Trusted: "accept", trust.Untrusted: "withdraw"}[w.Status]
	n, err := s.Say(w, h.now(), func(n trust.Notarization) (err error) {
		rec := houseRecord{What: what, Publisher: n.Publisher, Service: r.Service, Repository: n.Name, Version: n.Version, UID: fmt.Sprint(n.UID), By: by, Why: r.Why}
		for _, x := range n.Subjects {
			rec.Digests = append(rec.Digests, x.Digest)
		}
		seq, err = h.logHouse(ctx, rec)
		return err
	})
	if err != nil {
		return api.HouseWord{}, &api.Error{Status: http.StatusBadRequest, Key: "house_key", Message: err.Error(), Next: "castellan trust house list"}
	}
	h.log.Warn("the house key has spoken", "what", what, "service", r.Service, "version", n.Version, "by", by)
	out := houseWord(n)
	out.Service, out.Seq = r.Service, seq
	return out, nil
}

// House implements api.House.
func (h trustView) House(context.Context) (api.HouseList, error) {
	s, err := h.owner.get()
	if err != nil || s == nil {
		return api.HouseList{}, err
	}
	out := api.HouseList{Publisher: s.Publisher()}
	for _, n := range s.List() {
		out.Words = append(out.Words, houseWord(n))
	}
	return out, nil
}

func houseWord(n trust.Notarization) api.HouseWord {
	out := api.HouseWord{Status: string(n.Status), Repository: n.Name, Version: n.Version, Ledger: n.Ledger, Time: time.Unix(n.SignedAt, 0).UTC(), Reason: n.Reason}
	for _, x := range n.Subjects {
		switch x.Role {
		case "":
			out.File = string(x.Digest)
		case trust.RoleIndex:
			out.Index = string(x.Digest)
		case trust.RoleManifest:
			out.Manifest, out.Platform = string(x.Digest), x.Platform
		case trust.RoleConfig:
			out.Config = string(x.Digest)
		}
	}
	return out
}
