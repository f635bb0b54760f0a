package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// MaxStdin bounds one write to an add-on's standard input, in bytes.
const MaxStdin = 64 << 10

// maxAsks bounds the rights of a request; a manifest asks for far fewer.
const maxAsks = 1000

func (q InstallRequest) check() error { return checkAsks(q.Asks) }

func postInstall(ctx context.Context, a Addons, c Caller, slug string, q InstallRequest) (Accepted, error) {
	return accepted(a.Life().Install(ctx, slug, q, c.String()))
}

func (q UninstallRequest) check() error {
	return oneOf("uninstall", "data", q.Data, "", DataKeep, Data30Days, DataDelete)
}

func postUninstall(ctx context.Context, a Addons, c Caller, slug string, q UninstallRequest) (Accepted, error) {
	q.Data = cmp.Or(q.Data, DataKeep)
	return accepted(a.Life().Uninstall(ctx, slug, q, c.String()))
}

func (q AddonUpdateRequest) check() error { return named("", q.Version, "") }

func postAddonUpdate(ctx context.Context, a Addons, _ Caller, slug string, q AddonUpdateRequest) (Accepted, error) {
	return accepted(a.Life().Update(ctx, slug, q))
}

func postAddonRollback(ctx context.Context, a Addons, _ Caller, slug string, _ none) (Accepted, error) {
	return accepted(a.Life().Rollback(ctx, slug))
}

func (q BuildRequest) check() error { return checkAsks(q.Asks) }

func postBuild(ctx context.Context, a Addons, _ Caller, slug string, q BuildRequest) (Accepted, error) {
	return accepted(a.Life().Build(ctx, slug, q))
}

func (q ImportRequest) check() error {
	if !filepath.IsAbs(q.Path) || filepath.Clean(q.Path) != q.Path || strings.ContainsRune(q.Path, 0) {
		return badRequest("cannot import: field \"path\" is %.200q, want the absolute path of a backup file", q.Path)
	}
	return checkAsks(q.Asks)
}

func postImport(ctx context.Context, a Addons, c Caller, slug string, q ImportRequest) (Accepted, error) {
	return accepted(a.Life().Import(ctx, slug, q, c.String()))
}

func (q ConsentRequest) check() error {
	switch {
	case q.Version == "":
		return missing("note the consent", "version")
	case len(q.Asks) == 0:
		return missing("note the consent", "asks")
	}
	return cmp.Or(named("", q.Version, ""), checkAsks(q.Asks))
}

func postConsent(ctx context.Context, a Addons, c Caller, slug string, q ConsentRequest) (Accepted, error) {
	return accepted(a.Life().Consent(ctx, slug, q, c.String()))
}

func checkAsks(asks []string) error {
	if len(asks) > maxAsks {
		return badRequest("field \"asks\" has %d rights, at most %d are read", len(asks), maxAsks)
	}
	return nil
}

func postStart(ctx context.Context, a Addons, _ Caller, slug string, _ none) (Accepted, error) {
	return accepted(a.Power().Start(ctx, slug))
}

func postStop(ctx context.Context, a Addons, _ Caller, slug string, _ none) (Accepted, error) {
	return accepted(a.Power().Stop(ctx, slug))
}

func postRestart(ctx context.Context, a Addons, _ Caller, slug string, _ none) (Accepted, error) {
	return accepted(a.Power().Restart(ctx, slug))
}

func (q StdinRequest) check() error {
	switch {
	case q.Data == "":
		return missing("write to the standard input", "data")
	case len(q.Data) > MaxStdin:
		return badRequest("field \"data\" is larger than %d bytes", MaxStdin)
	}
	return nil
}

func postStdin(ctx context.Context, a Addons, _ Caller, slug string, q StdinRequest) (none, error) {
	return none{}, a.Power().Stdin(ctx, slug, []byte(q.Data))
}

func (s *Server) postOptions(ctx context.Context, _ Caller, in addonIn[OptionsRequest]) (Kept, error) {
	if len(in.Body.Options) == 0 {
		return Kept{}, missing("set options", "options")
	}
	options, err := in.Body.object()
	if err != nil {
		return Kept{}, err
	}
	options, wrong, err := s.unmasked(ctx, in.Slug, options)
	switch {
	case err != nil:
		return Kept{}, err
	case wrong != nil:
		return Kept{}, wrong.err()
	}
	return kept(s.cfg.Backend.Addons().Settings().SetOptions(ctx, in.Slug, options))
}

