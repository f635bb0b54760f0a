package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// A reader who is not the owner, and a page that shows no secret, has [AsItIs] where a secret stands. Options that come back
// with it mean the value as it is: whoever changes one option need not know the others.

// AsItIs stands for a value as it is, in options that are shown and in options that are set.
const AsItIs = masked

// unmasked puts what is in force in the place of each mask. Lists have no names: an item with a mask is the one that looked
// just so, or, in a list as long as before, the one at its place; otherwise the value has to be written.
func (s *Server) unmasked(ctx context.Context, slug string, options json.RawMessage) (json.RawMessage, *OptionsCheck, error) {
	if !bytes.Contains(options, []byte(masked)) {
		return options, nil, nil
	}
	info, err := s.cfg.Backend.Addons().Info(ctx, slug, "")
	if err != nil {
		return nil, nil, err
	}
	var asked AddonOptions
	if err := json.Unmarshal(options, &asked); err != nil {
		return nil, nil, badRequest("cannot read field \"options\": %v", err)
	}
	if wrong := unmask(asked, info.Options); wrong != nil {
		return nil, wrong, nil
	}
	out, err := asked.MarshalJSON()
	return out, nil, err
}

// unmask does so in asked, and says where it can't.
func unmask(asked, now AddonOptions) *OptionsCheck {
	f := &filler{}
	f.dict(asked, now, "")
	return f.wrong
}

// filler notes the first mask for which there is nothing to take.
type filler struct{ wrong *OptionsCheck }

func (f *filler) dict(asked, now map[string]any, path string) {
	for name, v := range asked {
		below := name
		if path != "" {
			below = path + "." + name
		}
		asked[name] = f.value(v, now[name], below)
	}
}

func (f *filler) value(v, now any, path string) any {
	switch v := v.(type) {
	case string:
		if v != masked {
			return v
		}
		if now == nil {
			f.fail(path)
		}
		return now
	case map[string]any:
		before, _ := now.(map[string]any)
		f.dict(v, before, path)
	case []any:
		before, _ := now.([]any)
		for i := range v {
			v[i] = f.value(v[i], formerly(v, before, i), fmt.Sprintf("%s[%d]", path, i))
		}
	}
	return v
}

// formerly is what item i of a list was before, nil when nobody can tell.
func formerly(list, before []any, i int) any {
	found := -1
	for j, b := range before {
		if fits(list[i], b) {
			if found >= 0 {
				found = -1
				break
			}
			found = j
		}
	}
	switch {
	case found >= 0:
		return before[found]
	case len(list) == len(before):
		return before[i]
	}
	return nil
}

// fits tells whether a value is what was before, with masks for any of it.
func fits(v, before any) bool {
	switch v := v.(type) {
	case string:
		if v == masked {
			return true
		}
	case map[string]any:
		b, ok := before.(map[string]any)
		if !ok || len(b) != len(v) {
			return false
		}
		for name, one := range v {
			if was, there := b[name]; !there || !fits(one, was) {
				return false
			}
		}
		return true
	case []any:
		b, ok := before.([]any)
		if !ok || len(b) != len(v) {
			return false
		}
		for i := range v {
			if !fits(v[i], b[i]) {
				return false
			}
		}
		return true
	}
	x, errX := AddonOptions{"": v}.MarshalJSON()
	y, errY := AddonOptions{"": before}.MarshalJSON()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func (f *filler) fail(path string) {
	if f.wrong == nil {
		f.wrong = &OptionsCheck{Path: path, Message: masked + " stands for a value as it is, and there is none that could be meant; write the value", Dropped: []string{}}
	}
}

// err is what setting such options says.
func (c OptionsCheck) err() error {
	return &Error{Status: http.StatusBadRequest, Key: KeyAddonOptions, Message: "option " + c.Path + ": " + c.Message}
}
