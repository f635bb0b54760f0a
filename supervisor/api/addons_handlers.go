package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MaxStdin bounds one write to an add-on's standard input, in bytes.
const MaxStdin = 64 << 10

// maxAsks bounds the rights of a request; a manifest asks for far fewer.
const maxAsks = 1000

func by(r *http.Request) string { return peerOf(r.Context()).String() }

func postInstall(a Addons, r *http.Request, slug string) (any, error) {
	req, err := readAll(r, func(q InstallRequest) error { return checkAsks(q.Asks) })
	if err != nil {
		return nil, err
	}
	return accepted(a.Life().Install(r.Context(), slug, req, by(r)))
}

func postUninstall(a Addons, r *http.Request, slug string) (any, error) {
	req, err := readAll(r, func(q UninstallRequest) error {
		return oneOf("uninstall", "data", q.Data, "", DataKeep, Data30Days, DataDelete)
	})
	if err != nil {
		return nil, err
	}
	if req.Data == "" {
		req.Data = DataKeep
	}
	return accepted(a.Life().Uninstall(r.Context(), slug, req, by(r)))
}

func postAddonUpdate(a Addons, r *http.Request, slug string) (any, error) {
	req, err := readAll[AddonUpdateRequest](r, nil)
	if err != nil {
		return nil, err
	}
	return accepted(a.Life().Update(r.Context(), slug, req))
}

func postAddonRollback(a Addons, r *http.Request, slug string) (any, error) {
	if err := nothing(r); err != nil {
		return nil, err
	}
	return accepted(a.Life().Rollback(r.Context(), slug))
}

func postBuild(a Addons, r *http.Request, slug string) (any, error) {
	req, err := readAll(r, func(q BuildRequest) error { return checkAsks(q.Asks) })
	if err != nil {
		return nil, err
	}
	return accepted(a.Life().Build(r.Context(), slug, req))
}

func postImport(a Addons, r *http.Request, slug string) (any, error) {
	req, err := readAll(r, func(q ImportRequest) error {
		if !filepath.IsAbs(q.Path) || filepath.Clean(q.Path) != q.Path || strings.ContainsRune(q.Path, 0) {
			return badRequest("cannot import: field \"path\" is %.200q, want the absolute path of a backup file", q.Path)
		}
		return checkAsks(q.Asks)
	})
	if err != nil {
		return nil, err
	}
	return accepted(a.Life().Import(r.Context(), slug, req, by(r)))
}

func postConsent(a Addons, r *http.Request, slug string) (any, error) {
	req, err := readAll(r, func(q ConsentRequest) error {
		switch {
		case q.Version == "":
			return missing("note the consent", "version")
		case len(q.Asks) == 0:
			return missing("note the consent", "asks")
		}
		return checkAsks(q.Asks)
	})
	if err != nil {
		return nil, err
	}
	return accepted(a.Life().Consent(r.Context(), slug, req, by(r)))
}

func checkAsks(asks []string) error {
	if len(asks) > maxAsks {
		return badRequest("field \"asks\" has %d rights, at most %d are read", len(asks), maxAsks)
	}
	return nil
}

func postStart(a Addons, r *http.Request, slug string) (any, error) {
	if err := nothing(r); err != nil {
		return nil, err
	}
	return accepted(a.Power().Start(r.Context(), slug))
}

func postStop(a Addons, r *http.Request, slug string) (any, error) {
	if err := nothing(r); err != nil {
		return nil, err
	}
	return accepted(a.Power().Stop(r.Context(), slug))
}

func postRestart(a Addons, r *http.Request, slug string) (any, error) {
	if err := nothing(r); err != nil {
		return nil, err
	}
	return accepted(a.Power().Restart(r.Context(), slug))
}

