package supervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// tap sees every call the machine makes to the outside and disturbs one of them.
type tap struct {
	mu      sync.Mutex
	calls   []string
	at      int    // index of the call to disturb, -1 = none
	applied bool   // the call takes effect although its answer is lost
	mode    string // "cut": nothing works after it; "error": it fails once; "hang": it answers only when its context ends
	dead    bool
	cut     func()
	deny    func(call string) error // fails calls by name, nil = none
}

var errLost = errors.New("the answer was lost")

func (p *tap) call(ctx context.Context, name string, effect func() error) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return errLost
	}
	n := len(p.calls)
	p.calls = append(p.calls, name)
	hit := n == p.at
	if hit && p.mode == "cut" {
		p.dead = true
	}
	deny := p.deny
	p.mu.Unlock()
	if deny != nil {
		if err := deny(name); err != nil {
			return err
		}
	}
	if !hit {
		return effect()
	}
	if p.applied {
		_ = effect() // its answer is what gets lost
	}
	switch p.mode {
	case "cut":
		p.cut()
	case "hang":
		if ctx.Done() != nil {
			<-ctx.Done()
			return ctx.Err()
		}
	}
	return errLost
}

// engine is a container engine, its registry and the data of its services. It enforces the contract of the interfaces.
type engine struct {
	t          testing.TB
	mu         sync.Mutex
	registry   map[string]Resolved
	images     map[trust.Digest]trust.Subject
	containers map[string]*Container
	next       int
	sick       map[trust.Digest]bool // images whose check fails
	dies       map[trust.Digest]bool // images whose program exits at once
	data       map[string][]string   // service -> versions that wrote to its data, in order
	kept       map[string][]string   // change -> data as Take found it
	restored   map[string]bool
	requests   atomic.Int64 // what an engine would be asked for the lists of its containers
	stopped    []string     // containers in the order they were stopped

	files   map[string]string // path -> content, on the host
	read    map[string]string // container -> files it read when it started
	foreign *Aside            // somebody's container, as it is now
	started []string          // services in the order they were started
}

func newEngine(t testing.TB) *engine {
	return &engine{t: t, registry: map[string]Resolved{}, images: map[trust.Digest]trust.Subject{}, containers: map[string]*Container{},
		sick: map[trust.Digest]bool{}, dies: map[trust.Digest]bool{}, data: map[string][]string{}, kept: map[string][]string{}, restored: map[string]bool{},
		files: map[string]string{}, read: map[string]string{}}
}

// powerCut stops everything and brings back what the restart policies say (as engine 20.10 does).
func (e *engine) powerCut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		if c.Running && c.Restart == noRestart {
			c.Running, c.ExitCode = false, 255
		}
	}
	e.oneWriter()
}

// end lets the program of a service end by itself.
func (e *engine) end(service string, exit int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		if c.Service == service {
			c.Running, c.ExitCode = false, exit
		}
	}
}

func (e *engine) oneWriter() {
	running := map[string]string{}
	for _, c := range e.containers {
		if other := running[c.Service]; c.Running && other != "" {
			e.t.Errorf("two writers: %s and %s run at the same time", other, c.Name)
		}
		if c.Running {
			running[c.Service] = c.Name
		}
	}
}

func (e *engine) list() []Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Container
	for _, k := range slices.Sorted(maps.Keys(e.containers)) {
		out = append(out, *e.containers[k])
	}
	return out
}

type tapImages struct {
	*tap
	e *engine
}

func (x tapImages) Pull(ctx context.Context, p trust.Permit, progress func(done, total int64)) (img Image, err error) {
	err = x.call(ctx, "pull", func() error {
		s := p.Subject()
		if !p.Valid() {
			x.e.t.Error("pull without a permit")
		}
		progress(1000, 1000)
		x.e.mu.Lock()
		defer x.e.mu.Unlock()
		x.e.images[s.Config] = s
		img = Image{ID: s.Config, Platform: s.Platform, Size: 1000}
		return nil
	})
	return img, err
}

func (x tapImages) Image(ctx context.Context, s trust.Subject) (img Image, ok bool, err error) {
	err = x.call(ctx, "image", func() error {
		x.e.mu.Lock()
		defer x.e.mu.Unlock()
		if _, ok = x.e.images[s.Config]; ok {
			img = Image{ID: s.Config, Platform: s.Platform, Size: 1000}
		}
		return nil
	})
	return img, ok && err == nil, err
}

