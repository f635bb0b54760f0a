package house

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// container is a container as the engine itself shows it.
type container struct {
	ID      string            `json:"Id"`
	Image   string            `json:"ImageID"`
	State   string            `json:"State"`
	Names   []string          `json:"Names"`
	Labels  map[string]string `json:"Labels"`
	Created int64             `json:"Created"`
}

func (c container) service() string { return c.Labels["io.castellan.service"] }
func (c container) running() bool   { return c.State == "running" }

// ask calls the engine's API behind the daemon's back.
func (w *world) ask(method, path string, into any) error {
	return w.askWith(method, path, nil, into)
}

// askWith is ask with a question in JSON, nil for none.
func (w *world) askWith(method, path string, question, into any) error {
	var body io.Reader
	if question != nil {
		b, err := json.Marshal(question)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(w.engine, "unix://"))
		},
	}}
	req, err := http.NewRequest(method, "http://engine/v1.41"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("the engine answers %s %s with %s", method, path, resp.Status)
	}
	switch into := into.(type) {
	case nil:
		return nil
	case io.Writer:
		_, err = io.Copy(into, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// containers lists all containers of the house, running or not.
func (h *house) containers() []container {
	h.t.Helper()
	list, err := h.list()
	must(h.t, err)
	return list
}

func (h *house) list() (list []container, err error) {
	filter := fmt.Sprintf(`{"label":["io.castellan.appliance=%s"]}`, h.id)
	err = h.ask("GET", "/containers/json?all=1&filters="+url.QueryEscape(filter), &list)
	return list, err
}

// container is the only container of a service, which must run.
func (h *house) container(service string) container {
	h.t.Helper()
	c, err := h.running(service)
	must(h.t, err)
	return c
}

// running is the only container of a service, or why there is no such one now, for those who wait for it.
func (h *house) running(service string) (container, error) {
	list, err := h.list()
	if err != nil {
		return container{}, err
	}
	all := slices.DeleteFunc(list, func(c container) bool { return c.service() != service })
	if len(all) != 1 || !all[0].running() {
		return container{}, fmt.Errorf("%s has containers %+v, want one that runs", service, all)
	}
	return all[0], nil
}

// picture is which containers there are and which of them run, for comparing.
func (h *house) picture() string {
	h.t.Helper()
	var lines []string
	for _, c := range h.containers() {
		lines = append(lines, c.service()+" "+c.ID[:12]+" "+c.State)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// restartPolicy is what the engine would do with the container after a reboot.
func (h *house) restartPolicy(id string) string {
	h.t.Helper()
	var out struct {
		HostConfig struct{ RestartPolicy struct{ Name string } }
	}
	must(h.t, h.ask("GET", "/containers/"+id+"/json", &out))
	return out.HostConfig.RestartPolicy.Name
}

// removeContainers removes what the house left on the engine.
func (h *house) removeContainers() {
	h.t.Helper()
	for _, c := range h.containers() {
		must(h.t, h.ask("DELETE", "/containers/"+c.ID+"?force=1&v=1", nil))
	}
	_ = h.ask("DELETE", "/networks/"+h.bridge(), nil) // a house without add-ons made none
}
