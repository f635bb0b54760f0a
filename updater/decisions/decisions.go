// Package decisions keeps what an owner decided of updates: the mode of a service, holds, versions that are passed over,
// and maintenance windows. The planner asks for it each time; nothing here acts.
//
// # Trust statement
//
// Whoever can alter the file can hold updates back or let them come at another time, among images that are judged like all
// others. It lets no image in. Each decision is in the verification log before it counts. A file that is missing says
// that nothing was decided; one that can't be read, or that a newer Castellan wrote, holds back what moves by itself until
// it can, because it may hold a hold. What an owner asks for by name moves then, too.
package decisions

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/castellan/castellan/updater"
)

// Said is who decided something, and when.
type Said struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Mode overrides the update mode of the configuration, or of an add-on's settings.
type Mode struct {
	Mode updater.Mode `json:"mode"` // off, ask or auto
	Said
}

// Hold keeps a service where it is.
type Hold struct {
	Until time.Time `json:"until,omitzero"` // zero = until it is ended
	Why   string    `json:"why,omitempty"`
	Said
}

// Skip passes over one version.
type Skip struct {
	Version string `json:"version"`
	Said
}

// Service is what was decided of one service.
type Service struct {
	Mode  *Mode  `json:"mode,omitempty"`
	Hold  *Hold  `json:"hold,omitempty"`
	Skips []Skip `json:"skips,omitempty"` // oldest first
}

// Window is a maintenance window with its number, which is not used again.
type Window struct {
	ID int `json:"id"`
	updater.WindowSpec
	Said
}

// Decisions are all decisions in force. The methods that change them tell nothing of disk or log: see [Store.Update].
type Decisions struct {
	Services map[string]Service `json:"services"`
	Windows  []Window           `json:"windows"`
	LastID   int                `json:"last_window"` // the highest window number ever given
}

// SetMode sets a service's mode; "" goes back to the configuration's.
func (d *Decisions) SetMode(service string, mode updater.Mode, said Said) error {
	return d.edit(service, func(s *Service) error {
		if mode == "" {
			s.Mode = nil
			return nil
		}
		if err := settable(mode); err != nil {
			return fmt.Errorf("cannot set the mode of %s: %w", service, err)
		}
		if s.Mode == nil || s.Mode.Mode != mode {
			s.Mode = &Mode{mode, said}
		}
		return nil
	})
}

// SetHold holds a service, in place of an earlier hold.
func (d *Decisions) SetHold(service string, until time.Time, why string, said Said) error {
	return d.edit(service, func(s *Service) error {
		switch {
		case !until.IsZero() && !until.After(said.At):
			return fmt.Errorf("cannot hold %s until %s: that is over; name a time to come", service, until.Format(time.RFC3339))
		case len(why) > MaxWhy:
			return fmt.Errorf("cannot hold %s: the reason has %d bytes; at most %d are kept", service, len(why), MaxWhy)
		case s.Hold == nil || !s.Hold.Until.Equal(until) || s.Hold.Why != why:
			s.Hold = &Hold{until, why, said}
		}
		return nil
	})
}

// EndHold ends the hold of a service, if there is one.
func (d *Decisions) EndHold(service string) error {
	return d.edit(service, func(s *Service) error { s.Hold = nil; return nil })
}

// AddSkip passes over a version. Of many the oldest are forgotten.
func (d *Decisions) AddSkip(service, version string, said Said) error {
	return d.edit(service, func(s *Service) error {
		if version == "" || len(version) > maxVersion {
			return fmt.Errorf("cannot skip a version of %s: %.40q is none", service, version)
		}
		if slices.ContainsFunc(s.Skips, is(version)) {
			return nil
		}
		s.Skips = append(s.Skips, Skip{version, said})
		s.Skips = s.Skips[max(0, len(s.Skips)-MaxSkips):]
		return nil
	})
}

// EndSkip takes a version again; "" all of them.
func (d *Decisions) EndSkip(service, version string) error {
	return d.edit(service, func(s *Service) error {
		s.Skips = slices.DeleteFunc(s.Skips, func(k Skip) bool { return version == "" || is(version)(k) })
		return nil
	})
}

