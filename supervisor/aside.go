package supervisor

import (
	"context"
	"errors"
	"fmt"

	"github.com/castellan/castellan/supervisor/spec"
)

// noNeighbours is an engine on which nothing can be adopted.
type noNeighbours struct{}

func (noNeighbours) Foreign(context.Context, string) (Aside, bool, error) {
	return Aside{}, false, errors.New("this engine can't adopt containers")
}
func (noNeighbours) HoldAside(context.Context, Aside) error { return nil }
func (noNeighbours) GiveBack(context.Context, Aside) error  { return nil }

// noFiles refuses to lose a file, and to take a folder for plain that nobody looked at.
type noFiles struct{}

func (noFiles) Plain(_ context.Context, folders []string) error { return noFiles{}.need(len(folders)) }

func (noFiles) Write(_ context.Context, files []spec.File) error { return noFiles{}.need(len(files)) }

func (noFiles) need(n int) error {
	if n > 0 {
		return errors.New("cannot look after files: the supervisor was made without a part that does")
	}
	return nil
}

// lookAside finds whose place a fresh service takes, before anything of it is touched. Nobody there is nobody adopted.
func (r *runner) lookAside(ctx context.Context, c Change) (Change, error) {
	if c.Service.Adopts == "" || c.From != nil || c.Aside != nil {
		return c, nil
	}
	a, ok, err := r.cfg.Neighbours.Foreign(ctx, c.Service.Adopts)
	if err != nil {
		return c, fmt.Errorf("cannot adopt container %s: %w", c.Service.Adopts, err)
	}
	if ok {
		c.Aside = &a
	}
	return c, nil
}

// Do: it makes room.
func (r *runner) holdAside(ctx context.Context, c Change) error {
	if c.Aside == nil {
		return nil
	}
	if err := r.cfg.Neighbours.HoldAside(ctx, *c.Aside); err != nil {
		return fmt.Errorf("cannot hold container %s aside: %w", c.Aside.Name, err)
	}
	return nil
}

// Undo of holdAside.
func (r *runner) giveBack(ctx context.Context, c Change) error {
	if c.Aside == nil {
		return nil
	}
	if err := r.cfg.Neighbours.GiveBack(ctx, *c.Aside); err != nil {
		return fmt.Errorf("cannot give container %s its place back: %w", c.Aside.Name, err)
	}
	return nil
}

// startNew starts the new container, unless the service sleeps.
func (r *runner) startNew(ctx context.Context, c Change) error {
	if c.Asleep || c.Service.Health.Ends && c.State != StateCreated { // what does one thing does it once
		return nil
	}
	if err := r.launch(ctx, c.Service, c.To.Container); err != nil {
		return fmt.Errorf("cannot start the new container: %w", err)
	}
	return nil
}

// launch writes the service's files and starts one of its containers. A running one is a success.
func (m *Manager) launch(ctx context.Context, s Service, container string) error {
	var plain []string
	for _, mount := range s.Container.Mounts {
		if mount.Plain {
			plain = append(plain, mount.Source)
		}
	}
	if len(plain) > 0 {
		if err := m.cfg.Files.Plain(ctx, plain); err != nil {
			return err
		}
	}
	if len(s.Files) > 0 {
		if err := m.cfg.Files.Write(ctx, s.Files); err != nil {
			return err
		}
	}
	return m.cfg.Containers.Start(ctx, container)
}
