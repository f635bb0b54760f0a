package api

import (
	"context"
	"net/http"
)

// guestRoutes are the calls of Home Assistant's add-ons about themselves and each other.
var guestRoutes = []route{
	{"GET", "/info", Viewer, every, "What appliance this is.", onGuests((*Server).getHomeInfo)},
	{"GET", "/addons/{slug}/options/config", noPerson, itself, "The options in force, as the add-on finds them in its file.", onGuests((*Server).getOptions)},
}

// onGuests makes an endpoint of a call that needs an appliance with add-ons.
func onGuests[In, Out any](do func(*Server, context.Context, Caller, In) (Out, error)) endpoint {
	return call(do).guarded(func(s *Server, r *http.Request) error {
		if s.cfg.Guests == nil {
			return noAddons()
		}
		if slug := r.PathValue("slug"); slug != "" && !slugShape.MatchString(slug) {
			return AddonNotFound(slug)
		}
		return nil
	})
}

// target is the add-on a call is about: "self" is the caller.
func (c Caller) target(slug string) string {
	if slug == "self" && c.Slug != "" {
		return c.Slug
	}
	return slug
}

func (s *Server) getHomeInfo(ctx context.Context, _ Caller, _ none) (Info, error) {
	return s.cfg.Guests.Info(ctx)
}

func (s *Server) getOptions(ctx context.Context, c Caller, in slugIn) (AddonOptions, error) {
	o, err := s.cfg.Guests.Options(ctx, c.target(in.Slug))
	if o == nil {
		o = AddonOptions{}
	}
	return o, err
}