func is(version string) func(Skip) bool {
	return func(k Skip) bool { return updater.NormalVersion(k.Version) == updater.NormalVersion(version) }
}

// edit changes what was decided of one service and forgets it when nothing is left.
func (d *Decisions) edit(service string, change func(*Service) error) error {
	s := d.Services[service]
	s.Skips = slices.Clone(s.Skips)
	if err := change(&s); err != nil {
		return err
	}
	switch _, known := d.Services[service]; {
	case len(service) > maxWord:
		return fmt.Errorf("cannot keep a decision of %.40q: its name has %d bytes; at most %d are kept", service, len(service), maxWord)
	case s.Mode == nil && s.Hold == nil && len(s.Skips) == 0:
		delete(d.Services, service)
		return nil
	case !known && len(d.Services) >= MaxServices:
		return fmt.Errorf("cannot keep a decision of %s: there are some of %d services already; undo those that are not needed", service, MaxServices)
	}
	if d.Services == nil {
		d.Services = map[string]Service{}
	}
	d.Services[service] = s
	return nil
}

// AddWindow adds a maintenance window and returns its number; one that is there already keeps its own.
func (d *Decisions) AddWindow(w updater.Window, said Said) (id int, err error) {
	spec := w.Spec()
	for _, have := range d.Windows {
		if old, err := updater.NewWindow(have.WindowSpec); err == nil && old.String() == w.String() {
			return have.ID, nil
		}
	}
	if len(d.Windows) >= MaxWindows {
		return 0, fmt.Errorf("cannot add a window: there are %d; remove one first", MaxWindows)
	}
	for _, have := range d.Windows {
		d.LastID = max(d.LastID, have.ID) // in a file that somebody wrote
	}
	d.LastID++
	d.Windows = append(slices.Clone(d.Windows), Window{d.LastID, spec, said})
	return d.LastID, nil
}

// RemoveWindow removes a window, if there is one of that number.
func (d *Decisions) RemoveWindow(id int) {
	d.Windows = slices.DeleteFunc(slices.Clone(d.Windows), func(w Window) bool { return w.ID == id })
}

// Forget drops all decisions about a service that was removed.
func (d *Decisions) Forget(service string) { delete(d.Services, service) }

// Tidy forgets what is over: holds whose end has come, and skipped versions of a service that runs them or a newer one.
// installed is the version by service.
func (d *Decisions) Tidy(now time.Time, installed map[string]string) {
	for name, s := range d.Services {
		have := installed[name]
		_ = d.edit(name, func(e *Service) error { // taking away meets no bound
			if s.Hold != nil && !s.Hold.Until.IsZero() && !now.Before(s.Hold.Until) {
				e.Hold = nil
			}
			e.Skips = slices.DeleteFunc(e.Skips, func(k Skip) bool {
				order, ok := updater.CompareVersions(k.Version, have)
				return have != "" && (is(have)(k) || ok && order <= 0)
			})
			return nil
		})
	}
}

// ModeOf is a service's mode by its owner's decision, "" without one.
func (d *Decisions) ModeOf(service string) updater.Mode {
	if m := d.Services[service].Mode; m != nil {
		return m.Mode
	}
	return ""
}

// Hours are the maintenance windows; unknown says why they can't all be told, "" when they can.
func (d *Decisions) Hours() (hours updater.Windows, unknown string) {
	for _, w := range d.Windows {
		one, err := updater.NewWindow(w.WindowSpec)
		if err != nil { // the zone is known no more
			unknown = cmp.Or(unknown, fmt.Sprintf("of window %d %v; then remove it: castellan window remove %d", w.ID, err, w.ID))
			continue
		}
		hours = append(hours, one)
	}
	return hours, unknown
}

// of is what was decided of a service, as the planner reads it, without what was decided for all.
func (d *Decisions) of(service string) updater.Decided {
	var out updater.Decided
	s := d.Services[service]
	if s.Hold != nil {
		out.Hold = &updater.Hold{Until: s.Hold.Until, Why: s.Hold.Why}
	}
	for _, k := range s.Skips {
		out.Skipped = append(out.Skipped, k.Version)
	}
	return out
}
