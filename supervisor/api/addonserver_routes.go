package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/addons/services"
)

// right says which add-ons may call a route.
type right int

const (
	everybody right = iota // also without a token
	addon                  // every add-on
	own                    // every add-on for itself: {slug} is "self" or its own
	never                  // no add-on, whatever its role: that is for people; and asking is logged
)

// addonRoute is one row of the table; method "" is all. handle returns the `data` of the envelope.
type addonRoute struct {
	method string
	path   string
	right  right
	handle func(*AddonServer, AddonCaller, *http.Request) (any, error)
}

// tokenRoutes is the whole API for add-ons. What is not in it is refused.
var tokenRoutes = []addonRoute{
	{"GET", "/supervisor/ping", everybody, func(*AddonServer, AddonCaller, *http.Request) (any, error) { return struct{}{}, nil }},
	{"GET", "/info", addon, func(s *AddonServer, _ AddonCaller, r *http.Request) (any, error) {
		return s.cfg.Backend.Info(r.Context())
	}},
	{"GET", "/addons/{slug}/info", own, (*AddonServer).getInfo},
	{"GET", "/addons/{slug}/options/config", own, (*AddonServer).getOptions},
	{"POST", "/addons/{slug}/options", own, (*AddonServer).postOptions},
	{"POST", "/addons/{slug}/stop", own, act(AddonStop)},
	{"POST", "/addons/{slug}/restart", own, act(AddonRestart)},
	{"GET", "/services", addon, (*AddonServer).getServices},
	{"GET", "/services/{service}", addon, (*AddonServer).getService},
	{"POST", "/services/{service}", addon, (*AddonServer).postService},
	{"DELETE", "/services/{service}", addon, (*AddonServer).deleteService},
	{"GET", "/discovery", addon, (*AddonServer).getDiscovery},
	{"POST", "/discovery", addon, (*AddonServer).postDiscovery},
	{"GET", "/discovery/{uuid}", addon, (*AddonServer).getMessage},
	{"DELETE", "/discovery/{uuid}", addon, (*AddonServer).deleteMessage},

	{"", "/castellan", never, nil},
	{"", "/castellan/", never, nil},
	{"", "/security/options", never, nil},
	{"", "/security/integrity", never, nil},
	{"", "/addons/{slug}/security", never, nil},
	{"", "/addons/{slug}/sys_options", never, nil},
	{"", "/addons/self/update", never, nil},
}

func (s *AddonServer) getInfo(c AddonCaller, r *http.Request) (any, error) {
	st, err := s.cfg.Backend.Addon(r.Context(), c.Slug)
	if err != nil {
		return nil, err
	}
	return addonInfo(c, st), nil
}

func (s *AddonServer) getOptions(c AddonCaller, r *http.Request) (any, error) {
	o, err := s.cfg.Backend.Options(r.Context(), c.Slug)
	if o == nil {
		o = map[string]any{}
	}
	return o, err
}

// postOptions takes options alone: start at boot, ports, watchdog and automatic updates are the owner's.
func (s *AddonServer) postOptions(c AddonCaller, r *http.Request) (any, error) {
	var body struct {
		Options jsontext.Value `json:"options"`
		Boot    jsontext.Value `json:"boot"`
		Update  jsontext.Value `json:"auto_update"`
		Network jsontext.Value `json:"network"`
		Watch   jsontext.Value `json:"watchdog"`
		Panel   jsontext.Value `json:"ingress_panel"`
		In      jsontext.Value `json:"audio_input"`
		Out     jsontext.Value `json:"audio_output"`
	}
	if err := readSecret(r, &body); err != nil {
		return nil, err
	}
	for _, v := range []jsontext.Value{body.Boot, body.Update, body.Network, body.Watch, body.Panel, body.In, body.Out} {
		if v != nil {
			s.tell(r, c, "POST /addons/self/options with settings of the owner")
			return nil, forbidden("an add-on may set its options only", "let the owner change the other settings")
		}
	}
	if body.Options == nil {
		return struct{}{}, nil
	}
	var options map[string]any
	if err := unmarshal(body.Options, &options, "/options"); err != nil {
		return nil, err
	}
	return struct{}{}, s.cfg.Backend.SetOptions(context.WithoutCancel(r.Context()), c.Slug, options)
}

func act(do AddonAction) func(*AddonServer, AddonCaller, *http.Request) (any, error) {
	return func(s *AddonServer, c AddonCaller, r *http.Request) (any, error) {
		var none struct{}
		if err := readSecret(r, &none); err != nil {
			return nil, err
		}
		// The caller leaves: it is what will be stopped.
		return struct{}{}, s.cfg.Backend.Run(context.WithoutCancel(r.Context()), c.Slug, do)
	}
}