func (s *Server) postValidate(ctx context.Context, _ Caller, in addonIn[OptionsRequest]) (OptionsCheck, error) {
	options, err := in.Body.object()
	if err != nil {
		return OptionsCheck{}, err
	}
	options, wrong, err := s.unmasked(ctx, in.Slug, options)
	switch {
	case err != nil:
		return OptionsCheck{}, err
	case wrong != nil:
		return *wrong, nil
	}
	check, err := s.cfg.Backend.Addons().Settings().CheckOptions(ctx, in.Slug, options)
	fill(&check.Dropped)
	return check, err
}

// object is the object or null under "options"; nil for null, and for none.
func (q OptionsRequest) object() (json.RawMessage, error) {
	switch {
	case len(q.Options) == 0, bytes.Equal(q.Options, []byte("null")):
		return nil, nil
	case q.Options[0] != '{':
		return nil, badRequest("wrong type @ /options: want an object, or null for the author's options")
	}
	return q.Options, nil
}

// portShape is a container's port.
var portShape = regexp.MustCompile(`^[1-9][0-9]{0,4}/(tcp|udp)$`)

func postSettings(ctx context.Context, a Addons, c Caller, slug string, q SettingsRequest) (Kept, error) {
	return kept(a.Settings().Set(ctx, slug, q, c.String()))
}

func (q SettingsRequest) check() error {
	if q.Ports == nil && q.Boot == nil && q.AutoUpdate == nil && q.Watchdog == nil && q.Protected == nil && q.Panel == nil {
		return badRequest("cannot change the settings: none is named; want ports, boot, auto_update, watchdog, protected or ingress_panel")
	}
	for port, host := range q.Ports {
		if n, err := strconv.Atoi(strings.SplitN(port, "/", 2)[0]); !portShape.MatchString(port) || err != nil || n > 65535 {
			return badRequest("cannot change the settings: port %.40q, want one as \"80/tcp\"", port)
		}
		if host != nil && *host == 0 {
			return badRequest("cannot change the settings: port %q has the host port 0, want 1 to 65535, or null for none", port)
		}
	}
	if q.Boot != nil {
		return oneOf("change the settings", "boot", *q.Boot, "auto", "manual")
	}
	return nil
}

func kept(k Kept, err error) (Kept, error) {
	fill(&k.Dropped)
	return k, err
}

// defaultLines of a log, as Home Assistant counts them.
const defaultLines = 100

type logsIn struct {
	Slug   string `path:"slug"`
	Lines  int    `query:"lines" minimum:"1" maximum:"100000"`
	Follow bool   `query:"follow"`
}

func (s *Server) getLogs(ctx context.Context, _ Caller, in logsIn) (io.ReadCloser, error) {
	return s.cfg.Backend.Addons().Output().Logs(ctx, in.Slug, LogRequest{Lines: cmp.Or(in.Lines, defaultLines), Follow: in.Follow})
}

func getStats(ctx context.Context, a Addons, _ Caller, slug string, _ none) (AddonStats, error) {
	return a.Output().Stats(ctx, slug)
}

// pngSignature begins every PNG file.
var pngSignature = []byte("\x89PNG\r\n\x1a\n")

// file makes an endpoint of one of an add-on's files.
func file(f AddonFile, media string) endpoint {
	return raw(media, func(s *Server, ctx context.Context, _ Caller, in slugIn) (io.ReadCloser, error) {
		b, err := s.addonFile(ctx, in.Slug, f)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &Error{Status: http.StatusNotFound, Key: "file_not_found", Message: fmt.Sprintf("%s has no %s", in.Slug, f),
				Next: "castellan addon info " + in.Slug}
		}
		return io.NopCloser(bytes.NewReader(b)), err
	}).guarded(hasAddons)
}

// addonFile reads a file of an add-on; what should be a picture and is none is not there.
func (s *Server) addonFile(ctx context.Context, slug string, f AddonFile) ([]byte, error) {
	b, err := s.cfg.Backend.Addons().Output().File(ctx, slug, f)
	if err == nil && (f == FileIcon || f == FileLogo) && !bytes.HasPrefix(b, pngSignature) {
		return nil, fs.ErrNotExist
	}
	return b, err
}
