package api

import (
	"context"
	"time"
)

// House is what an owner says with the house key: his own notarizations, accepted on this appliance only (TRUST.md §7).
type House interface {
	// InitHouse makes the house key. There is one for each appliance, made once.
	InitHouse(ctx context.Context, by string) (HouseKey, error)
	// AcceptHouse vouches for exactly the image a service would run now, or for a file of the channel.
	AcceptHouse(ctx context.Context, r HouseRequest, by string) (HouseWord, error)
	// WithdrawHouse says UNTRUSTED about what a service runs, or about the image with the digest asked for.
	WithdrawHouse(ctx context.Context, r HouseRequest, by string) (HouseWord, error)
	House(ctx context.Context) (HouseList, error)
}

// HouseKey is the house key as others see it.
type HouseKey struct {
	Publisher string `json:"publisher"`
	Seq       uint64 `json:"seq"` // its verification log record
}

// HouseRequest asks for a word of the house key.
type HouseRequest struct {
	Service  string `json:"service"`
	Version  string `json:"version,omitempty"`  // to accept; empty = what would run now
	Channel  string `json:"channel,omitempty"`  // in place of a service: accept its file with Digest
	Digest   string `json:"digest,omitempty"`   // the manifest it must be; of a withdrawal, any digest of the image
	Why      string `json:"why,omitempty"`      // for the log; of a withdrawal, for the record too
	Severity string `json:"severity,omitempty"` // of a withdrawal: notify, update or stop; empty = notify
}

// HouseWord is one record of the house key.
type HouseWord struct {
	Service    string    `json:"service,omitempty"` // it was asked for; not in lists
	Status     string    `json:"status"`
	Repository string    `json:"repository"`
	Version    string    `json:"version"`
	Index      string    `json:"index,omitempty"`
	Manifest   string    `json:"manifest,omitempty"`
	Config     string    `json:"config,omitempty"`
	File       string    `json:"file,omitempty"` // of a channel; Repository is the channel's name then
	Platform   string    `json:"platform,omitempty"`
	Ledger     string    `json:"ledger"` // it stands beside, and counts in
	Time       time.Time `json:"time"`
	Reason     string    `json:"reason,omitempty"`
	Seq        uint64    `json:"seq,omitempty"` // its verification log record; not in lists
}

// HouseList is the answer of /castellan/trust/house, oldest word first. Publisher is empty when there is no house key.
type HouseList struct {
	Publisher string      `json:"publisher"`
	Words     []HouseWord `json:"words"`
}

func (r HouseRequest) check() error {
	if r.Service == "" && r.Channel == "" {
		return missing("use the house key", "service")
	}
	if r.Channel != "" && !nameShape.MatchString(r.Channel) {
		return badRequest("cannot read field \"channel\": %.60q is no channel", r.Channel)
	}
	return named(r.Service, r.Version, r.Digest)
}

func (s *Server) postHouseInit(ctx context.Context, c Caller, _ none) (HouseKey, error) {
	return s.cfg.Backend.Trust().InitHouse(ctx, c.String())
}

func (s *Server) postHouseAccept(ctx context.Context, c Caller, in about[HouseRequest]) (HouseWord, error) {
	return s.cfg.Backend.Trust().AcceptHouse(ctx, in.Body, c.String()) // the channel is checked there
}

func (s *Server) postHouseWithdraw(ctx context.Context, c Caller, in about[HouseRequest]) (HouseWord, error) {
	return s.cfg.Backend.Trust().WithdrawHouse(ctx, in.Body, c.String())
}

func (s *Server) getHouse(ctx context.Context, _ Caller, _ none) (HouseList, error) {
	list, err := s.cfg.Backend.Trust().House(ctx)
	fill(&list.Words)
	return list, err
}
