package supervisor

import (
	"context"

	"github.com/castellan/castellan/supervisor/state"
)

// bootKey holds which boot of the host was met last.
const bootBucket, bootKey = "boot", "id"

// Booted tells the machine which boot of the host this is. At a new one, decide says of every tended service that is
// installed whether it runs now, and if not, why; all at once, and once for each boot, so that what the owner stops or
// starts afterwards stands. It starts nothing by itself: [Manager.Run] does.
func (m *Manager) Booted(ctx context.Context, boot string, decide func(Status) (run bool, why string)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	all, err := m.Services()
	if err != nil {
		return err
	}
	return m.cfg.Journal.Update(func(tx *state.Tx) error {
		if last, ok := tx.Get(bootBucket, bootKey); ok && string(last) == boot {
			return nil
		}
		for _, s := range all {
			if !s.Service.Tended || s.Current == nil {
				continue
			}
			w, ok, err := get[row](tx, serviceBucket, s.Service.Name)
			if err != nil {
				return err
			}
			run, why := decide(s)
			if !ok || w.Current == nil || run && w.Stopped == "" || !run && w.Stopped != "" {
				continue
			}
			w.Stopped, w.Stays = "", false
			if !run {
				w.Stopped, w.Stays = why, true
			}
			if err := put(tx, serviceBucket, s.Service.Name, w); err != nil {
				return err
			}
		}
		return tx.Put(bootBucket, bootKey, []byte(boot))
	})
}
