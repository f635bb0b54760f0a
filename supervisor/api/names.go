package api

import (
	"fmt"
	"net/http"
	"regexp"
)

// Shapes of what bodies name. Nothing that leads out of a folder, and no part of a command or a query, has one.
var (
	nameShape    = regexp.MustCompile(`^[A-Za-z0-9][-_.A-Za-z0-9]{0,127}$`)
	versionShape = regexp.MustCompile(`^[A-Za-z0-9][-_.+~:A-Za-z0-9]{0,127}$`)
	digestShape  = regexp.MustCompile(`^(sha256:)?[0-9a-fA-F]{12,64}$`)
)

// named checks the names of a request; "" is none. A service whose name can be none is one that is not there.
func named(service, version, digest string) error {
	switch {
	case service != "" && !nameShape.MatchString(service):
		return &Error{Status: http.StatusNotFound, Key: "service_not_found", Message: fmt.Sprintf("no service %.60q is configured", service), Next: "castellan status"}
	case version != "" && !versionShape.MatchString(version):
		return badRequest("cannot read field \"version\": %.60q is no version", version)
	case digest != "" && !digestShape.MatchString(digest):
		return badRequest("cannot read field \"digest\": %.60q is no digest, want sha256: and 64 hexadecimal digits", digest)
	}
	return nil
}
