package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/addons"
)

// HAOptions is what Home Assistant sets of an add-on in one call; what is not there stays.
type HAOptions struct {
	Options jsontext.Value `json:"options,omitempty"` // an object, or null for the author's
	Boot    *string        `json:"boot,omitempty"`    // auto, manual
	Update  *bool          `json:"auto_update,omitempty"`
	Network jsontext.Value `json:"network,omitempty"` // container port -> host port or null; null = the author's
	Watch   *bool          `json:"watchdog,omitempty"`
	Panel   *bool          `json:"ingress_panel,omitempty"`
	In      *string        `json:"audio_input,omitempty"`
	Out     *string        `json:"audio_output,omitempty"`
}

// owners tells whether what only the owner decides is among them: start at boot, ports, watchdog and automatic updates.
func (q HAOptions) owners() bool {
	return q.Boot != nil || q.Update != nil || q.Network != nil || q.Watch != nil || q.Panel != nil || q.In != nil || q.Out != nil
}

// object is the options, nil for null.
func (q HAOptions) object() (json.RawMessage, error) {
	return OptionsRequest{Options: json.RawMessage(q.Options)}.object()
}

func (s *Server) postHAOptions(ctx context.Context, c Caller, in addonIn[HAOptions]) (none, error) {
	q, slug := in.Body, c.target(in.Slug)
	if c.Kind == KindAddon && q.owners() {
		s.tell(ctx, c, "POST /addons/self/options with settings of the owner")
		return none{}, forbidden("an add-on may set its options only", "let the owner change the other settings")
	}
	options, err := q.object()
	if err != nil {
		return none{}, err
	}
	if c.Kind == KindAddon && slug == c.Slug {
		return none{}, s.setOwnOptions(ctx, slug, q.Options, options)
	}
	set, err := s.settings(ctx, slug, q)
	if err != nil {
		return none{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if set != nil && q.Options != nil { // nothing is set by halves: options that are good are set once the rest is
		check := OptionsCheck{Valid: true} // the author's are good
		if options != nil {
			if check, err = s.cfg.Backend.Addons().Settings().CheckOptions(ctx, slug, options); err != nil {
				return none{}, err
			}
		}
		if check.Valid {
			if _, err := s.cfg.Backend.Addons().Settings().Set(ctx, slug, *set, c.String()); err != nil {
				return none{}, err
			}
			set = nil
		}
	}
	if q.Options != nil {
		if _, err := s.cfg.Backend.Addons().Settings().SetOptions(ctx, slug, options); err != nil {
			return none{}, err
		}
	}
	if set != nil {
		_, err = s.cfg.Backend.Addons().Settings().Set(ctx, slug, *set, c.String())
	}
	return none{}, err
}

// setOwnOptions takes the options an add-on sets of itself, within the limits of those that owners write; it is not asked
// whether they say anything.
func (s *Server) setOwnOptions(ctx context.Context, slug string, asked jsontext.Value, object json.RawMessage) error {
	if asked == nil {
		return nil
	}
	var options map[string]any
	if object != nil {
		var err error
		if options, err = addons.ParseOptions("options.json", object); err != nil {
			return &Error{Status: http.StatusBadRequest, Key: KeyAddonOptions, Message: err.Error()}
		}
	}
	return s.cfg.Guests.SetOptions(context.WithoutCancel(ctx), slug, options)
}

// settings are the settings among the options, checked; nil = none.
func (s *Server) settings(ctx context.Context, slug string, q HAOptions) (*SettingsRequest, error) {
	if q.In != nil && *q.In != "" || q.Out != nil && *q.Out != "" {
		return nil, &Error{Status: 400, Key: "not_supported", Message: "cannot set options: this appliance has no audio",
			Next: "ask without audio_input and audio_output"}
	}
	set := SettingsRequest{Boot: q.Boot, AutoUpdate: q.Update, Watchdog: q.Watch, Panel: q.Panel}
	if q.Network != nil {
		if err := s.network(ctx, slug, q.Network, &set); err != nil {
			return nil, err
		}
	}
	if set.Boot == nil && set.AutoUpdate == nil && set.Watchdog == nil && set.Ports == nil && set.Panel == nil {
		return nil, nil
	}
	return &set, set.check()
}

// network reads the ports; null goes back to those of the author.
func (s *Server) network(ctx context.Context, slug string, ports jsontext.Value, set *SettingsRequest) error {
	if !bytes.Equal(bytes.TrimSpace(ports), []byte("null")) {
		return unmarshal(ports, &set.Ports, "/network")
	}
	info, err := s.cfg.Backend.Addons().Info(ctx, slug, "")
	for _, p := range info.Ports {
		if set.Ports == nil {
			set.Ports = map[string]*uint16{}
		}
		set.Ports[p.Container] = p.Default
	}
	return err
}
