package api

import (
	"context"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// guestRoutes are the calls of Home Assistant's add-ons about themselves and each other.
var guestRoutes = []route{
	{"GET", "/info", Viewer, every, "What appliance this is.", onGuests((*Server).getHomeInfo)},
	{"GET", "/addons/{slug}/info", Viewer, ownInfo, "Everything about one add-on, in Home Assistant's words.", onGuests((*Server).getSelfInfo)},
	{"GET", "/addons/{slug}/options/config", noPerson, itself, "The options in force, as the add-on finds them in its file.", onGuests((*Server).getOptions)},
	{"POST", "/addons/{slug}/options", noPerson, own, "Sets options.", onGuests((*Server).postSelfOptions)},
	{"POST", "/addons/{slug}/stop", noPerson, own, "Stops an add-on.", onGuests(act(AddonStop))},
	{"POST", "/addons/{slug}/restart", noPerson, own, "Stops an add-on and starts it again.", onGuests(act(AddonRestart))},
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

func (s *Server) getSelfInfo(ctx context.Context, c Caller, in slugIn) (SelfInfo, error) {
	slug := c.target(in.Slug)
	st, err := s.cfg.Guests.Addon(ctx, slug)
	if err != nil {
		return SelfInfo{}, err
	}
	for _, a := range s.cfg.Guests.Callers() {
		if a.Slug == slug {
			return s.seenBy(c, addonInfo(a, st)), nil
		}
	}
	return SelfInfo{}, AddonNotFound(slug)
}

// seenBy leaves out of an answer what its reader may not see: options may hold passwords.
func (s *Server) seenBy(c Caller, i SelfInfo) SelfInfo {
	if !c.admin() && c.Slug != i.Slug && !c.has(roleManager) {
		i.Options = map[string]any{}
	}
	return i
}

func (s *Server) getOptions(ctx context.Context, c Caller, in slugIn) (AddonOptions, error) {
	o, err := s.cfg.Guests.Options(ctx, c.target(in.Slug))
	if o == nil {
		o = AddonOptions{}
	}
	return o, err
}

// HAOptions is what Home Assistant sets of an add-on in one call; what is not there stays.
type HAOptions struct {
	Options jsontext.Value `json:"options,omitempty"`       // an object, or null for the author's
	Boot    jsontext.Value `json:"boot,omitempty"`          // auto, manual
	Update  jsontext.Value `json:"auto_update,omitempty"`   // bool
	Network jsontext.Value `json:"network,omitempty"`       // container port -> host port, or null
	Watch   jsontext.Value `json:"watchdog,omitempty"`      // bool
	Panel   jsontext.Value `json:"ingress_panel,omitempty"` // bool
	In      jsontext.Value `json:"audio_input,omitempty"`
	Out     jsontext.Value `json:"audio_output,omitempty"`
}

// postSelfOptions takes options alone: start at boot, ports, watchdog and automatic updates are the owner's.
func (s *Server) postSelfOptions(ctx context.Context, c Caller, in addonIn[HAOptions]) (none, error) {
	q := in.Body
	for _, v := range []jsontext.Value{q.Boot, q.Update, q.Network, q.Watch, q.Panel, q.In, q.Out} {
		if v != nil {
			s.tell(ctx, c, "POST /addons/self/options with settings of the owner")
			return none{}, forbidden("an add-on may set its options only", "let the owner change the other settings")
		}
	}
	if q.Options == nil {
		return none{}, nil
	}
	var options map[string]any
	if err := unmarshal(q.Options, &options, "/options"); err != nil {
		return none{}, err
	}
	return none{}, s.cfg.Guests.SetOptions(context.WithoutCancel(ctx), c.target(in.Slug), options)
}

func act(do AddonAction) func(*Server, context.Context, Caller, slugIn) (none, error) {
	return func(s *Server, ctx context.Context, c Caller, in slugIn) (none, error) {
		// The caller leaves: it is what will be stopped.
		return none{}, s.cfg.Guests.Run(context.WithoutCancel(ctx), c.target(in.Slug), do)
	}
}