func (x tapImages) RemoveImage(ctx context.Context, id trust.Digest) error {
	return x.call(ctx, "remove image", func() error {
		x.e.mu.Lock()
		defer x.e.mu.Unlock()
		for _, c := range x.e.containers {
			if c.Image == id {
				x.e.t.Errorf("remove image %s which %s uses", id, c.Name)
			}
		}
		delete(x.e.images, id)
		return nil
	})
}

type tapContainers struct {
	*tap
	e *engine
}

func (x tapContainers) with(ctx context.Context, call, id string, f func(c *Container) error) error {
	return x.call(ctx, call, func() error {
		x.e.mu.Lock()
		defer x.e.mu.Unlock()
		defer x.e.oneWriter()
		return f(x.e.containers[id])
	})
}

func (x tapContainers) Create(ctx context.Context, p trust.Permit, img trust.Digest, n Naming, _ spec.Container) (k Container, err error) {
	err = x.call(ctx, "create", func() error {
		x.e.mu.Lock()
		defer x.e.mu.Unlock()
		if !p.Permits(n.Service, img) {
			x.e.t.Errorf("create %s without a permit", n.Name)
		}
		if _, held := x.e.images[img]; !held {
			return errors.New("no such image")
		}
		for _, c := range x.e.containers {
			if c.Change == n.Change && c.Service == n.Service {
				k = *c
				return nil
			}
			if c.Name == n.Name {
				return errors.New("the name is taken")
			}
		}
		x.e.next++
		c := &Container{ID: fmt.Sprintf("id%d", x.e.next), Name: n.Name, Image: img, Service: n.Service, Change: n.Change, Restart: noRestart}
		x.e.containers[c.ID] = c
		k = *c
		return nil
	})
	return k, err
}

func (x tapContainers) Start(ctx context.Context, id string) error {
	return x.with(ctx, "start", id, func(c *Container) error {
		if c == nil {
			return errors.New("no such container")
		}
		if !c.Running {
			c.Running, c.Started = true, time.Now()
			x.e.data[c.Service] = append(x.e.data[c.Service], x.e.images[c.Image].Version)
			x.e.read[c.ID] = x.e.files["/data/"+c.Service+"/options.json"]
			x.e.started = append(x.e.started, c.Service)
			if f := x.e.foreign; f != nil && f.Running {
				x.e.t.Errorf("%s starts beside the container it takes the place of", c.Name)
			}
		}
		if x.e.dies[c.Image] {
			c.Running, c.ExitCode = false, 3
		}
		return nil
	})
}

func (x tapContainers) Stop(ctx context.Context, id string, timeout time.Duration) error {
	return x.with(ctx, "stop", id, func(c *Container) error {
		if timeout <= 0 {
			x.e.t.Error("stop without a timeout")
		}
		if c != nil && c.Running {
			c.Running = false
			x.e.stopped = append(x.e.stopped, c.ID)
		}
		return nil
	})
}

func (x tapContainers) Remove(ctx context.Context, id string) error {
	return x.with(ctx, "remove", id, func(*Container) error { delete(x.e.containers, id); return nil })
}

func (x tapContainers) Settle(ctx context.Context, id, name, restart string) error {
	return x.with(ctx, "settle "+restart, id, func(c *Container) error {
		if c == nil {
			return errors.New("no such container")
		}
		for _, o := range x.e.containers {
			if o != c && o.Name == name {
				return fmt.Errorf("the name %s is taken", name)
			}
		}
		c.Name, c.Restart = name, restart
		return nil
	})
}

func (x tapContainers) List(ctx context.Context, service string) (list []Container, err error) {
	err = x.call(ctx, "list", func() error {
		list = slices.DeleteFunc(x.e.list(), func(k Container) bool { return service != "" && k.Service != service })
		x.e.requests.Add(int64(1 + len(list))) // the engine's listing leaves out most of what is asked for
		return nil
	})
	return list, err
}

func (x tapContainers) Exec(ctx context.Context, id string, _ []string) (exit int, out []byte, err error) {
	err = x.with(ctx, "exec", id, func(c *Container) error {
		if c == nil || !c.Running {
			return errors.New("it does not run")
		}
		if x.e.sick[c.Image] || x.e.read[id] == "poison" {
			exit, out = 1, []byte("out of order")
		}
		return nil
	})
	return exit, out, err
}

type tapFetcher struct {
	*tap
	e *engine
}

func (x tapFetcher) Resolve(ctx context.Context, service string, _ trust.Class, reference, version string) (r Resolved, err error) {
	err = x.call(ctx, "resolve", func() error {
		var ok bool
		if r, ok = x.e.registry[reference]; !ok {
			return fmt.Errorf("%s is not there", reference)
		}
		r.Subject.Component, r.Subject.Version = service, version
		return nil
	})
	return r, err
}

