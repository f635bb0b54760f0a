// Command app is the sample service of the tests. As a service it answers /health and /version on APP_ADDR (":8080")
// and misbehaves as its environment says; as a command it is what health checks run inside the container.
//
//	APP_VERSION=1.0        what /version answers
//	APP_ILL=1              /health answers 503
//	APP_FAIL_AFTER=2s      /health answers 503 from then on
//	APP_EXIT=3             ends at once with that code
//	APP_EXIT_AFTER=2s      ends with code 1 then
//	APP_IGNORE_TERM=1      has to be killed
//	APP_WRITE=/data/file   writes its version there at start
//	APP_ECHO=1             writes what it reads from standard input to standard output
//	APP_PAGES=1            shows pages too, on the port that the Supervisor names as its ingress_port
//
//	app exit N             ends with code N
//	app print N            writes N bytes to standard output and a word to standard error
//	app sleep 10s          sleeps
//	app get URL            ends with 0 when the answer is 200
//	app call URL [BODY]    asks with $SUPERVISOR_TOKEN, posts BODY if there is one, writes the status and the answer
//	app read FILE          writes the file to standard output; of a link, where it leads
//	app write FILE         writes a word into the file
//	app lookup NAME        writes the addresses of a host to standard output
//	app talk URL [TEXT]    greets Home Assistant's WebSocket with $SUPERVISOR_TOKEN, says TEXT, writes what it hears
//
// Its pages, at APP_ADDR and at the port of APP_PAGES, are in pages.go.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 2 {
		os.Exit(command(os.Args[1], os.Args[2]))
	}
	if code := os.Getenv("APP_EXIT"); code != "" {
		n, _ := strconv.Atoi(code) // a bad number ends with 0, which is an end too
		os.Exit(n)
	}
	version := os.Getenv("APP_VERSION")
	if path := os.Getenv("APP_WRITE"); path != "" {
		if err := os.WriteFile(path, []byte(version), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if os.Getenv("APP_ECHO") != "" {
		go io.Copy(os.Stdout, os.Stdin)
	}
	start := time.Now()
	failAfter, fails := after("APP_FAIL_AFTER")
	if d, ok := after("APP_EXIT_AFTER"); ok {
		time.AfterFunc(d, func() { os.Exit(1) })
	}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for range stop {
			if os.Getenv("APP_IGNORE_TERM") == "" {
				os.Exit(0)
			}
		}
	}()

	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("APP_ILL") != "" || fails && time.Since(start) > failAfter {
			http.Error(w, "ill", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	http.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, version) })
	http.HandleFunc("/", pages)
	if os.Getenv("APP_PAGES") != "" {
		go func() {
			fmt.Fprintln(os.Stderr, showPages())
			os.Exit(1)
		}()
	}
	addr := os.Getenv("APP_ADDR")
	if addr == "" {
		addr = ":8080"
	}
	fmt.Fprintln(os.Stderr, http.ListenAndServe(addr, nil))
	os.Exit(1)
}

func command(verb, arg string) int {
	n, _ := strconv.Atoi(arg) // 0 where the argument is no number
	switch verb {
	case "exit":
		return n
	case "print":
		fmt.Fprintln(os.Stderr, "word")
		_, _ = os.Stdout.Write(bytes.Repeat([]byte("x"), n))
		return 0
	case "sleep":
		d, _ := time.ParseDuration(arg)
		time.Sleep(d)
		return 0
	case "get":
		resp, err := http.Get(arg)
		if err == nil && resp.StatusCode == http.StatusOK {
			return 0
		}
		return 1
	case "call":
		return told(call(arg, os.Args[3:]))
	case "talk":
		return told(talk(arg, strings.Join(os.Args[3:], " ")))
	case "read":
		text, err := os.ReadFile(arg)
		if to, linkErr := os.Readlink(arg); linkErr == nil {
			text, err = []byte(to), nil
		}
		_, _ = os.Stdout.Write(text)
		return told(err)
	case "write":
		return told(os.WriteFile(arg, []byte("word"), 0o644))
	case "lookup":
		addrs, err := net.LookupHost(arg)
		fmt.Println(strings.Join(addrs, " "))
		return told(err)
	}
	return 2
}

// call asks what an add-on asks of the Supervisor.
func call(url string, body []string) error {
	resp, err := ask(url, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Printf("%d ", resp.StatusCode)
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

func ask(url string, body []string) (*http.Response, error) {
	method := http.MethodGet
	if len(body) > 0 {
		method = http.MethodPost
	}
	req, err := http.NewRequest(method, url, strings.NewReader(strings.Join(body, " ")))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("SUPERVISOR_TOKEN"))
	req.Header.Set("Content-Type", "application/json")
	return (&http.Client{Timeout: 10 * time.Second}).Do(req)
}

func told(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func after(name string) (time.Duration, bool) {
	d, err := time.ParseDuration(os.Getenv(name))
	return d, err == nil
}
