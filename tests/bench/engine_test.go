//go:build bench

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/castellan/castellan/tests/testenv"
)

// engine speaks to the engine directly, as the naive ways to update do: nothing of ours is between.
func (h *house) engine(method, path string, body, into any) {
	h.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(testenv.Engine(h), "unix://"))
		},
	}}
	var payload []byte
	if body != nil {
		var err error
		payload, err = json.Marshal(body)
		h.must(err)
	}
	req, err := http.NewRequest(method, "http://engine/v1.41"+path, bytes.NewReader(payload))
	h.must(err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	h.must(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	h.must(err)
	if resp.StatusCode >= 400 {
		h.Fatalf("%s %s: %s %s", method, path, resp.Status, answer)
	}
	if into != nil {
		h.must(json.Unmarshal(answer, into))
	}
}

type listed struct {
	ID, ImageID string
}

// containers lists those with a label.
func (h *house) containers(label string) (out []listed) {
	h.Helper()
	h.engine("GET", "/containers/json?all=1&filters="+url.QueryEscape(`{"label":["`+label+`"]}`), nil, &out)
	return out
}

// imageOf is the image ID a service runs on.
func (h *house) imageOf(service string) string {
	h.Helper()
	found := h.containers("io.castellan.service=" + service)
	if len(found) != 1 {
		h.Fatalf("%d containers of %s", len(found), service)
	}
	return found[0].ImageID
}

// raw creates a container as the service's is, from image.
func (h *house) raw(image, network, port string) (id string) {
	h.Helper()
	spec := map[string]any{"Image": image, "Labels": map[string]string{"io.castellan.bench": "1"}}
	if network == "host" {
		spec["Env"] = []string{"APP_ADDR=:" + port}
		spec["HostConfig"] = map[string]any{"NetworkMode": network}
	} else {
		spec["ExposedPorts"] = map[string]any{"8080/tcp": map[string]any{}}
		spec["HostConfig"] = map[string]any{"NetworkMode": network,
			"PortBindings": map[string]any{"8080/tcp": []map[string]string{{"HostPort": port}}}}
	}
	var made struct{ ID string }
	h.engine("POST", "/containers/create", spec, &made)
	return made.ID
}

func (h *house) startRaw(id string) {
	h.Helper()
	h.engine("POST", "/containers/"+id+"/start", nil, nil)
}
func (h *house) stopRaw(id string) { h.Helper(); h.engine("POST", "/containers/"+id+"/stop", nil, nil) }
func (h *house) removeRaw(id string) {
	h.Helper()
	h.engine("DELETE", "/containers/"+id+"?force=1", nil, nil)
}

func removeContainers(h *house) {
	for _, label := range []string{"io.castellan.appliance=castellan-bench", "io.castellan.bench=1"} {
		for _, c := range h.containers(label) {
			h.removeRaw(c.ID)
		}
	}
}
