package health

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/castellan/castellan/supervisor/spec"
)

// What Home Assistant's Supervisor grants Core: the first answer within spec.Health.Deadline, RUNNING within
// coreRunning of the start, unless spec.CoreCheck.RunWithin says otherwise.
const (
	coreRunning = 15 * time.Minute
	stepTime    = 20 * time.Second // of one question: a try ends well before a migrating Core's deadline
)

// maxRefused is how often a refused token is shown to Core: it counts as a failed login there, and may get this host banned.
const maxRefused = 3

// Notes say what a pass could not look at.
const (
	noteNoToken = "without a token only the page and the websocket were checked, not whether it runs"
	noteTLS     = "it wants a client certificate, so only that it listens was checked"
)

// needed are the components without which nobody can use Core.
var needed = []string{"http", "frontend", "websocket_api"}

// coreClient does not check certificates: Core's is for its outside name, and the way leads through this machine only.
var coreClient = newClient(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})

// core is Home Assistant Core's own health gate, as its Supervisor has it.
type core struct {
	spec.CoreCheck
	refused  int  // times in a row that the token was
	answered bool // in this try, whatever it was
}

func newCore(c spec.CoreCheck) *core {
	c.Port = uint16(or(int(c.Port), 8123))
	c.RunWithin = or(c.RunWithin, coreRunning)
	return &core{CoreCheck: c}
}

func (c *core) try(ctx context.Context, t Target) (string, error) {
	note, err := c.gate(ctx, t)
	if c.SSL && wantsCertificate(err) {
		return noteTLS, tryTCP(ctx, t, spec.TCPCheck{Address: c.port()})
	}
	return note, err
}

func (c *core) gate(ctx context.Context, t Target) (string, error) {
	token, err := c.token()
	if err != nil {
		return "", err
	}
	c.answered = false
	note := noteNoToken // asking the API without one would be a failed login each time, and answer nothing
	if token != "" {
		note = ""
		if err := c.runs(ctx, t, token); err != nil {
			return "", err
		}
	}
	for _, step := range []func(context.Context, Target) error{c.page, c.hello} {
		if err := step(ctx, t); err != nil && c.answered { // it is up: what is missing may come as long as it may start
			return "", &waiting{what: err.Error(), total: c.complete()}
		} else if err != nil {
			return "", err
		}
	}
	return note, nil
}

// complete is when one that runs must have everything: a minute, or its like, is for what is asked of it then.
func (c *core) complete() time.Duration { return c.RunWithin + c.RunWithin/15 }

func (c *core) port() string { return ":" + strconv.Itoa(int(c.Port)) }

func (c *core) url(t Target, path string) string {
	scheme := "http"
	if c.SSL {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: join(t.IP, c.port()), Path: path}).String()
}

// token is read each time: it may be put there, or replaced, while Core is on probation.
func (c *core) token() (string, error) {
	if c.TokenFile == "" {
		return "", nil
	}
	f, err := os.Open(c.TokenFile)
	if err != nil {
		return "", fmt.Errorf("cannot read Core's access token: %w", quoted(err))
	}
	defer func() { _ = f.Close() }() // read only
	data, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return "", fmt.Errorf("cannot read Core's access token: %w", quoted(err))
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%.*q holds no access token; put one there, as the profile page of Home Assistant makes it", quoteLimit, c.TokenFile)
	}
	return token, nil
}

// coreState is the answer of /api/core/state, and holds what is of interest in that of /api/config.
type coreState struct {
	State    string `json:"state"`
	Recorder struct {
		Migrating bool `json:"migration_in_progress"`
		Live      bool `json:"migration_is_live"`
	} `json:"recorder_state"`
	Components []string `json:"components"`
}

// runs wants RUNNING and the components.
func (c *core) runs(ctx context.Context, t Target, token string) error {
	state, err := c.ask(ctx, t, "/api/core/state", token)
	if status := (statusError)(0); errors.As(err, &status) && status == http.StatusNotFound { // Core before 2023.8
		state, err = c.ask(ctx, t, "/api/config", token)
	}
	if err != nil {
		return err
	}
	if state.State != "RUNNING" {
		w := &waiting{what: fmt.Sprintf("its state is %.*q, not RUNNING", quoteLimit, state.State), total: c.RunWithin}
		if state.Recorder.Migrating && !state.Recorder.Live {
			w.what, w.busy = "it migrates its database", true
		}
		return w
	}
	if state, err = c.ask(ctx, t, "/api/config", token); err != nil {
		return &waiting{what: err.Error(), total: c.complete()}
	}
	for _, name := range needed {
		if !slices.Contains(state.Components, name) {
			return &waiting{what: "its component " + name + " is not loaded", total: c.complete()}
		}
	}
	return nil
}

