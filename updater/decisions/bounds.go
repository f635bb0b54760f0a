package decisions

import (
	"fmt"

	"github.com/castellan/castellan/updater"
)

// Bounds on what is kept.
const (
	MaxServices = 1000
	MaxSkips    = 16 // of a service
	MaxWindows  = 16
	MaxWhy      = 500 // bytes
	maxVersion  = 128 // bytes
	maxWord     = 512 // bytes of a name: a service's, a caller's, a time zone's
	maxDays     = 14  // entries of a window: a person may write a day twice
)

// bounded refuses what no decision could have made: a file that came from elsewhere is held to the bounds of decisions.
func (d *Decisions) bounded() error {
	if n := len(d.Services); n > MaxServices {
		return fmt.Errorf("it decides of %d services, at most %d are kept", n, MaxServices)
	}
	if n := len(d.Windows); n > MaxWindows {
		return fmt.Errorf("it has %d maintenance windows, at most %d are kept", n, MaxWindows)
	}
	for name, s := range d.Services {
		if err := s.bounded(name); err != nil {
			return fmt.Errorf("of service %.40q %w", name, err)
		}
	}
	for _, w := range d.Windows {
		words := append([]string{w.From, w.To, w.Zone, w.By}, w.Days...)
		if len(w.Days) > maxDays {
			return fmt.Errorf("window %d opens on %d days", w.ID, len(w.Days))
		}
		for _, word := range words {
			if len(word) > maxWord {
				return fmt.Errorf("window %d has a word of %d bytes, at most %d are kept", w.ID, len(word), maxWord)
			}
		}
	}
	return nil
}

func (s Service) bounded(name string) error {
	words := []string{name}
	if s.Mode != nil {
		if err := settable(s.Mode.Mode); err != nil {
			return fmt.Errorf("the mode %w", err)
		}
		words = append(words, s.Mode.By)
	}
	if s.Hold != nil {
		if n := len(s.Hold.Why); n > MaxWhy {
			return fmt.Errorf("the reason of a hold has %d bytes, at most %d are kept", n, MaxWhy)
		}
		words = append(words, s.Hold.By)
	}
	if n := len(s.Skips); n > MaxSkips {
		return fmt.Errorf("%d versions are skipped, at most %d are kept", n, MaxSkips)
	}
	for _, k := range s.Skips {
		if k.Version == "" || len(k.Version) > maxVersion {
			return fmt.Errorf("a version is skipped that is none: %.40q", k.Version)
		}
		words = append(words, k.By)
	}
	for _, word := range words {
		if len(word) > maxWord {
			return fmt.Errorf("a name has %d bytes, at most %d are kept", len(word), maxWord)
		}
	}
	return nil
}

// settable refuses a mode that an owner can't set.
func settable(m updater.Mode) error {
	if m == updater.ModeOff || m == updater.ModeAsk || m == updater.ModeAuto {
		return nil
	}
	return fmt.Errorf("%.40q is none of off, ask, auto", string(m))
}
