// Package supervisor moves services from one image to another and keeps exactly one generation of each running.
//
// # Crash model
//
// The process, the engine or the power may go at any instruction; a call may hang; an answer may be lost although
// the call took effect. Nothing is undone by hand afterwards. Therefore every change is a row in a journal, every
// state of it means "the way into this state is finished and on disk; the way out of it may have begun", every step
// starts by looking at what is there and can run twice, and recovery is nothing but calling the same step again.
//
// # What it may not do
//
// It never decides what is newest (updater does) and never lets an image in on its own: [Images.Pull] and
// [Containers.Create] take a [trust.Permit], which only the Gate makes, after the verdict is in the log.
package supervisor

import (
	"context"
	"errors"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/trust"
)

// ErrEngineAway says that the engine could not be reached or did not answer. It is never a fault of the image: a
// change that has begun to switch waits for the engine, however long that takes.
var ErrEngineAway = errors.New("the container engine does not answer")

// ErrNotPermitted says that an image, a container or its owner is not what the permit or the appliance's labels
// allow. Trying again changes nothing.
var ErrNotPermitted = errors.New("not permitted")

// ErrNoSpace says that a disk is full: the engine's, or the one that snapshots lie on.
var ErrNoSpace = errors.New("the disk is full")

// ErrPortTaken says that a published port is another container's or a program's of the host. Trying again changes
// nothing until its owner gives it up.
var ErrPortTaken = errors.New("the port is taken")

// ErrDeviceMissing says that a device of the specification is not plugged in. It is never a fault of the image.
var ErrDeviceMissing = errors.New("the device is missing")

// Image is an image the engine holds.
type Image struct {
	ID       trust.Digest // as the engine names it: config, manifest or index digest, by image store
	Platform trust.Platform
	Size     int64 // bytes
}

// Container is a container the engine holds that carries our labels.
type Container struct {
	ID        string
	Name      string
	Image     trust.Digest // image ID
	Service   string       // label io.castellan.service
	Change    string       // label io.castellan.change: the change that created it
	Running   bool
	Started   time.Time // zero when it never ran
	ExitCode  int
	OOMKilled bool
	Restarts  int
	Restart   string // restart policy: "no" or "unless-stopped"
	Health    string // the engine's own HEALTHCHECK: "", "starting", "healthy", "unhealthy"
	IP        string // address on its bridge network; "" on the host network
}

// Labels on every container and the only means by which they are found again. They cannot change after creation.
const (
	LabelService = "io.castellan.service"
	LabelChange  = "io.castellan.change"
	LabelVersion = "io.castellan.version"
	LabelSeq     = "io.castellan.verdict"   // verification log record of the permit
	LabelHouse   = "io.castellan.appliance" // which Castellan owns it: two on one engine never touch each other's
)

// Images is the image half of an engine. Calls return when the effect is done or ctx ends; an error leaves it
// unknown whether they took effect, so callers look again. They may be called at the same time.
type Images interface {
	// Pull makes the engine hold the permit's image, byte for byte, and returns what it holds. It is refused for a
	// zero Permit. An image already there is a success without any download.
	Pull(ctx context.Context, permit trust.Permit, progress func(done, total int64)) (Image, error)
	// Image looks an image up by any of its digests; ok is false when the engine does not hold it.
	Image(ctx context.Context, s trust.Subject) (img Image, ok bool, err error)
	// RemoveImage deletes an image that no container uses; a missing one is a success.
	RemoveImage(ctx context.Context, id trust.Digest) error
}

// Containers is the container half of an engine, under the same rules as [Images].
type Containers interface {
	// Create makes a stopped container from the image ID img with restart policy "no". It is refused unless the
	// permit permits the service to run img. An existing container of the same change and service is returned as
	// it is.
	Create(ctx context.Context, permit trust.Permit, img trust.Digest, n Naming, c spec.Container) (Container, error)
	// Start starts it; a running one is a success. It returns once its address answers ARP on this host.
	Start(ctx context.Context, id string) error
	// Stop sends the stop signal, waits for timeout, kills; a stopped or missing one is a success.
	Stop(ctx context.Context, id string, timeout time.Duration) error
	// Remove deletes a container, stopped or not; a missing one is a success. Volumes stay.
	Remove(ctx context.Context, id string) error
	// Settle gives it its name and restart policy; both may already be so.
	Settle(ctx context.Context, id, name, restart string) error
	// List returns the containers of one service of this appliance, running or not; "" = of all services, which costs a
	// request to the engine for each container.
	List(ctx context.Context, service string) ([]Container, error)
	// Exec runs a command inside a running container, for health checks.
	Exec(ctx context.Context, id string, command []string) (exit int, output []byte, err error)
}

