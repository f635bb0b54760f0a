package trust

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// EncodeInput writes in as JSON for the verification log: the same input always gives the same bytes. Records are
// written as their envelopes; [DecodeInput] decodes them again.
func EncodeInput(in Input) ([]byte, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("cannot write evidence: %w", err)
	}
	return b, nil
}

// DecodeInput reads what [EncodeInput] wrote. [Judge] gives the same verdict for it as for the original.
func DecodeInput(b []byte) (Input, error) {
	var in Input
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return Input{}, fmt.Errorf("cannot read evidence: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Input{}, fmt.Errorf("cannot read evidence: more than one value")
	}
	return in, nil
}

// UnmarshalJSON reads a stored record and decodes its payload.
func (p *PlacedNotarization) UnmarshalJSON(b []byte) error {
	type stored PlacedNotarization // without this method
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	n, err := ParseNotarization(s.Envelope.Payload)
	if err != nil {
		return err
	}
	s.Notarization = n
	*p = PlacedNotarization(s)
	return nil
}

// UnmarshalJSON reads a stored document and decodes its payload.
func (p *PlacedPublisher) UnmarshalJSON(b []byte) error {
	type stored PlacedPublisher // without this method
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	doc, err := ParsePublisher(s.Envelope.Payload)
	if err != nil {
		return err
	}
	s.Publisher = doc
	*p = PlacedPublisher(s)
	return nil
}
