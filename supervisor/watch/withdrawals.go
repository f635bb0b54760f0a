// Package watch looks after what already runs.
//
// What came in by a good verdict can turn bad later: its publisher withdraws it, a key is revoked. [Withdrawals] judges
// every installed image again whenever the ledger has news and does what the withdrawal's severity asks for, and no
// more: notice always; a good version instead, if the severity is `update` or higher; and stop, only for an add-on, only
// when the record is signed by the publisher's root key or a security publisher. Core is never stopped, data and
// images are never deleted, and a component is acted on at most once a day, across restarts, so that a stolen key
// cannot make a house flap. A judgement that is deferred changes nothing.
package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust"
)

// ActAgain is how long after an automatic action on a component the next one may follow.
const ActAgain = 24 * time.Hour

// Judge is the Gate as this package sees it. changed tells that the answer is another than the last one logged.
type Judge interface {
	Rejudge(ctx context.Context, r trust.Request) (v trust.Verdict, changed bool, err error)
	Decide(ctx context.Context, r trust.Request) (trust.Verdict, error) // without any effect
}

// House is the supervisor as this package sees it. The calls return once the change is in the journal.
type House interface {
	Services() ([]supervisor.Status, error)
	Rollback(ctx context.Context, service string) (supervisor.Change, error)
	Stop(ctx context.Context, service, why string) error
}

// Store keeps when components were acted on. Save returns after the bytes survive a power cut; Load returns nothing and
// no error when nothing was saved yet. Whoever can alter it can cause or spare one action, no more.
type Store interface {
	Load() ([]byte, error)
	Save([]byte) error
}

// Withdrawals re-judges what is installed.
type Withdrawals struct {
	judge Judge
	house House
	store Store
	log   *slog.Logger
	now   func() time.Time

	// Newer, when set, submits an update of a service to a good newer version and tells whether there was one.
	Newer func(ctx context.Context, service string) (bool, error)

	mu       sync.Mutex
	verdicts map[string]trust.Verdict // newest re-judgement by service
	acted    map[string]time.Time
}

// NewWithdrawals makes a Withdrawals; it does nothing by itself. now is the trusted time. What the store
// holds and cannot be read is forgotten, with a line in the log: that costs one action sooner than it should be.
func NewWithdrawals(j Judge, h House, s Store, now func() time.Time, log *slog.Logger) *Withdrawals {
	w := &Withdrawals{judge: j, house: h, store: s, log: log, now: now, verdicts: map[string]trust.Verdict{}, acted: map[string]time.Time{}}
	b, err := s.Load()
	if err == nil && b != nil {
		err = json.Unmarshal(b, &w.acted)
	}
	if err != nil || w.acted == nil {
		log.Warn("cannot tell which withdrawals were acted on today", "error", err)
		w.acted = map[string]time.Time{}
	}
	return w
}

// Verdict is the newest re-judgement of what a service runs; ok is false before the first.
func (w *Withdrawals) Verdict(service string) (v trust.Verdict, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok = w.verdicts[service]
	return v, ok
}

// Recall judges every installed image again and does nothing about it: after a start it is known what was withdrawn before
// anybody is told how things are. It writes nothing down, because what is known then is as old as the appliance was off.
func (w *Withdrawals) Recall(ctx context.Context) error {
	return w.each(func(s supervisor.Status) error {
		v, err := w.judge.Decide(ctx, Request(s, s.Current))
		if err == nil {
			w.know(s, v)
		}
		return err
	})
}

// know remembers how an image was judged last.
func (w *Withdrawals) know(s supervisor.Status, v trust.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdicts[s.Service.Name] = v
}

// Look judges every installed image again and acts on withdrawals. One service that fails keeps none of the others
// from being looked at.
func (w *Withdrawals) Look(ctx context.Context) error {
	return w.each(func(s supervisor.Status) error { return w.look(ctx, s) })
}

func (w *Withdrawals) each(judge func(supervisor.Status) error) error {
	services, err := w.house.Services()
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range services {
		if s.Current == nil {
			continue
		}
		if err := judge(s); err != nil {
			errs = append(errs, fmt.Errorf("cannot judge %q again: %w", s.Service.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (w *Withdrawals) look(ctx context.Context, s supervisor.Status) error {
	v, changed, err := w.judge.Rejudge(ctx, Request(s, s.Current))
	if err != nil {
		return err
	}
	w.know(s, v)
	if v.Outcome != trust.Refuse || v.Reason() != trust.Revoked {
		return nil
	}
	if changed {
		w.log.WarnContext(ctx, "what runs was withdrawn", "service", s.Service.Name, "version", s.Version(), "severity", v.Severity)
	}
	if s.Open != "" || s.Stopped != "" {
		return nil // something is being done about it
	}
	return w.act(ctx, s, v)
}

// act does what the severity asks for. An image that was forced although it was withdrawn is left alone: its owner said
// yes to that very reason.
func (w *Withdrawals) act(ctx context.Context, s supervisor.Status, v trust.Verdict) error {
	name := s.Service.Name
	if v.Severity != trust.SeverityUpdate && v.Severity != trust.SeverityStop || slices.Contains(s.Current.Forced, trust.Revoked) {
		return nil
	}
	if !w.may(name) {
		return nil
	}
	did, err := w.replace(ctx, s)
	if err != nil {
		return err
	}
	if did {
		return w.done(name)
	}
	if v.Severity == trust.SeverityStop && v.ByRoot && s.Service.Class != trust.ClassCore && s.Service.Class != trust.ClassSupervisor {
		if err := w.house.Stop(ctx, name, "withdrawn by its publisher, who asks to stop it"); err != nil {
			return err
		}
		return w.done(name)
	}
	w.log.WarnContext(ctx, "a withdrawn version runs on: there is no good one to change to", "service", name, "version", s.Version())
	return nil
}

// replace moves a service to a good newer version, else back to its previous one if that is good. A registry that
// cannot be asked for a newer one does not keep the service from going back.
func (w *Withdrawals) replace(ctx context.Context, s supervisor.Status) (bool, error) {
	if w.Newer != nil {
		did, err := w.Newer(ctx, s.Service.Name)
		if did {
			return true, nil
		}
		if err != nil {
			w.log.WarnContext(ctx, "cannot look for a good newer version", "service", s.Service.Name, "error", err)
		}
	}
	if s.Previous == nil {
		return false, nil
	}
	v, _, err := w.judge.Rejudge(ctx, Request(s, s.Previous))
	if err != nil || !v.Outcome.Allowed() {
		return false, err
	}
	_, err = w.house.Rollback(ctx, s.Service.Name)
	return err == nil, err
}

// may tells whether the last action is long enough ago. One that lies ahead was dated by a clock that was wrong.
func (w *Withdrawals) may(service string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.acted[service]
	since := w.now().Sub(last)
	return !ok || since < 0 || since >= ActAgain
}

func (w *Withdrawals) done(service string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acted[service] = w.now()
	b, err := json.Marshal(w.acted)
	if err == nil {
		err = w.store.Save(b)
	}
	if err != nil {
		return fmt.Errorf("cannot note that a withdrawal was acted on: %w", err)
	}
	return nil
}

// Request asks about a slot as it was let in.
func Request(s supervisor.Status, slot *supervisor.Slot) trust.Request {
	return trust.Request{
		Subject: slot.Subject, Action: trust.Rejudge, Held: slot.Image, Change: "",
		FirstResolved: slot.Resolved, Installed: slot == s.Current, InstalledUnsigned: slot.Outcome == trust.AllowUnsigned,
		Channel: slot.Channel,
	}
}
