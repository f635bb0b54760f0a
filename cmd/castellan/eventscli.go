package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

// eventsRetry is how long the command waits before it comes back to a daemon that is away.
const eventsRetry = time.Second

func eventsCommand(o *options) *cobra.Command {
	var topics []string
	var last string
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happens as it happens, one line an event",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return watchEvents(cmd.Context(), o.client(), topics, last, func(e client.Event) error {
				if o.json {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(e)
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", time.Now().Format("15:04:05"), eventLine(e))
				return err
			})
		},
	}
	cmd.Flags().StringSliceVar(&topics, "topic", nil, "only these: job, change, addon, plan, ledger, log, engine, …")
	cmd.Flags().StringVar(&last, "after", "", "begin after the event with this ID")
	return cmd
}

// watchEvents hands events on until ctx ends, which is no error, or the daemon refuses. When a daemon that has answered goes
// away, it comes back and goes on where it was.
func watchEvents(ctx context.Context, c *client.Client, topics []string, last string, tell func(client.Event) error) error {
	for first := true; ; first = false {
		list, err := c.Events(ctx, topics, last)
		var refused *api.Error
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused) && refused.Status != 503, err != nil && first:
			return err
		}
		if err == nil {
			for e, err := range list {
				if err != nil {
					break
				}
				last = e.ID
				if e.Name == "" {
					continue
				}
				if err := tell(e); err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(eventsRetry):
		}
	}
}

// eventLine is an event for people.
func eventLine(e client.Event) string {
	var m map[string]any
	if json.Unmarshal(e.Data, &m) != nil {
		return plain(fmt.Sprintf("%-9s %s", e.Name, e.Data))
	}
	at := func(key string) string {
		if v := m[key]; v != nil {
			return fmt.Sprint(v)
		}
		return ""
	}
	text := ""
	switch e.Name {
	case "job":
		text = fmt.Sprintf("%s %s: %s", at("name"), at("reference"), jobState(m["done"]))
		if m["done"] == false {
			text += fmt.Sprintf(" %s %s %%", at("stage"), at("progress"))
		}
		if list, ok := m["errors"].([]any); ok && len(list) > 0 {
			if first, ok := list[0].(map[string]any); ok {
				text += fmt.Sprintf(", %v", first["message"])
			}
		}
	case "change":
		text = fmt.Sprintf("%s %s -> %s: %s", at("service"), orDash(at("from")), at("to"), at("state"))
		if why := at("why"); why != "" {
			text += ", " + why
		}
	case "addon":
		text = at("slug") + ": " + at("state")
	case "log":
		text = fmt.Sprintf("%s %s %s", at("seq"), at("kind"), at("summary"))
	case "plan":
		text = fmt.Sprintf("%s would move, %s wait", at("moves"), at("waits"))
	case "ledger":
		text = strings.TrimSpace(fmt.Sprintf("%s: %s, %s transactions %s", at("origin"), at("state"), at("count"), at("error")))
	case "engine":
		text = "answers"
		if m["up"] != true {
			text = "is away: " + at("error")
		}
	case "reset":
		text = "events were missed: " + at("reason")
	default:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(m)) {
			parts = append(parts, fmt.Sprintf("%s: %v", k, m[k]))
		}
		text = strings.Join(parts, ", ")
	}
	return plain(fmt.Sprintf("%-9s %s", e.Name, text))
}

func jobState(done any) string {
	switch done {
	case true:
		return "over"
	case false:
		return "running"
	}
	return "waits"
}
