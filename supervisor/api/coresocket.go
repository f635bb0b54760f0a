package api

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	jsonv2 "github.com/go-json-experiment/json"
)

// Bounds on what goes between an add-on and Core.
const (
	coreMessage = 16 << 20
	coreGreets  = 10 * time.Second // for each message until both are let in
)

// greeting is a message of Core's before somebody is let in.
type greeting struct {
	Type     string `json:"type"`
	Version  string `json:"ha_version,omitempty"`
	Token    string `json:"access_token,omitempty"`
	Password string `json:"api_password,omitempty"` // where old add-ons put the token
	Message  string `json:"message,omitempty"`
}

// coreSocket stands between an add-on and Core's WebSocket: it lets the add-on in by its own token, is let in itself by the
// appliance's, and then passes messages on.
func (s *Server) coreSocket(w http.ResponseWriter, r *http.Request) {
	token, err := s.coreToken()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	addon, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // programs have no origin
	if err != nil {
		return // it was told
	}
	defer addon.CloseNow()
	addon.SetReadLimit(64 << 10)
	c, err := s.greetAddon(r.Context(), addon)
	if err != nil {
		_ = addon.Close(websocket.StatusPolicyViolation, "not let in") // it may be gone
		return
	}
	done, free := s.coreCalls.begin(c.Slug)
	if !free {
		_ = addon.Close(websocket.StatusTryAgainLater, "too many connections") // as above
		return
	}
	defer done()
	core, version, err := s.greetCore(r.Context(), token)
	if err != nil {
		s.cfg.Log.Debug("an add-on's connection to Home Assistant Core can't be made", "addon", c.Slug, "error", err)
		_ = addon.Close(websocket.StatusTryAgainLater, "Home Assistant Core does not answer") // as above
		return
	}
	defer core.CloseNow()
	if err := say(r.Context(), addon, greeting{Type: "auth_ok", Version: version}); err != nil {
		return
	}
	addon.SetReadLimit(coreMessage)
	ctx, end := s.whileIn(r.Context(), c)
	defer end()
	go func() { defer end(); passOn(ctx, core, addon, nil) }()
	passOn(ctx, addon, core, func(b []byte) bool {
		if !commandsHere(b) {
			return true
		}
		s.tell(ctx, c, "supervisor/… of Home Assistant's WebSocket")
		return false
	})
}

// greetCore connects to Core and is let in.
func (s *Server) greetCore(ctx context.Context, token string) (*websocket.Conn, string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dialCore(ctx) }}}
	dial, cancel := context.WithTimeout(ctx, coreGreets)
	defer cancel()
	c, _, err := websocket.Dial(dial, "ws://core.internal:80/api/websocket", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return nil, "", err
	}
	c.SetReadLimit(coreMessage)
	var g greeting
	if g, err = hear(ctx, c); err == nil && g.Type == "auth_required" {
		if err = say(ctx, c, greeting{Type: "auth", Token: token}); err == nil {
			g, err = hear(ctx, c)
		}
	}
	if err == nil && g.Type != "auth_ok" {
		err = errors.New("the appliance is not let in by Home Assistant Core: its token is refused")
	}
	if err != nil {
		_ = c.CloseNow() // nothing was agreed
		return nil, "", err
	}
	return c, g.Version, nil
}

// greetAddon asks an add-on for its token. It is told that it is in when the appliance is in at Core.
func (s *Server) greetAddon(ctx context.Context, conn *websocket.Conn) (Caller, error) {
	if err := say(ctx, conn, greeting{Type: "auth_required"}); err != nil {
		return Caller{}, err
	}
	g, err := hear(ctx, conn)
	if err != nil {
		return Caller{}, err
	}
	if g.Token == "" {
		g.Token = g.Password
	}
	c := Caller{}
	if s.cfg.Guests != nil {
		if a, ok := s.cfg.Guests.Caller(g.Token); ok {
			c = Caller{Kind: KindAddon, Name: "add-on " + a.Slug, Slug: a.Slug, token: g.Token, manifest: a.Manifest}
		}
	}
	if err := c.mayCore(); err != nil || g.Type != "auth" {
		_ = say(ctx, conn, greeting{Type: "auth_invalid", Message: "Invalid access"}) // it may be gone
		return Caller{}, errors.Join(err, errors.New("not let in"))
	}
	return c, nil
}

func hear(ctx context.Context, c *websocket.Conn) (g greeting, err error) {
	ctx, cancel := context.WithTimeout(ctx, coreGreets)
	defer cancel()
	_, b, err := c.Read(ctx)
	if err != nil {
		return g, err
	}
	return g, json.Unmarshal(b, &g)
}

func say(ctx context.Context, c *websocket.Conn, g greeting) error {
	ctx, cancel := context.WithTimeout(ctx, coreGreets)
	defer cancel()
	b, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return c.Write(ctx, websocket.MessageText, b)
}

// commandsHere tells of a text for Core whether it asks Core to call this appliance, which it would do with rights of its own:
// supervisor/api and its like. What Core might read in another way than we do counts as such.
func commandsHere(b []byte) bool {
	type command struct {
		Type string `json:"type"`
	}
	var list []command // Core takes several at once
	if err := jsonv2.Unmarshal(b, &list); err != nil {
		list = make([]command, 1)
		if err := jsonv2.Unmarshal(b, &list[0]); err != nil {
			return true
		}
	}
	return slices.ContainsFunc(list, func(c command) bool {
		return strings.HasPrefix(c.Type, "supervisor/") || strings.HasPrefix(c.Type, "hassio/")
	})
}

// refusedHere is the end of a connection that brought such a command.
const refusedHere = "no add-on may call the Supervisor by Home Assistant"

// passOn passes messages on until one side leaves, takes nothing in, or brings a text that it may not, as may tells; nil lets all
// pass.
func passOn(ctx context.Context, from, to *websocket.Conn, may func(text []byte) bool) {
	for {
		kind, b, err := from.Read(ctx)
		if err != nil {
			return
		}
		if may != nil && kind == websocket.MessageText && !may(b) {
			_ = from.Close(websocket.StatusPolicyViolation, refusedHere) // it may be gone
			return
		}
		within, cancel := context.WithTimeout(ctx, takeWithin)
		err = to.Write(within, kind, b)
		cancel()
		if err != nil {
			return
		}
	}
}
