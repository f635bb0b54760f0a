package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/castellan/castellan/trust"
)

// postTimeout is longer than the server may take for one durable append.
const postTimeout = 90 * time.Second

// maxAnswer bounds what a ledger may say to a writer.
const maxAnswer = 1 << 20

// post sends records, or with path /v1/files a file, to the first address of a ledger.
func post(ctx context.Context, l trust.RootLedger, path string, body []byte) ([]byte, error) {
	if len(l.URLs) == 0 {
		return nil, usagef("no address of ledger %q is known: give --ledger", l.Origin)
	}
	url := strings.TrimSuffix(l.URLs[0], "/") + path
	answer, err := postOnce(ctx, url, body)
	if err != nil {
		return nil, fmt.Errorf("cannot write to ledger %s: %w", l.URLs[0], err)
	}
	return answer, nil
}

func postOnce(ctx context.Context, url string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "cas/"+version)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w; what was written is found again when you repeat the command", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(answer) > maxAnswer {
		return nil, errors.Join(errors.New("its answer can't be read"), err)
	}
	if resp.StatusCode == http.StatusOK {
		return answer, nil
	}
	var no struct{ Error, Next string }
	if json.Unmarshal(answer, &no) != nil || no.Error == "" {
		return nil, fmt.Errorf("it answered %s", resp.Status)
	}
	return nil, fmt.Errorf("%s; %s", clean(no.Error), clean(no.Next))
}

// postRecords sends records as one transaction and returns where they stand.
func postRecords(ctx context.Context, l trust.RootLedger, records ...trust.Envelope) ([]trust.Position, error) {
	var parts [][]byte
	for _, r := range records {
		b, err := r.Marshal()
		if err != nil {
			return nil, err
		}
		parts = append(parts, b)
	}
	body := append(append([]byte("["), bytes.Join(parts, []byte(","))...), ']')
	answer, err := post(ctx, l, "/v1/records", body)
	if err != nil {
		return nil, err
	}
	var ok struct{ Positions []trust.Position }
	if err := json.Unmarshal(answer, &ok); err != nil || len(ok.Positions) != len(records) {
		return nil, fmt.Errorf("cannot believe ledger %s: its answer does not name %d positions", l.URLs[0], len(records))
	}
	return ok.Positions, nil
}
