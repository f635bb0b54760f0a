package lifecycle

import "fmt"

// SourceError says that an add-on's name belongs to another repository by now than what is kept of it. The name says little:
// 32 bits stand for the repository in it, so that its author can find another address of the same ones.
type SourceError struct {
	Slug          string
	Kept, Offered string // sources, as they were added
	Installed     bool   // else only its data is kept
}

func (e *SourceError) Error() string {
	if e.Installed {
		return fmt.Sprintf("it was installed from the repository %s, and %s offers something of the same name now, which is not its next version; to change over: castellan addon uninstall %s --data delete",
			e.Kept, e.Offered, e.Slug)
	}
	return fmt.Sprintf("its kept data, options and rights are of the repository %s, and %s offers something of the same name now, which must not get them; delete them first: castellan addon uninstall %s --data delete; or follow the former again",
		e.Kept, e.Offered, e.Slug)
}

// Offered is what the repository that an add-on came from has of it now, or, when nothing is kept of it, whichever has it.
// The error wraps [ErrNotOffered] or is a *[SourceError].
func (m *Manager) Offered(slug string) (Offer, error) {
	o, err := m.cfg.Offers.Offer(slug)
	if err != nil {
		return o, err
	}
	return o, m.record(slug).of(o)
}

// of refuses an offer of another source than what is kept.
func (r Record) of(o Offer) error {
	if r.Source == "" || r.Source == o.Source { // nothing is kept
		return nil
	}
	return &SourceError{Slug: r.Slug, Kept: r.Source, Offered: o.Source, Installed: r.installed()}
}
