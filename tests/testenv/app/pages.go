package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// step lets an answer of /events go on.
var step = make(chan struct{})

// pages are what an add-on shows of its own:
//
//	/           a page with links, absolute ones as X-Ingress-Path says
//	/sub/page   where they lead
//	/moved      leads there too
//	/seen       what was asked, and from where
//	/cookies    sets cookies: one of its own, and some that are none of an add-on's
//	/ws         says again what it hears
//	/events     three events, each when /step is posted to
//	/sum        length and SHA-256 of what is posted
//	/zeros?n=N  N bytes
func pages(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>Pages</title><a href=\"%s/sub/page\">absolute</a> <a href=\"sub/page\">relative</a>\n", r.Header.Get("X-Ingress-Path"))
	case "/sub/page":
		fmt.Fprintln(w, "a page")
	case "/moved":
		http.Redirect(w, r, "/sub/page", http.StatusFound)
	case "/seen":
		fmt.Fprintf(w, "%s %s from %s at %s\n", r.Method, r.RequestURI, r.RemoteAddr, r.Host)
		_ = r.Header.Write(w) // who asked may have gone
	case "/cookies":
		w.Header().Set("X-Frame-Options", "DENY")
		for _, name := range []string{"own", "castellan", "__Host-castellan", "ingress_session"} {
			w.Header().Add("Set-Cookie", name+"=set-by-the-add-on; Path=/; Secure")
		}
	case "/ws":
		c, err := websocket.Accept(w, r, nil) // the origin must be the host that was asked
		if err != nil {
			return // it has answered
		}
		defer func() { _ = c.CloseNow() }()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush() // it can
			select {
			case <-step:
			case <-r.Context().Done():
				return
			}
		}
	case "/step":
		select {
		case step <- struct{}{}:
		case <-r.Context().Done():
		}
	case "/sum":
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v\n", n, h.Sum(nil), err)
	case "/zeros":
		n, _ := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64) // 0 for what is no number
		_, _ = io.CopyN(w, zeros{}, n)                           // who asked may have gone
	default:
		http.NotFound(w, r)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// showPages asks the Supervisor for the port that was picked, and shows the pages there.
func showPages() error {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		port, err := ingressPort()
		if err == nil {
			return http.ListenAndServe(":"+strconv.Itoa(port), nil)
		}
		if time.Now().After(end) {
			return err
		}
	}
}

func ingressPort() (int, error) {
	resp, err := ask("http://supervisor/addons/self/info", nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var out struct {
		Data struct {
			Port int `json:"ingress_port"`
		} `json:"data"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return 0, err
	}
	if out.Data.Port == 0 {
		return 0, fmt.Errorf("the Supervisor names no port: status %d", resp.StatusCode)
	}
	return out.Data.Port, nil
}

// talk is an add-on's word with Home Assistant Core.
func talk(url, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer func() { _ = c.CloseNow() }()
	auth, _ := json.Marshal(map[string]string{"type": "auth", "access_token": os.Getenv("SUPERVISOR_TOKEN")}) // two texts
	for _, say := range []string{"", string(auth), text} {
		if say != "" {
			if err := c.Write(ctx, websocket.MessageText, []byte(say)); err != nil {
				return err
			}
		}
		_, b, err := c.Read(ctx)
		if err != nil {
			return err
		}
		fmt.Println(string(b))
	}
	return c.Close(websocket.StatusNormalClosure, "")
}