// statusError is an answer other than 200.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// ask gets an answer of the API.
func (c *core) ask(ctx context.Context, t Target, path, token string) (*coreState, error) {
	if c.refused >= maxRefused {
		return nil, fmt.Errorf("it refused the access token in %.*q %d times; make a new one on its profile page", quoteLimit, c.TokenFile, c.refused)
	}
	body, _, err := c.get(ctx, t, path, token)
	if status := (statusError)(0); errors.As(err, &status) {
		if status == http.StatusUnauthorized || status == http.StatusForbidden {
			c.refused++
			return nil, fmt.Errorf("it refuses the access token in %.*q (status %d); make a new one on its profile page", quoteLimit, c.TokenFile, int(status))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.refused = 0
	var state coreState
	if err := json.Unmarshal(body, &state); err != nil {
		return nil, fmt.Errorf("%s: cannot understand the answer: %w", path, quoted(err))
	}
	return &state, nil
}

// page wants the frontend's page.
func (c *core) page(ctx context.Context, t Target) error {
	_, kind, err := c.get(ctx, t, "/", "")
	if err != nil {
		return fmt.Errorf("its page: %w", err)
	}
	if media, _, err := mime.ParseMediaType(kind); err != nil || media != "text/html" {
		return fmt.Errorf("its page is %.*q, not text/html", quoteLimit, kind)
	}
	return nil
}

// get reads a whole answer of status 200.
func (c *core) get(ctx context.Context, t Target, path, token string) (body []byte, kind string, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	defer func() { err = inTime(ctx, err) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url(t, path), nil)
	if err != nil {
		return nil, "", quoted(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := coreClient.Do(req)
	if err != nil {
		return nil, "", withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }() // the connection is not kept
	c.answered = true
	if resp.StatusCode != http.StatusOK {
		return nil, "", statusError(resp.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, bodyLimit+1))
	if err != nil {
		return nil, "", fmt.Errorf("cannot read the answer: %w", quoted(err))
	}
	if len(body) > bodyLimit {
		return nil, "", fmt.Errorf("the answer is longer than %d bytes", bodyLimit)
	}
	return body, resp.Header.Get("Content-Type"), nil
}

// hello wants the websocket to ask who we are.
func (c *core) hello(ctx context.Context, t Target) (err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	defer func() {
		if err != nil {
			err = fmt.Errorf("its websocket: %w", inTime(ctx, err))
		}
	}()
	conn, resp, err := websocket.Dial(ctx, c.url(t, "/api/websocket"), &websocket.DialOptions{HTTPClient: coreClient})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return statusError(resp.StatusCode)
		}
		return withoutURL(err)
	}
	defer func() { _ = conn.CloseNow() }() // the greeting was all that was asked for
	_, data, err := conn.Read(ctx)         // up to 32 KiB
	if err != nil {
		return quoted(err)
	}
	var message struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &message); err != nil || message.Type != "auth_required" {
		return fmt.Errorf("it says %.*q, not auth_required", quoteLimit, data)
	}
	return nil
}

// inTime says what an error of a step that took too long means.
func inTime(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}

// wantsCertificate tells whether TLS was refused for want of a client certificate. The library has no type for what the
// other side says, only these texts.
func wantsCertificate(err error) bool {
	var remote *net.OpError
	return errors.As(err, &remote) && remote.Op == "remote error" && slices.ContainsFunc(
		[]tls.AlertError{40, 41, 42, 116}, // handshake_failure, no_, bad_certificate (TLS 1.2), certificate_required (TLS 1.3)
		func(a tls.AlertError) bool { return remote.Err.Error() == a.Error() })
}

// withoutURL takes the URL, which the check's name stands for, out of an error of the HTTP client.
func withoutURL(err error) error {
	if inner := (*url.Error)(nil); errors.As(err, &inner) {
		err = inner.Err
	}
	return quoted(err)
}
