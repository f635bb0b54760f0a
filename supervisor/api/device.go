package api

import (
	"context"
	"time"
)

// deviceRoutes are the calls about the machine itself, beside Home Assistant's of ha_host.go.
var deviceRoutes = []route{
	{"GET", "/castellan/device", Viewer, never, "What the machine has and uses, and its clock.", ha((*Server).getDevice)},
	{"GET", "/castellan/log/days", Viewer, never, "How many verdicts had which outcome, by day of the appliance's zone, oldest first.", call((*Server).getLogDays)},
}

// Device is what the machine has and uses. Sizes are in bytes; 0 is what it does not tell.
type Device struct {
	System       string    `json:"system,omitempty"`
	DiskTotal    int64     `json:"disk_total"` // where the daemon keeps its data
	DiskFree     int64     `json:"disk_free"`
	MemoryTotal  int64     `json:"memory_total"`
	MemoryFree   int64     `json:"memory_free"`           // that programs can have
	Temperature  *float64  `json:"temperature,omitempty"` // °C of the warmest part; left out where none is told
	Booted       time.Time `json:"booted,omitzero"`
	Now          time.Time `json:"now"`
	Synchronized bool      `json:"synchronized"` // the clock can be believed
	Zone         string    `json:"zone,omitempty"`
}

func (s *Server) getDevice(ctx context.Context, _ Caller, _ none) (Device, error) {
	h, err := s.cfg.Home.Host(ctx)
	if err != nil {
		return Device{}, err
	}
	d, i := h.Device, h.Info
	if i.OperatingSystem != nil {
		d.System = *i.OperatingSystem
	}
	if i.Now != nil {
		d.Now = *i.Now
	}
	if i.Synchronized != nil {
		d.Synchronized = *i.Synchronized
	}
	if i.Timezone != nil {
		d.Zone = *i.Timezone
	}
	if i.BootTimestamp != nil {
		d.Booted = time.UnixMicro(*i.BootTimestamp).UTC()
	}
	return d, nil
}

// LogDay counts the verdicts of one day by outcome.
type LogDay struct {
	Day      string `json:"day"` // 2006-01-02
	Allowed  int    `json:"allowed"`
	Unsigned int    `json:"unsigned"` // let in without a signature
	Forced   int    `json:"forced"`   // let in by an override
	Deferred int    `json:"deferred"` // could not be checked
	Refused  int    `json:"refused"`
}

// LogDays is the answer of /castellan/log/days.
type LogDays struct {
	Days []LogDay `json:"days"`
}

type logDaysIn struct {
	Days int `query:"days" minimum:"1" maximum:"31"` // left out: 14
}

func (s *Server) getLogDays(ctx context.Context, _ Caller, in logDaysIn) (LogDays, error) {
	if in.Days == 0 {
		in.Days = 14
	}
	days, err := s.cfg.Backend.Log().Days(ctx, in.Days)
	fill(&days)
	return LogDays{days}, err
}
