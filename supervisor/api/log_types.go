package api

import (
	"encoding/json"
	"time"
)

// LogQuery selects records of the verification log: the newest Last (0 = 20) that match all of what is set.
type LogQuery struct {
	Last    int
	Before  uint64   // only records with a lower number: the page before one that was read
	Kinds   []string // one of these
	Service string
	Outcome string    // verdicts with this outcome, as "REFUSE"
	Since   time.Time // from here on, by the appliance's clock
	Until   time.Time // before this
	Text    string    // in what people read of it, in any case of letters
	Names   bool      // private texts, as users' names, are shown and searched too
}

// LogRecord is one line of the verification log. Line is the record exactly as stored.
type LogRecord struct {
	Seq     uint64          `json:"seq"`
	Time    time.Time       `json:"time"`
	Kind    string          `json:"kind"`
	Service string          `json:"service,omitempty"`
	Outcome string          `json:"outcome,omitempty"` // of a verdict
	Reason  string          `json:"reason,omitempty"`  // code that decided it
	Summary string          `json:"summary"`
	Line    json.RawMessage `json:"line"`
}

// LogList is the answer of /castellan/log, oldest first.
type LogList struct {
	Records []LogRecord `json:"records"`
	Before  uint64      `json:"before,omitempty"` // asks for the page before this one; 0 = there is none
}