// getServices names each service with those who may provide it.
func (s *AddonServer) getServices(AddonCaller, *http.Request) (any, error) {
	out := ServiceOffers{Services: []ServiceOffer{}}
	callers := s.cfg.Backend.Callers()
	for _, name := range services.Names {
		o := ServiceOffer{Slug: name, Available: s.cfg.Registry.Provider(name) != "", Providers: []string{}}
		for _, c := range callers {
			if services.Provides(c.Manifest, name) {
				o.Providers = append(o.Providers, c.Slug)
			}
		}
		slices.Sort(o.Providers)
		out.Services = append(out.Services, o)
	}
	return out, nil
}

func (s *AddonServer) getService(c AddonCaller, r *http.Request) (any, error) {
	v, err := s.cfg.Registry.Use(c.Manifest, r.PathValue("service"))
	return v, serviceError(err)
}

func (s *AddonServer) postService(c AddonCaller, r *http.Request) (any, error) {
	var body jsontext.Value
	if err := readSecret(r, &body); err != nil {
		return nil, err
	}
	if err := s.cfg.Registry.Provide(c.Slug, c.Manifest, r.PathValue("service"), body); err != nil {
		return nil, serviceError(err)
	}
	return struct{}{}, s.stays(c)
}

// stays makes sure that nothing is kept of an add-on whose uninstallation overtook its call.
func (s *AddonServer) stays(c AddonCaller) error {
	if _, ok := s.cfg.Backend.Caller(c.Token); ok {
		return nil
	}
	if err := s.cfg.Registry.Drop(c.Slug); err != nil {
		return serviceError(err)
	}
	return forbidden("the add-on is not installed any more", "install it again")
}

func (s *AddonServer) deleteService(c AddonCaller, r *http.Request) (any, error) {
	return struct{}{}, serviceError(s.cfg.Registry.Withdraw(c.Slug, c.Manifest, r.PathValue("service")))
}

// getDiscovery lists the caller's messages; those of all are for Home Assistant.
func (s *AddonServer) getDiscovery(c AddonCaller, _ *http.Request) (any, error) {
	out := Discovery{Discovery: s.cfg.Registry.Messages(c.Slug), Services: map[string][]string{}}
	for _, name := range c.Manifest.Discovery {
		out.Services[name] = []string{c.Slug}
	}
	return out, nil
}

func (s *AddonServer) postDiscovery(c AddonCaller, r *http.Request) (any, error) {
	var body struct {
		Service string         `json:"service"`
		Config  jsontext.Value `json:"config"`
	}
	if err := readSecret(r, &body); err != nil {
		return nil, err
	}
	if body.Service == "" || body.Config == nil {
		return nil, badRequest("required key not provided: service and config")
	}
	uuid, fresh, err := s.cfg.Registry.Announce(c.Slug, c.Manifest, body.Service, body.Config)
	if err != nil {
		return nil, serviceError(err)
	}
	if err := s.stays(c); err != nil {
		return nil, err
	}
	if fresh {
		s.announced(c.Slug, uuid)
	}
	return Announced{uuid}, nil
}

func (s *AddonServer) announced(slug, uuid string) {
	if m, err := s.message(slug, uuid); err == nil && s.cfg.Announced != nil { // otherwise it is gone again
		s.cfg.Announced(m, false)
	}
}

func (s *AddonServer) getMessage(c AddonCaller, r *http.Request) (any, error) {
	return s.message(c.Slug, r.PathValue("uuid"))
}

func (s *AddonServer) deleteMessage(c AddonCaller, r *http.Request) (any, error) {
	m, err := s.message(c.Slug, r.PathValue("uuid"))
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Registry.Retract(c.Slug, m.UUID); err != nil {
		return nil, serviceError(err)
	}
	if s.cfg.Announced != nil {
		s.cfg.Announced(m, true)
	}
	return struct{}{}, nil
}

func (s *AddonServer) message(slug, uuid string) (services.Message, error) {
	for _, m := range s.cfg.Registry.Messages(slug) {
		if m.UUID == uuid {
			return m, nil
		}
	}
	return services.Message{}, &Error{Status: http.StatusNotFound, Message: "Discovery message not found"}
}

// serviceError gives what the registry refused its status. Anything else is of the disk.
func serviceError(err error) error {
	status := http.StatusInternalServerError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, services.ErrNoRight):
		status = http.StatusForbidden
	case errors.Is(err, services.ErrUnknown):
		status = http.StatusNotFound
	case errors.Is(err, services.ErrInvalid), errors.Is(err, services.ErrTaken), errors.Is(err, services.ErrNone):
		status = http.StatusBadRequest
	}
	return &Error{Status: status, Message: err.Error()}
}
