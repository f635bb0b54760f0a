package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust/audit"
)

// daily writes one summary a day into the verification log and signs its head, so that a day without news is a day
// on record too.
func (h *house) daily(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(24 * time.Hour):
		}
		if err := h.summarise(ctx); err != nil {
			h.log.Error("cannot write the daily summary", "error", err)
		}
	}
}

func (h *house) summarise(ctx context.Context) error {
	services, err := h.manager.Services()
	if err != nil {
		return err
	}
	var parts []string
	for _, s := range services {
		if s.Current != nil {
			parts = append(parts, fmt.Sprintf("%s %s %s", s.Service.Name, s.Version(), h.badge(s)))
		}
	}
	if _, err := h.audit.Append(ctx, audit.KindAction, supervisor.Action{What: "summary", Why: strings.Join(parts, ", ")}); err != nil {
		return err
	}
	_, err = h.audit.SignHead(ctx)
	return err
}
