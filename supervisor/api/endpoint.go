package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// endpoint is what answers a route, with its types beside it: the server binds a request to them, and the description of
// the API is made of them.
//
// A request type is a struct. Fields tagged `path:"slug"`, `query:"last"` and `header:"Range"` come from there, with the
// bounds their minimum, maximum and enum tags say. A field Body is the JSON object of the body; without one the body must be
// an empty object. A field Raw, of bytes, is the body as it came.
type endpoint struct {
	in, out reflect.Type
	media   string                             // of an answer that is no envelope, "" = JSON
	text    bool                               // errors are plain text too
	long    bool                               // it may take as long as it takes: it follows something, or waits for work
	stream  bool                               // its body is read as it comes and may be of any size
	next    bool                               // the message of an error says what to do next
	guard   func(*Server, *http.Request) error // is asked before anything is read
	answer  func(context.Context, *Server, Caller, *http.Request) (any, error)
}

// checker is a body that knows what is wrong with it.
type checker interface{ check() error }

// none is a request, or an answer, that says nothing.
type none struct{}

// call makes an endpoint of a function.
func call[In, Out any](do func(*Server, context.Context, Caller, In) (Out, error)) endpoint {
	e := endpoint{in: reflect.TypeFor[In](), out: reflect.TypeFor[Out]()}
	e.answer = bound(e.in, func() any { return new(In) }, func(s *Server, ctx context.Context, c Caller, in any) (any, error) {
		return do(s, ctx, c, *in.(*In))
	})
	return e
}

// bound reads a request into what fresh makes, a pointer to in, and has do answer. It is the same code for all types: that of
// each is told apart in a few instructions.
func bound(in reflect.Type, fresh func() any, do func(*Server, context.Context, Caller, any) (any, error)) func(context.Context, *Server, Caller, *http.Request) (any, error) {
	read := binderOf(in)
	return func(ctx context.Context, s *Server, c Caller, r *http.Request) (any, error) {
		to := fresh()
		if err := read(r, reflect.ValueOf(to).Elem()); err != nil {
			return nil, err
		}
		if check, ok := reflect.ValueOf(to).Elem().Interface().(checker); ok {
			if err := check.check(); err != nil {
				return nil, err
			}
		}
		return do(s, ctx, c, to)
	}
}

// raw makes an endpoint whose answer is a file or a stream of a media type.
func raw[In any](media string, do func(*Server, context.Context, Caller, In) (io.ReadCloser, error)) endpoint {
	e := call(func(s *Server, ctx context.Context, c Caller, in In) (rawAnswer, error) {
		body, err := do(s, ctx, c, in)
		return rawAnswer{contentType: media, body: body}, err
	})
	e.out, e.media = nil, media
	return e
}

// plain has errors answered as text too, as Home Assistant does where the answer is text.
func (e endpoint) plain() endpoint { e.text = true; return e }

// lasting lets a call take as long as it takes.
func (e endpoint) lasting() endpoint { e.long = true; return e }

// guarded asks before anything is read.
func (e endpoint) guarded(by func(*Server, *http.Request) error) endpoint { e.guard = by; return e }

// param is a field that comes from elsewhere than the body.
type param struct {
	field       []int
	where, name string
	typ         reflect.Type
	least, most string // bounds of a number
	enum        []string
}

// binderOf prepares the reading of a request type. A type that cannot be read is a mistake in the table, which every start
// and every test would meet.
func binderOf(t reflect.Type) func(*http.Request, reflect.Value) error {
	params := paramsOf(t)
	body, hasBody := t.FieldByName("Body")
	bytes, hasRaw := t.FieldByName("Raw")
	return func(r *http.Request, into reflect.Value) error {
		query := r.URL.Query()
		for _, p := range params {
			v := r.PathValue(p.name)
			switch p.where {
			case "query":
				if v = query.Get(p.name); v == "" && p.typ.Kind() == reflect.Bool && query.Has(p.name) {
					v = "1" // "?no_colors" says yes
				}
			case "header":
				v = r.Header.Get(p.name)
			}
			if err := p.set(into.FieldByIndex(p.field), v); err != nil {
				return err
			}
		}
		switch {
		case r.Method == http.MethodGet || r.Method == http.MethodHead: // their bodies mean nothing
			return nil
		case hasRaw:
			b, err := readAll(r)
			into.FieldByIndex(bytes.Index).SetBytes(b)
			return err
		case !hasBody:
			return readBody(r, &none{})
		}
		v := into.FieldByIndex(body.Index)
		if err := readBody(r, v.Addr().Interface()); err != nil {
			return err
		}
		if check, ok := v.Interface().(checker); ok {
			return check.check()
		}
		return nil
	}
}

// paramsOf are the fields of a request type that come from elsewhere than the body.
func paramsOf(t reflect.Type) (out []param) {
	for _, f := range reflect.VisibleFields(t) {
		for _, where := range []string{"path", "query", "header"} {
			name, ok := f.Tag.Lookup(where)
			if !ok {
				continue
			}
			p := param{field: f.Index, where: where, name: name, typ: f.Type, least: f.Tag.Get("minimum"), most: f.Tag.Get("maximum")}
			if e := f.Tag.Get("enum"); e != "" {
				p.enum = strings.Split(e, ",")
			}
			out = append(out, p)
		}
	}
	return out
}

// set reads one value. An empty one of the query or a header is one that is not there.
func (p param) set(into reflect.Value, v string) error {
	wrong := func(want string) error {
		return badRequest("cannot read %s %q %.40q: want %s", p.where, p.name, v, want)
	}
	if v == "" && p.where != "path" {
		return nil
	}
	switch p.typ.Kind() {
	case reflect.String:
		if len(p.enum) > 0 && !slices.Contains(p.enum, v) {
			return wrong(strings.Join(p.enum, ", "))
		}
		into.SetString(v)
	case reflect.Bool:
		switch v {
		case "1", "true":
			into.SetBool(true)
		case "0", "false":
		default:
			return wrong("1 or 0")
		}
	case reflect.Int, reflect.Uint64:
		n, err := strconv.ParseInt(v, 10, 64)
		least, most := p.bounds()
		if err != nil || n < least || n > most {
			if p.most == "" {
				return wrong(fmt.Sprintf("a number from %d", least))
			}
			return wrong(fmt.Sprintf("a number from %d to %d", least, most))
		}
		if p.typ.Kind() == reflect.Int {
			into.SetInt(n)
		} else {
			into.SetUint(uint64(n))
		}
	}
	return nil
}

// bounds of a number that is not said to have any are those of no number below zero.
func (p param) bounds() (least, most int64) {
	most = 1<<63 - 1
	if n, err := strconv.ParseInt(p.least, 10, 64); err == nil {
		least = n
	}
	if n, err := strconv.ParseInt(p.most, 10, 64); err == nil {
		most = n
	}
	return least, most
}
