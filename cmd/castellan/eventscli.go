package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

func jobCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "job", Short: "Show the work that is under way, and what ended of late", Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(jobListCommand(o), jobShowCommand(o), jobWaitCommand(o), jobCancelCommand(o))
	return cmd
}

func jobListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List jobs, newest first", Args: argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Jobs(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			t := newTable(cmd.OutOrStdout(), "JOB", "WHAT", "ABOUT", "STATE", "DONE", "BEGUN")
			for _, j := range list.Jobs {
				t.AppendRow([]any{j.UUID, j.Name, plain(orDash(value(j.Reference))), jobWord(j), fmt.Sprintf("%.0f %%", float64(j.Progress)), age(jobTime(j))})
			}
			t.Render()
			if len(list.IgnoreConditions) > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "! conditions that are switched off: %s\n", strings.Join(list.IgnoreConditions, ", "))
			}
			return nil
		},
	}
}

func jobShowCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show JOB", Short: "Show one job, and what it is made of", Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			j, err := o.client().Job(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), j)
			}
			printJob(cmd.OutOrStdout(), j, "")
			return nil
		},
	}
}

func printJob(w io.Writer, j api.JobView, indent string) {
	fmt.Fprintf(w, "%s%s %s: %s, %.0f %%\n", indent, j.Name, plain(value(j.Reference)), jobWord(j), float64(j.Progress))
	for _, k := range slices.Sorted(maps.Keys(j.Extra)) {
		if s := plain(fmt.Sprint(j.Extra[k])); s != "" {
			fmt.Fprintf(w, "%s  %s: %s\n", indent, plain(k), s)
		}
	}
	for _, e := range j.Errors {
		fmt.Fprintf(w, "%s  ! %s\n", indent, plain(e.Message))
	}
	for _, c := range j.Children {
		printJob(w, c, indent+"  ")
	}
}

func jobWaitCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "wait JOB", Short: "Wait until a job is over; it fails when the job did", Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			stages, shown := cmd.OutOrStdout(), ""
			if o.json {
				stages = io.Discard
			}
			for {
				j, err := o.client().Job(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if word := jobWord(j); word != shown {
					shown = word
					fmt.Fprintf(stages, "%s %s: %s\n", j.Name, plain(value(j.Reference)), word)
				}
				if j.Done != nil && *j.Done {
					if o.json {
						if err := printJSON(cmd.OutOrStdout(), j); err != nil {
							return err
						}
					}
					return jobEnd(j)
				}
				select {
				case <-cmd.Context().Done():
					return errors.New("stopped waiting; the job goes on")
				case <-time.After(200 * time.Millisecond):
				}
			}
		},
	}
}

// jobEnd is the error of a job that did not end well.
func jobEnd(j api.JobView) error {
	if len(j.Errors) == 0 {
		return nil
	}
	message, next, _ := strings.Cut(j.Errors[0].Message, ". Next: ")
	out := &exitError{exitFailed, errors.New(message), next}
	if value(j.Errors[0].Key) == api.KeyTrust {
		out.code = exitRefused
	}
	return out
}

func jobCancelCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "cancel JOB", Short: "End a job that can be interrupted, or waits for its turn", Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.client().CancelJob(cmd.Context(), args[0]); err != nil {
				return err
			}
			if !o.json {
				fmt.Fprintln(cmd.OutOrStdout(), "it ends as soon as its work returns")
				return nil
			}
			return printJSON(cmd.OutOrStdout(), map[string]bool{"cancelled": true})
		},
	}
}

// jobWord is how far a job is.
func jobWord(j api.JobView) string {
	switch {
	case j.Done == nil:
		return "waits"
	case *j.Done && len(j.Errors) > 0:
		return "failed"
	case *j.Done:
		return "done"
	case j.Stage != nil:
		return plain(*j.Stage)
	}
	return "running"
}

func jobTime(j api.JobView) time.Time {
	at, err := time.Parse(time.RFC3339, j.Created)
	if err != nil {
		return time.Time{} // shown as never
	}
	return at
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
