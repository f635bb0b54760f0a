package supervisor

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
)

// Differs tells whether a service would be run otherwise now than its container was made: by another specification, with
// other files, data or health gate. What differs takes effect with [Manager.Renew].
func (m *Manager) Differs(service string) (bool, error) {
	w, err := m.row(service)
	if err != nil || w.Current == nil {
		return false, err
	}
	def, err := m.definitionOr(service, "", w.Service)
	return err == nil && fingerprint(def) != fingerprint(w.Service), err
}

// changed is [Manager.Differs] for those who start services by themselves: settings that have failed are not tried again
// until their owner changes them or asks.
func (m *Manager) changed(w row) bool {
	def, err := m.definitionOr(w.Service.Name, "", w.Service)
	if err != nil {
		return false // what is there can be started all the same
	}
	now := fingerprint(def)
	return now != fingerprint(w.Service) && now != w.Rejected
}

// Retune takes over what can change without a new container: the watchdog and the stage.
func (m *Manager) Retune(ctx context.Context, service string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w, err := m.row(service)
	if err != nil {
		return err
	}
	def, err := m.definitionOr(service, "", w.Service)
	if err != nil {
		return err
	}
	return m.cfg.Journal.Update(func(tx *state.Tx) error {
		w, ok, err := get[row](tx, serviceBucket, service)
		if err != nil {
			return err
		}
		if !ok || w.Current == nil {
			return fmt.Errorf("cannot set up %q: %w that is installed", service, ErrUnknown)
		}
		w.Service.Watchdog, w.Service.Stage = def.Watchdog, def.Stage
		return put(tx, serviceBucket, service, w)
	})
}

// fingerprint stands for all of a definition that a container is made of.
func fingerprint(s Service) trust.Digest {
	s.Watchdog, s.Stage = false, 0
	b, err := json.Marshal(s)
	if err != nil {
		return "" // plain data: cannot happen
	}
	return trust.DigestOf(b)
}
