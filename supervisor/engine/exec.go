package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
)

// MaxExecOutput is how much of a command's output is kept; the rest is read and dropped.
const MaxExecOutput = 64 << 10

// Exec runs a command inside a running container; output is both its streams as they came. When ctx ends first the
// command runs on: the engine has no call to end it.
func (e *Engine) Exec(ctx context.Context, id string, command []string) (exit int, output []byte, err error) {
	what := "run a command in container " + short(id)
	if len(command) == 0 {
		return -1, nil, fmt.Errorf("cannot %s: the command is empty", what)
	}
	out := &head{max: MaxExecOutput}
	exit = -1
	err = e.call(ctx, e.work, what, func(ctx context.Context, cli *client.Client) error {
		r, err := e.mine(ctx, cli, id)
		if err != nil {
			return err
		}
		created, err := cli.ContainerExecCreate(ctx, r.ID, container.ExecOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
		if err != nil {
			return err
		}
		if err := execOutput(ctx, cli, created.ID, out); err != nil {
			return err
		}
		return poll(ctx, pollEvery, func() (bool, error) { // the streams may end a moment before the command
			state, err := cli.ContainerExecInspect(ctx, created.ID)
			exit = state.ExitCode
			return !state.Running, err
		})
	})
	if err != nil {
		exit = -1
	}
	return exit, out.buf.Bytes(), err
}

// execOutput starts an exec and copies its streams until they end. The SDK's way to do so takes over the connection
// and then waits without its context; a plain request is answered with the same stream.
func execOutput(ctx context.Context, cli *client.Client, id string, out io.Writer) error {
	host := client.DummyHost
	if addr, ok := strings.CutPrefix(cli.DaemonHost(), "tcp://"); ok {
		host = addr
	}
	u := url.URL{Scheme: "http", Host: host, Path: "/v" + cli.ClientVersion() + "/exec/" + id + "/start"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(`{"Detach":false,"Tty":false}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := cli.HTTPClient().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) // the status says enough without
		return fmt.Errorf("the engine answers %s: %s", resp.Status, bytes.TrimSpace(text))
	}
	_, err = stdcopy.StdCopy(out, out, resp.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return ctx.Err()
}

// head keeps the first max bytes.
type head struct {
	buf bytes.Buffer
	max int
}

func (h *head) Write(p []byte) (int, error) {
	if room := h.max - h.buf.Len(); room > 0 {
		h.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
