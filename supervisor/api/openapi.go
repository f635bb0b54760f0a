package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/addons/services"
)

// OpenAPI describes the API in OpenAPI 3.1, as indented JSON. It is made of the table of routes and their types; who may
// call what is under x-castellan-access.
func OpenAPI(version string) ([]byte, error) {
	b, err := json.Marshal(document(version))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "\t"); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// schemaPrefix is where the types are.
const schemaPrefix = "#/components/schemas/"

func document(version string) *huma.OpenAPI {
	types := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	types.RegisterTypeAlias(reflect.TypeFor[jsontext.Value](), reflect.TypeFor[json.RawMessage]()) // any JSON
	types.RegisterTypeAlias(reflect.TypeFor[services.Config](), reflect.TypeFor[json.RawMessage]())
	types.Map()["Failure"] = failure()
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "Castellan", Version: version, License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			Description: "Home Assistant's Supervisor API v1, and Castellan's own calls under /castellan/. " +
				"A success is exactly 200. Bodies are strict: keys that are not named here are refused."},
		Servers: []*huma.Server{{URL: "http://supervisor", Description: "for add-ons, and with the host token"},
			{URL: "http://castellan", Description: "on the unix socket"}},
		Paths: map[string]*huma.PathItem{},
		Components: &huma.Components{Schemas: types, SecuritySchemes: map[string]*huma.SecurityScheme{
			"token": {Type: "http", Scheme: "bearer", Description: "An add-on's token, or the host's. X-Supervisor-Token and X-Hassio-Key are read before. " +
				"On the network of the house, an API token."},
			"session": {Type: "apiKey", In: "cookie", Name: "__Host-castellan", Description: "On the network of the house; castellan without TLS. " +
				"Whatever is no GET needs X-CSRF-Token too, as /castellan/me says it."}}},
	}
	rows := table()
	for _, p := range passages {
		rows = append(rows, p.described()...)
	}
	for _, rt := range rows {
		if rt.method == "" {
			continue
		}
		item := doc.Paths[rt.path]
		if item == nil {
			item = &huma.PathItem{}
			doc.Paths[rt.path] = item
		}
		op := operation(rt, types)
		switch rt.method {
		case "GET":
			item.Get = op
		case "POST":
			item.Post = op
		case "PUT":
			item.Put = op
		case "PATCH":
			item.Patch = op
		case "DELETE":
			item.Delete = op
		}
	}
	openAnswers(doc, types)
	return doc
}

// openAnswers lets answers have more keys than are named: a later version adds some, and no client is to break on it. What
// bodies are made of stays strict.
func openAnswers(doc *huma.OpenAPI, types huma.Registry) {
	strict := map[string]bool{}
	var mark func(*huma.Schema)
	mark = func(s *huma.Schema) {
		if s == nil {
			return
		}
		if name := strings.TrimPrefix(s.Ref, schemaPrefix); s.Ref != "" && !strict[name] {
			strict[name] = true
			mark(types.Map()[name])
		}
		mark(s.Items)
		if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
			mark(values)
		}
		for _, p := range s.Properties {
			mark(p)
		}
	}
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Post, item.Delete} {
			if op != nil && op.RequestBody != nil {
				for _, m := range op.RequestBody.Content {
					mark(m.Schema)
				}
			}
		}
	}
	for name, s := range types.Map() {
		if s.AdditionalProperties == false && !strict[name] {
			s.AdditionalProperties = nil
		}
	}
}

func operation(rt route, types huma.Registry) *huma.Operation {
	op := &huma.Operation{OperationID: operationID(rt), Summary: rt.doc, Tags: []string{strings.Split(rt.path, "/")[1]},
		Responses:  map[string]*huma.Response{"200": {Description: "It is so.", Content: success(rt, types)}, "default": refusal(rt)},
		Extensions: map[string]any{"x-castellan-access": map[string]string{"people": rt.peopleInWords(), "addons": rt.addons.inWords()}}}
	if rt.people != Nobody {
		op.Security = []map[string][]string{{"token": {}}}
		if rt.addons == never {
			op.Security = append(op.Security, map[string][]string{"session": {}})
		}
	}
	for _, p := range paramsOf(rt.in) {
		if p.where == "path" && !strings.Contains(rt.path, "{"+p.name+"}") {
			continue // the request is shared with a longer path
		}
		f := rt.in.FieldByIndex(p.field)
		op.Parameters = append(op.Parameters, &huma.Param{Name: p.name, In: p.where, Required: p.where == "path", Schema: huma.SchemaFromField(types, f, "")})
	}
	if rt.method == "GET" {
		return op
	}
	if body, ok := rt.in.FieldByName("Body"); ok {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Schema: types.Schema(body.Type, true, op.OperationID)}}}
	} else if _, ok := rt.in.FieldByName("Raw"); ok {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/octet-stream": {}}}
	}
	return op
}

// operationID is "postAddonsStart" for POST /addons/{slug}/start. Parameters are named where one path is the other's beginning.
func operationID(rt route) string {
	var b strings.Builder
	b.WriteString(strings.ToLower(rt.method))
	parts := strings.FieldsFunc(rt.path, func(c rune) bool { return c == '/' || c == '_' || c == '-' })
	for i, part := range parts {
		name, param := strings.CutPrefix(strings.TrimSuffix(part, "}"), "{")
		if param && i+1 < len(parts) && name != "backup" { // /backups/info is about all of them
			continue
		}
		b.WriteString(strings.ToUpper(name[:1]) + name[1:])
	}
	return b.String()
}

func success(rt route, types huma.Registry) map[string]*huma.MediaType {
	if rt.media != "" {
		return map[string]*huma.MediaType{rt.media: {Schema: &huma.Schema{Type: huma.TypeString}}}
	}
	return map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, Required: []string{"result", "data"},
		Properties: map[string]*huma.Schema{"result": {Type: huma.TypeString, Enum: []any{"ok"}}, "data": types.Schema(rt.out, true, operationID(rt)+"Data")}}}}
}

func refusal(rt route) *huma.Response {
	if rt.text {
		return &huma.Response{Description: "Why not, as text.", Content: map[string]*huma.MediaType{mediaText: {Schema: &huma.Schema{Type: huma.TypeString}}}}
	}
	return &huma.Response{Description: "Why not: 400, 401, 403, 404, 409, 429, 500, 502 or 503. 401 and 405 are plain text.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Failure"}}}}
}

// failure is the schema of an error.
func failure() *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Required: []string{"result", "message"}, Properties: map[string]*huma.Schema{
		"result":       {Type: huma.TypeString, Enum: []any{"error"}},
		"message":      {Type: huma.TypeString, Description: "what is wrong, for people"},
		"error_key":    {Type: huma.TypeString, Description: "stable, for programs"},
		"job_id":       {Type: huma.TypeString, Description: "the change that failed"},
		"extra_fields": {Type: huma.TypeObject, Description: "what a program needs to go on; next is what a person does now", AdditionalProperties: true},
	}}
}

func (rt route) peopleInWords() string {
	switch {
	case rt.people == noPerson:
		return "none"
	case rt.people == Nobody && rt.addons == every:
		return "everybody, also without a token"
	case rt.people == Nobody:
		return "everybody, also without a session"
	}
	return rt.people.String()
}

func (r addonRight) inWords() string {
	var out []string
	switch {
	case r == never:
		return "never"
	case r.any:
		return "every"
	case r.self:
		out = append(out, "itself")
	}
	if r.other != "" {
		out = append(out, "others by hassio_role "+r.other)
	}
	return strings.Join(slices.Compact(out), ", ")
}
