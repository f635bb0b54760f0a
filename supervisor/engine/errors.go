package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/castellan/castellan/supervisor"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"
)

// VersionError says that what listens is too old, or is no Docker engine. It wraps [supervisor.ErrEngineAway]: an
// upgrade of the engine heals it without a restart of ours.
type VersionError struct {
	Host    string
	Version string // "19.03.15", "" when it would not say
	API     string // "1.40", "" when it named none
}

func (e *VersionError) Error() string {
	if e.API == "" {
		return fmt.Sprintf("what listens on %s names no Docker API version: check engine.host in castellan.yaml", e.Host)
	}
	what := "Docker engine"
	if e.Version != "" {
		what += " " + e.Version
	}
	return fmt.Sprintf("%s (API %s) on %s is too old: need Docker 20.10 (API %s) or newer; "+
		"upgrade it, on Debian with: sudo apt-get install docker.io", what, e.API, e.Host, MinAPI)
}

// Unwrap makes it a [supervisor.ErrEngineAway].
func (e *VersionError) Unwrap() error { return supervisor.ErrEngineAway }

// classify turns an error of the SDK into one the supervisor can act on. What fits nowhere stays as it is: the
// engine's own word on this one call.
func (e *Engine) classify(ctx context.Context, err error) error {
	var version *VersionError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &version),
		errors.Is(err, supervisor.ErrNotPermitted), errors.Is(err, supervisor.ErrEngineAway), errors.Is(err, supervisor.ErrNoSpace),
		errors.Is(err, supervisor.ErrPortTaken), errors.Is(err, supervisor.ErrDeviceMissing):
		return err
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("%w: %s", supervisor.ErrEngineAway, e.whyAway(err))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), cerrdefs.IsUnavailable(err):
		return fmt.Errorf("%w: the answer of %s was cut off: %w", supervisor.ErrEngineAway, e.cfg.Host, err)
	case cerrdefs.IsInvalidArgument(err) && strings.Contains(err.Error(), "client version"):
		// "client version 1.41 is too old": the engine was upgraded under us. The next call negotiates anew.
		return fmt.Errorf("%w: it was replaced by another version: %w", supervisor.ErrEngineAway, err)
	case strings.Contains(err.Error(), "no space left on device"):
		return fmt.Errorf("%w: %w", supervisor.ErrNoSpace, err)
	}
	return err
}

// whyAway looks at the socket itself, because the SDK says the same for a missing socket, a forbidden one and a dead
// one, and the next step differs.
func (e *Engine) whyAway(err error) string {
	socket, ok := strings.CutPrefix(e.cfg.Host, "unix://")
	if !ok {
		return fmt.Sprintf("%v; check engine.host in castellan.yaml", err)
	}
	if _, err := os.Stat(socket); errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("there is no socket %s: install an engine (sudo apt-get install docker.io), start it "+
			"(sudo systemctl start docker) or set engine.host in castellan.yaml", socket)
	}
	conn, dialErr := net.DialTimeout("unix", socket, time.Second)
	switch {
	case dialErr == nil:
		_ = conn.Close() // it is back
		return err.Error()
	case errors.Is(dialErr, fs.ErrPermission):
		return fmt.Sprintf("no permission for %s: run castellan as root or add its user to the group docker", socket)
	case errors.Is(dialErr, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens on %s: start the engine (sudo systemctl start docker)", socket)
	}
	return dialErr.Error()
}

// away tells whether the engine is to be asked for its version again.
func away(err error) bool { return errors.Is(err, supervisor.ErrEngineAway) }

// notPermitted is for what no retry changes.
func notPermitted(format string, args ...any) error {
	return fmt.Errorf("%w: %s", supervisor.ErrNotPermitted, fmt.Sprintf(format, args...))
}
