package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/access/tlscert"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust/audit"
)

// Times of [lanAPI].
const (
	lanRecheck   = 10 * time.Second // how often it looks whether it should answer, and tries again what failed
	lanCertEvery = time.Minute
	lanTendEvery = 5 * time.Minute
)

// lanAPI keeps the API for people answering on the network of the house, as the configuration says now. Whatever is wrong,
// the daemon goes on without, and says why.
type lanAPI struct {
	people *access.Access // nil = it can't be used, for the reason broken
	broken error
	dir    string // of the certificate
	want   func() config.API
	serve  func(context.Context, net.Listener, api.Network) error
	shut   func(context.Context, net.Listener, api.Network) error // in its place while nobody can be let in; nil = nothing
	pages  func(context.Context, net.Listener, api.Network) error // add-ons' own, on a port beside it
	ui     func(http.Handler) http.Handler                        // the web UI, before the API
	log    *slog.Logger
	kick   chan struct{}

	mu       sync.Mutex // guards the rest
	in       config.API // that is served
	away     bool       // that nobody can be let in is all that is served
	at       string     // address it is served at, "" = nowhere
	cert     *tlscert.Source
	err      error  // why it is not as it should be
	pagesAt  string // address of add-ons' pages, "" = nowhere
	pagesErr error  // why they are not where they should be
}

// openPeople opens the register of who may call from the network. One that can't be used keeps them out, and nobody else.
func (h *house) openPeople(_ context.Context, data func(string) string, _ bool) error {
	h.lan = &lanAPI{dir: data("access"), want: func() config.API { return h.config().API }, log: h.log.With("part", "network"), kick: make(chan struct{}, 1)}
	people, err := access.Open(data("access"), access.Options{Log: h.log.With("part", "access")})
	if err != nil {
		h.lan.broken = err
		h.log.Error("nobody is let in from the network", "error", err)
		return nil
	}
	h.opened(people)
	h.lan.people = people
	return nil
}

// account writes into the verification log what becomes of a user or a token, before it counts.
func (h *house) account(e access.Event, by string) error {
	_, err := h.audit.Append(context.Background(), audit.KindAccount, // who asked may have left; it is done all the same
		audit.AccountPayload{What: e.What, User: e.User, Role: string(e.Role), Token: e.Token, Name: e.Name, By: by})
	return err
}

// wake makes it look at the configuration at once.
func (l *lanAPI) wake() {
	if l == nil {
		return
	}
	select {
	case l.kick <- struct{}{}:
	default: // it is about to
	}
}

// status is what people on the appliance are told.
func (l *lanAPI) status() (out api.NetworkStatus) {
	if l == nil {
		return out
	}
	l.mu.Lock()
	at, cert, cfg, err, pagesAt, pagesErr := l.at, l.cert, l.in, l.err, l.pagesAt, l.pagesErr
	if l.away {
		at = "" // nobody can call there
	}
	l.mu.Unlock()
	out.Owner = l.people != nil && len(l.people.Users()) > 0
	if closed := l.closed(); closed != nil {
		err = closed
	}
	if at != "" {
		out.Listen, out.TLS = at, cfg.TLS
		if cert != nil {
			info := cert.Info()
			out.Fingerprint, out.Ends = info.Fingerprint, info.NotAfter
			if err == nil {
				err = cert.Problem()
			}
		}
	}
	if err != nil {
		out.Error = err.Error()
	}
	if out.Ingress = pagesAt; pagesAt != "" {
		out.IngressPort = portOf(pagesAt)
	}
	if pagesErr != nil {
		out.IngressError = pagesErr.Error()
	}
	return out
}

// closed says why nobody can be let in.
func (l *lanAPI) closed() error {
	if l.people == nil {
		return l.broken
	}
	return l.people.Closed()
}

// run goes on until ctx ends.
func (l *lanAPI) run(ctx context.Context) {
	var doors lanDoors
	var looked, tended time.Time
	var told, pagesTold, tendTold string
	defer func() { _ = doors.stop() }() // what broke them was told, or ctx did
	for ctx.Err() == nil {
		next, err := l.turn(ctx, doors)
		pages, pagesErr := l.turnPages(ctx, next)
		doors = lanDoors{next.people, pages}
		l.mu.Lock()
		l.err, l.pagesErr = err, pagesErr
		l.mu.Unlock()
		told = l.tell(told, err, "people can't reach the API; it is tried again")
		pagesTold = l.tell(pagesTold, pagesErr, "people can't see the pages of add-ons; it is tried again")
		if now := time.Now(); l.people != nil && now.Sub(tended) >= lanTendEvery {
			tended = now
			tendTold = l.tell(tendTold, l.people.Tend(), "the register of users is not on disk as it is")
		}
		if now := time.Now(); doors.people != nil && l.cert != nil && now.Sub(looked) >= lanCertEvery {
			looked = now
			_ = l.cert.Refresh() // it tells the log itself, and status asks for it
		}
		select {
		case <-time.After(lanRecheck):
		case <-l.kick:
			looked = time.Time{}
		case <-doors.people.end():
		case <-doors.pages.end():
		case <-ctx.Done():
		}
	}
}

// tell logs a reason once, however long it lasts.
func (l *lanAPI) tell(told string, err error, what string) string {
	if err == nil {
		return ""
	}
	if told != err.Error() {
		l.log.Warn(what, "error", err)
	}
	return err.Error()
}
