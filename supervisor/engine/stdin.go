package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/docker/docker/client"
)

// MaxStdin is how much one WriteStdin may write.
const MaxStdin = 1 << 20

// WriteStdin writes to the standard input of a running container that was made with it open. It returns when the engine
// has passed everything on; a program that does not read is an error after CallTimeout, and may have got a part.
func (e *Engine) WriteStdin(ctx context.Context, id string, data []byte) error {
	what := "write to the standard input of container " + short(id)
	if len(data) > MaxStdin {
		return fmt.Errorf("cannot %s: %d bytes, at most %d are allowed", what, len(data), MaxStdin)
	}
	return e.call(ctx, e.work, what, func(ctx context.Context, cli *client.Client) error {
		r, err := e.newest(ctx, cli, id)
		switch {
		case err != nil:
			return err
		case !r.State.Running:
			return errors.New("it does not run")
		case !r.Config.OpenStdin:
			return errors.New("it was made without standard input: its manifest does not say stdin: true")
		}
		conn, answer, err := attachStdin(ctx, cli, r.ID, time.Now().Add(e.cfg.CallTimeout))
		if err != nil {
			return err
		}
		defer conn.Close()
		defer hurry(ctx, conn)()
		if _, err = conn.Write(data); err == nil {
			err = closeWrite(conn)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, answer) // the engine hangs up when it has passed on the last byte
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			return errors.New("the program in it does not read")
		}
		return err
	})
}

// attachStdin takes over a connection. The SDK does so too, but waits for the engine's answer without its context.
func attachStdin(ctx context.Context, cli *client.Client, id string, until time.Time) (net.Conn, *bufio.Reader, error) {
	conn, err := cli.Dialer()(ctx)
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(until) // fails only on a closed connection, where everything does
	defer hurry(ctx, conn)()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+client.DummyHost+"/v"+cli.ClientVersion()+"/containers/"+id+"/attach?stream=1&stdin=1", nil)
	if err == nil {
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "tcp")
		err = req.Write(conn)
	}
	answer := bufio.NewReader(conn)
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(answer, req)
	}
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols && resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) // the status says enough without
		err = fmt.Errorf("the engine answers %s: %s", resp.Status, text)
	}
	if err != nil {
		_ = conn.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = context.DeadlineExceeded // the engine's silence, as in every other call
		}
		return nil, nil, err
	}
	return conn, answer, nil
}

// hurry makes whatever waits on the connection return when ctx ends, until its result is called.
func hurry(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}

// closeWrite says that nothing follows. A connection that cannot say so leaves the engine waiting.
func closeWrite(conn net.Conn) error {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("the connection to the engine has no end of its own for each direction")
	}
	return half.CloseWrite()
}