// Aside is a container of somebody else that makes room for a service, as it was found.
type Aside struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Restart string `json:"restart"` // its restart policy, as Docker writes it
	Retries int    `json:"retries,omitempty"`
	Running bool   `json:"running"`
}

// Neighbours are the containers of an engine that are not Castellan's. Only one that its owner named is ever touched.
// Every call can run twice.
type Neighbours interface {
	// Foreign looks a container up by its name; ok is false when there is none. One of a Castellan is refused.
	Foreign(ctx context.Context, name string) (a Aside, ok bool, err error)
	// HoldAside stops it, so that no reboot revives it, and renames it to "<name>.before-castellan".
	HoldAside(ctx context.Context, a Aside) error
	// GiveBack makes it again what HoldAside found. A missing one is a success.
	GiveBack(ctx context.Context, a Aside) error
}

// Files looks after files and folders of services on the host.
type Files interface {
	// Plain is an error when one of the folders is missing or a link, which the engine would follow anywhere.
	Plain(ctx context.Context, folders []string) error
	// Write returns after all of them survive a power cut. It can run twice.
	Write(ctx context.Context, files []spec.File) error
}

// Naming is what identifies a container that is to be created.
type Naming struct {
	Service string
	Change  string
	Version string
	Name    string
}

// Resolved is what a reference stood for when it was looked up. Nothing after it takes a tag.
type Resolved struct {
	Subject trust.Subject
	Raw     trust.Raw
	Size    int64 // bytes to download when the engine holds none of it
}

// Fetcher looks references up in registries.
type Fetcher interface {
	// Resolve answers for the appliance's platform. Errors are about the registry, never about trust.
	Resolve(ctx context.Context, service string, class trust.Class, reference, version string) (Resolved, error)
}

// Authority is the Gate as the machine sees it.
type Authority interface {
	// Admit judges, logs, and only then permits. err is nil exactly when the permit is valid; a refusal or deferral
	// comes as *trust.RefusedError or *trust.DeferredError with the verdict inside; any other error is a failing disk.
	Admit(ctx context.Context, r trust.Request) (trust.Permit, trust.Verdict, error)
	// Healthy tells that a permitted image passed probation: pins and floors rise.
	Healthy(ctx context.Context, v trust.Verdict) error
}

// Story is the verification log as the machine sees it: what was done, beside what was judged.
type Story interface {
	// RecordAction returns after the record is on disk.
	RecordAction(ctx context.Context, a Action) (seq uint64, err error)
}

// Action is one line of the story.
type Action struct {
	Change  string       `json:"change"`
	Service string       `json:"service"`
	What    string       `json:"what"` // "committed", "rolled-back", "stuck", "abandoned", "refused", "deferred", "removed", …
	From    string       `json:"from,omitempty"`
	To      string       `json:"to,omitempty"`
	Image   trust.Digest `json:"image,omitempty"` // what runs now
	Why     string       `json:"why,omitempty"`
	Verdict uint64       `json:"verdict,omitempty"` // log record of the verdict
}

// Snapshots keeps a service's data for the way back (supervisor/backup). Every call can run twice.
type Snapshots interface {
	// Prepare copies what can be copied while the service runs.
	Prepare(ctx context.Context, service, change string, paths []string) error
	// Take makes the snapshot complete; the service is stopped.
	Take(ctx context.Context, service, change string, paths []string) error
	// Restore puts the data back as Take found it; the service is stopped. Without a finished Take it does nothing.
	Restore(ctx context.Context, service, change string, paths []string) error
	// Drop forgets it.
	Drop(ctx context.Context, service, change string) error
}
