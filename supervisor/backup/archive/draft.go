package archive

// draft is a backup that is being written. Until it is kept, undo takes all of it away.
type draft struct {
	outFile
	store     *Store
	published string // its name among the backups, "" = it has none yet
	kept      bool
}

func (s *Store) draft() (*draft, error) {
	out, err := s.disk.create(s.dir)
	if err != nil {
		return nil, err
	}
	return &draft{outFile: out, store: s}, nil
}

// keep makes the draft a backup. When it fails, undo is still to be called.
func (d *draft) keep(slug string) error {
	if err := d.Sync(); err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	d.published = d.store.path(slug)
	if err := d.store.disk.publish(d.Name(), d.published); err != nil {
		return err
	}
	d.kept = true
	return nil
}

// undo removes what was not kept. What can't be removed now is swept at the next start.
func (d *draft) undo() {
	if d.kept {
		return
	}
	_ = d.Close()
	_ = d.store.disk.remove(d.Name())
	if d.published != "" {
		_ = d.store.disk.remove(d.published)
	}
}