func postStdin(a Addons, r *http.Request, slug string) (any, error) {
	req, err := readAll(r, func(q StdinRequest) error {
		switch {
		case q.Data == "":
			return missing("write to the standard input", "data")
		case len(q.Data) > MaxStdin:
			return &Error{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("field \"data\" is larger than %d bytes", MaxStdin)}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.Power().Stdin(r.Context(), slug, []byte(req.Data))
}

func postOptions(a Addons, r *http.Request, slug string) (any, error) {
	options, err := readOptions(r, false)
	if err != nil {
		return nil, err
	}
	return kept(a.Settings().SetOptions(r.Context(), slug, options))
}

func postValidate(a Addons, r *http.Request, slug string) (any, error) {
	options, err := readOptions(r, true)
	if err != nil {
		return nil, err
	}
	check, err := a.Settings().CheckOptions(r.Context(), slug, options)
	fill(&check.Dropped)
	return check, err
}

// readOptions is the object or null under "options"; nil for null. Only a check may leave it out.
func readOptions(r *http.Request, may bool) (json.RawMessage, error) {
	req, err := readAll[OptionsRequest](r, nil)
	if err != nil {
		return nil, err
	}
	switch {
	case len(req.Options) == 0 && !may:
		return nil, missing("set options", "options")
	case len(req.Options) == 0, bytes.Equal(req.Options, []byte("null")):
		return nil, nil
	case req.Options[0] != '{':
		return nil, badRequest("wrong type @ /options: want an object, or null for the author's options")
	}
	return req.Options, nil
}

// portShape is a container's port.
var portShape = regexp.MustCompile(`^[1-9][0-9]{0,4}/(tcp|udp)$`)

func postSettings(a Addons, r *http.Request, slug string) (any, error) {
	req, err := readAll(r, checkSettings)
	if err != nil {
		return nil, err
	}
	return kept(a.Settings().Set(r.Context(), slug, req, by(r)))
}

func checkSettings(q SettingsRequest) error {
	if q.Ports == nil && q.Boot == nil && q.AutoUpdate == nil && q.Watchdog == nil && q.Protected == nil {
		return badRequest("cannot change the settings: none is named; want ports, boot, auto_update, watchdog or protected")
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

func kept(k Kept, err error) (any, error) {
	fill(&k.Dropped)
	return k, err
}

// nothing reads the body of a call that has no fields.
func nothing(r *http.Request) error {
	_, err := readAll[struct{}](r, nil)
	return err
}

// Lines of a log, as Home Assistant counts them.
const (
	defaultLines = 100
	mostLines    = 100_000
)

func getLogs(a Addons, r *http.Request, slug string) (any, error) {
	lines := defaultLines
	if v := r.URL.Query().Get("lines"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > mostLines {
			return nil, badRequest("cannot read query \"lines\" %.20q: want a number from 1 to %d", v, mostLines)
		}
		lines = n
	}
	follow, err := queryBool(r, "follow")
	if err != nil {
		return nil, err
	}
	body, err := a.Output().Logs(r.Context(), slug, lines, follow)
	if err != nil {
		return nil, err
	}
	return rawAnswer{"text/plain; charset=utf-8", body}, nil
}

func getStats(a Addons, r *http.Request, slug string) (any, error) {
	return a.Output().Stats(r.Context(), slug)
}

// pngSignature begins every PNG file.
var pngSignature = []byte("\x89PNG\r\n\x1a\n")

func getFile(f AddonFile, contentType string) addonCall {
	pictures := []AddonFile{FileIcon, FileLogo}
	return func(a Addons, r *http.Request, slug string) (any, error) {
		b, err := a.Output().File(r.Context(), slug, f)
		none := errors.Is(err, fs.ErrNotExist)
		if err != nil && !none {
			return nil, err
		}
		if none || slices.Contains(pictures, f) && !bytes.HasPrefix(b, pngSignature) {
			return nil, &Error{Status: http.StatusNotFound, Key: "file_not_found", Message: fmt.Sprintf("%s has no %s", slug, f),
				Next: "castellan addon info " + slug}
		}
		return rawAnswer{contentType, io.NopCloser(bytes.NewReader(b))}, nil
	}
}
