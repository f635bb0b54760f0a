package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// serveUntil answers on l until ctx ends; then running requests get three seconds. Closing is no error.
func serveUntil(ctx context.Context, srv *http.Server, l net.Listener) error {
	ctx, end := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if err := srv.Shutdown(late); err != nil {
			_ = srv.Close() // clients that do not leave are cut; nothing of theirs is lost
		}
	}()
	err := srv.Serve(l)
	end() // also when the listener broke: nobody waits for the rest of ctx
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
