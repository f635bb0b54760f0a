package client

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// Overrides lists the overrides that wait, and those that services run by.
func (c *Client) Overrides(ctx context.Context) (api.OverrideList, error) {
	return call[api.OverrideList](ctx, c, "GET", "/castellan/trust/overrides", nil)
}

// EndOverride takes back an override that waits.
func (c *Client) EndOverride(ctx context.Context, id string) error {
	_, err := call[struct{}](ctx, c, "POST", "/castellan/trust/overrides/end", api.EndOverrideRequest{ID: id})
	return err
}

// Against tells what stands against the image of a service that was refused or deferred last.
func (c *Client) Against(ctx context.Context, service string) (api.Refusal, error) {
	return call[api.Refusal](ctx, c, "GET", "/castellan/trust/against?service="+url.QueryEscape(service), nil)
}

// Ledgers lists the ledgers that are followed.
func (c *Client) Ledgers(ctx context.Context) (api.LedgerList, error) {
	return call[api.LedgerList](ctx, c, "GET", "/castellan/trust/ledgers", nil)
}

// Publishers lists whose word counts, and what was withdrawn of what is installed.
func (c *Client) Publishers(ctx context.Context) (api.PublisherList, error) {
	return call[api.PublisherList](ctx, c, "GET", "/castellan/trust/publishers", nil)
}

// Judged is the newest judgement of each installed image.
func (c *Client) Judged(ctx context.Context) (api.Judgement, error) {
	return call[api.Judgement](ctx, c, "GET", "/castellan/trust/verify", nil)
}

// JudgeAll has each installed image judged anew.
func (c *Client) JudgeAll(ctx context.Context) (api.Judgement, error) {
	return call[api.Judgement](ctx, c, "POST", "/castellan/trust/verify", nil)
}

// Log reads the verification log.
func (c *Client) Log(ctx context.Context, q api.LogQuery) (api.LogList, error) {
	v := logValues(q)
	if q.Last != 0 {
		v.Set("last", strconv.Itoa(q.Last))
	}
	if q.Before != 0 {
		v.Set("before", strconv.FormatUint(q.Before, 10))
	}
	return call[api.LogList](ctx, c, "GET", "/castellan/log?"+v.Encode(), nil)
}

// ExportLog opens the records that match, oldest first, as "jsonl" or "csv". An export that breaks off ends with an error. The
// caller closes it.
func (c *Client) ExportLog(ctx context.Context, q api.LogQuery, format string) (io.ReadCloser, error) {
	v := logValues(q)
	v.Set("format", format)
	return c.stream(ctx, "/castellan/log/export?"+v.Encode())
}

func logValues(q api.LogQuery) url.Values {
	v := url.Values{}
	for name, s := range map[string]string{"kind": strings.Join(q.Kinds, ","), "service": q.Service, "outcome": q.Outcome, "q": q.Text} {
		if s != "" {
			v.Set(name, s)
		}
	}
	if q.Names {
		v.Set("names", "1")
	}
	for name, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !t.IsZero() {
			v.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	return v
}

// VerifyLog checks the chain of the verification log.
func (c *Client) VerifyLog(ctx context.Context) (api.LogReport, error) {
	return call[api.LogReport](ctx, c, "GET", "/castellan/log/verify", nil)
}

// Explain asks why a verdict is what it is.
func (c *Client) Explain(ctx context.Context, seq uint64) (api.Explanation, error) {
	return call[api.Explanation](ctx, c, "GET", fmt.Sprintf("/castellan/log/%d/explain", seq), nil)
}

// Replay judges a record's stored evidence again.
func (c *Client) Replay(ctx context.Context, seq uint64) (api.Replay, error) {
	return call[api.Replay](ctx, c, "GET", fmt.Sprintf("/castellan/log/%d/replay", seq), nil)
}