type tapAuthority struct {
	*tap
	g *trust.Gate
}

func (x tapAuthority) Admit(ctx context.Context, r trust.Request) (p trust.Permit, v trust.Verdict, err error) {
	lost := x.call(ctx, "admit", func() error { p, v, err = x.g.Admit(ctx, r); return nil })
	if lost != nil {
		return trust.Permit{}, trust.Verdict{}, lost
	}
	return p, v, err
}

func (x tapAuthority) Healthy(ctx context.Context, v trust.Verdict) error {
	return x.call(ctx, "healthy", func() error { return x.g.Healthy(ctx, v) })
}

type tapStory struct {
	*tap
	log *audit.Log
}

func (x tapStory) RecordAction(ctx context.Context, a Action) (seq uint64, err error) {
	err = x.call(ctx, "record "+a.What, func() (err error) { seq, err = x.log.Append(ctx, audit.KindAction, a); return err })
	return seq, err
}

type tapSnapshots struct {
	*tap
	e *engine
}

func (x tapSnapshots) rests(service, what string) {
	for _, c := range x.e.containers {
		if c.Service == service && c.Running {
			x.e.t.Errorf("%s while %s runs", what, c.Name)
		}
	}
}

func (x tapSnapshots) do(ctx context.Context, call string, f func()) error {
	return x.call(ctx, call, func() error {
		x.e.mu.Lock()
		defer x.e.mu.Unlock()
		f()
		return nil
	})
}

func (x tapSnapshots) Prepare(ctx context.Context, _, _ string, _ []string) error {
	return x.do(ctx, "prepare", func() {})
}

func (x tapSnapshots) Take(ctx context.Context, service, change string, _ []string) error {
	return x.do(ctx, "take", func() {
		if _, taken := x.e.kept[change]; !taken {
			x.rests(service, "take")
			x.e.kept[change] = slices.Clone(x.e.data[service])
		}
	})
}

func (x tapSnapshots) Restore(ctx context.Context, service, change string, _ []string) error {
	return x.do(ctx, "restore", func() {
		if d, taken := x.e.kept[change]; taken && !x.e.restored[change] {
			x.rests(service, "restore")
			x.e.data[service], x.e.restored[change] = slices.Clone(d), true
		}
	})
}

func (x tapSnapshots) Drop(ctx context.Context, _, change string) error {
	return x.do(ctx, "drop", func() { delete(x.e.kept, change); delete(x.e.restored, change) })
}

type tapFiles struct {
	*tap
	e *engine
}

func (x tapFiles) Plain(ctx context.Context, folders []string) error {
	return x.call(ctx, "plain", func() error {
		x.e.mu.Lock()
		defer x.e.mu.Unlock()
		for _, f := range folders {
			if x.e.files[f] != "" {
				return fmt.Errorf("%s is a link", f)
			}
		}
		return nil
	})
}

func (x tapFiles) Write(ctx context.Context, files []spec.File) error {
	return x.call(ctx, "files", func() error {
		x.e.mu.Lock()
		defer x.e.mu.Unlock()
		for _, f := range files {
			x.e.files[f.Path] = string(f.Content)
		}
		return nil
	})
}

type tapNeighbours struct {
	*tap
	e *engine
}

func (x tapNeighbours) with(ctx context.Context, call string, f func(a *Aside)) error {
	return x.call(ctx, call, func() error {
		x.e.mu.Lock()
		defer x.e.mu.Unlock()
		if x.e.foreign != nil {
			f(x.e.foreign)
		}
		return nil
	})
}

func (x tapNeighbours) Foreign(ctx context.Context, name string) (a Aside, ok bool, err error) {
	err = x.with(ctx, "foreign", func(f *Aside) {
		if ok = f.Name == name; ok {
			a = *f
		}
	})
	return a, ok, err
}

func (x tapNeighbours) HoldAside(ctx context.Context, a Aside) error {
	return x.with(ctx, "hold aside", func(f *Aside) { *f = Aside{ID: a.ID, Name: a.Name + ".before-castellan", Restart: noRestart} })
}

func (x tapNeighbours) GiveBack(ctx context.Context, a Aside) error {
	return x.with(ctx, "give back", func(f *Aside) { *f = a })
}

// tapJournal counts the writes; reads are of memory.
type tapJournal struct {
	*tap
	j *state.Journal
}

func (x tapJournal) Update(f func(*state.Tx) error) error {
	return x.call(context.Background(), "journal", func() error { return x.j.Update(f) })
}

func (x tapJournal) View(f func(*state.Tx) error) error { return x.j.View(f) }
