package lifecycle

import "time"

// due tells whether data that its owner wanted kept for a while is deleted now: when the appliance has run for that long
// since the removal, whatever its clock said meanwhile, and its clock, while it is believable, is past the time that its
// owner was told. A clock that jumps years ahead deletes nothing, nor does one that stood in 1970 at the removal. An
// appliance that is switched off often keeps the data for longer, which costs space only. The caller holds work.
func (m *Manager) due(r Record) (bool, error) {
	if r.Gone.Until.IsZero() {
		return false, nil
	}
	ran, err := m.ran(r)
	believed := m.cfg.Clock == nil || m.cfg.Clock()
	return err == nil && believed && ran >= keptFor && m.cfg.Now().After(r.Gone.Until), err
}

// ran is for how long the appliance has run since a removal, as far as it is kept: it is counted up about once in an hour,
// by the monotonic clock, because memory cards wear out. What a restart loses of it only lengthens the wait.
func (m *Manager) ran(r Record) (time.Duration, error) {
	now := time.Now()
	since, known := m.counted[r.Slug]
	if !known {
		m.counted[r.Slug] = now
		return r.Gone.Ran, nil
	}
	d := now.Sub(since)
	if d < lookEvery {
		return r.Gone.Ran, nil
	}
	gone := *r.Gone
	gone.Ran += d
	err := m.change(r.Slug, func(r *Record) (bool, error) { r.Gone = &gone; return true, nil })
	if err == nil {
		m.counted[r.Slug] = now
	}
	return gone.Ran, err
}
