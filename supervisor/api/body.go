package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxBody is the Supervisor's body limit.
const maxBody = 16 << 20

// maxStranger is the limit of who has not logged in, and of viewers, who have no more to say than a password or a name.
const maxStranger = 16 << 10

func badRequest(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// readAll reads a body. One that is too large is answered with 400: Home Assistant's client shows no text beside 413.
func readAll(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return nil, badRequest("the body is larger than %d bytes", big.Limit)
		}
		return nil, badRequest("cannot read the body: %v", err)
	}
	return b, nil
}

// readBody decodes a strict JSON object: unknown, duplicate and case-variant keys are refused. An empty body is {}; its
// length and its type need not be said. Errors name places, never content: it may hold passwords.
func readBody(r *http.Request, into any) error {
	b, err := readAll(r)
	if err != nil || len(b) == 0 {
		return err
	}
	if err := jsonv2.Unmarshal(b, into, jsonv2.RejectUnknownMembers(true)); err != nil {
		var sem *jsonv2.SemanticError
		var syntax *jsontext.SyntacticError
		switch {
		case errors.As(err, &sem) && errors.Is(err, jsonv2.ErrUnknownName):
			return badRequest("extra keys not allowed @ %.200s", sem.JSONPointer)
		case errors.As(err, &sem):
			return badRequest("wrong type @ %.200s: want %s", sem.JSONPointer, plainType(sem.GoType.String()))
		case errors.As(err, &syntax):
			return badRequest("Invalid json at byte %d", syntax.ByteOffset)
		}
		return badRequest("Invalid json")
	}
	return nil
}

// plainType is a type as a caller may read it.
func plainType(name string) string {
	switch {
	case strings.HasPrefix(name, "[]"):
		return "a list"
	case strings.HasPrefix(name, "map["), strings.HasPrefix(name, "api."), strings.Contains(name, "struct"):
		return "an object"
	}
	return strings.TrimPrefix(name, "*")
}

// unmarshal reads a part of a body that is valid JSON already.
func unmarshal(v jsontext.Value, into any, where string) error {
	if err := jsonv2.Unmarshal(v, into); err != nil {
		return badRequest("wrong type @ %s", where)
	}
	return nil
}
