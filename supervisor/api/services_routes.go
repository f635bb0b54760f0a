package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/addons/services"
)

// serviceRoutes are what add-ons offer each other and announce.
var serviceRoutes = []route{
	{"GET", "/services", Viewer, every, "The services that add-ons offer each other, and who may provide them.", onGuests((*Server).getServices)},
	{"GET", "/services/{service}", noPerson, every, "How to reach a service.", onGuests((*Server).getService)},
	{"POST", "/services/{service}", noPerson, every, "Provides a service.", onGuests((*Server).postService)},
	{"DELETE", "/services/{service}", noPerson, every, "Provides a service no more.", onGuests((*Server).deleteService)},
	{"GET", "/discovery", Admin, every, "Discovery messages: an add-on's own, or all.", onGuests((*Server).getDiscovery)},
	{"POST", "/discovery", noPerson, every, "Announces something to Home Assistant.", onGuests((*Server).postDiscovery)},
	{"GET", "/discovery/{uuid}", Admin, every, "One discovery message.", onGuests((*Server).getMessage)},
	{"DELETE", "/discovery/{uuid}", noPerson, every, "Takes a discovery message back.", onGuests((*Server).deleteMessage)},
}

// getServices names each service with those who may provide it.
func (s *Server) getServices(context.Context, Caller, none) (ServiceOffers, error) {
	out := ServiceOffers{Services: []ServiceOffer{}}
	callers := s.cfg.Guests.Callers()
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

type serviceIn struct {
	Service string `path:"service"`
}

func (s *Server) getService(_ context.Context, c Caller, in serviceIn) (services.Service, error) {
	v, err := s.cfg.Registry.Use(c.manifest, in.Service)
	return v, serviceError(err)
}

type provideIn struct {
	Service string `path:"service"`
	Body    jsontext.Value
}

func (s *Server) postService(_ context.Context, c Caller, in provideIn) (none, error) {
	if err := s.cfg.Registry.Provide(c.Slug, c.manifest, in.Service, in.Body); err != nil {
		return none{}, serviceError(err)
	}
	return none{}, s.stays(c)
}

// stays makes sure that nothing is kept of an add-on whose uninstallation overtook its call.
func (s *Server) stays(c Caller) error {
	if _, ok := s.cfg.Guests.Caller(c.token); ok {
		return nil
	}
	if err := s.cfg.Registry.Drop(c.Slug); err != nil {
		return serviceError(err)
	}
	return forbidden("the add-on is not installed any more", "install it again")
}

func (s *Server) deleteService(_ context.Context, c Caller, in serviceIn) (none, error) {
	return none{}, serviceError(s.cfg.Registry.Withdraw(c.Slug, c.manifest, in.Service))
}

// getDiscovery lists the caller's messages; those of all are for Home Assistant.
func (s *Server) getDiscovery(_ context.Context, c Caller, _ none) (Discovery, error) {
	out := Discovery{Discovery: s.cfg.Registry.Messages(c.Slug), Services: map[string][]string{}}
	for _, name := range c.manifest.Discovery {
		out.Services[name] = []string{c.Slug}
	}
	return out, nil
}

// Announcement is a discovery message that an add-on sends.
type Announcement struct {
	Service string         `json:"service"`
	Config  jsontext.Value `json:"config"`
}

func (q Announcement) check() error {
	if q.Service == "" || q.Config == nil {
		return badRequest("required key not provided: service and config")
	}
	return nil
}

func (s *Server) postDiscovery(_ context.Context, c Caller, in about[Announcement]) (Announced, error) {
	uuid, fresh, err := s.cfg.Registry.Announce(c.Slug, c.manifest, in.Body.Service, in.Body.Config)
	if err != nil {
		return Announced{}, serviceError(err)
	}
	if err := s.stays(c); err != nil {
		return Announced{}, err
	}
	if fresh {
		s.announced(c.Slug, uuid)
	}
	return Announced{uuid}, nil
}

func (s *Server) announced(slug, uuid string) {
	if m, err := s.message(slug, uuid); err == nil && s.cfg.Announced != nil { // otherwise it is gone again
		s.cfg.Announced(m, false)
	}
}

type messageIn struct {
	UUID string `path:"uuid"`
}

func (s *Server) getMessage(_ context.Context, c Caller, in messageIn) (services.Message, error) {
	return s.message(c.Slug, in.UUID)
}

func (s *Server) deleteMessage(_ context.Context, c Caller, in messageIn) (none, error) {
	m, err := s.message(c.Slug, in.UUID)
	if err != nil {
		return none{}, err
	}
	if err := s.cfg.Registry.Retract(c.Slug, m.UUID); err != nil {
		return none{}, serviceError(err)
	}
	if s.cfg.Announced != nil {
		s.cfg.Announced(m, true)
	}
	return none{}, nil
}

func (s *Server) message(slug, uuid string) (services.Message, error) {
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
