package trust

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPublisherFormatIsStable(t *testing.T) {
	p := samplePublisher(1, 2, 3)
	p.Revoked = []Revocation{{KeyID: sampleID(4), Reason: Superseded, Cutoff: 17}}
	b, err := EncodePublisher(p)
	if err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "publisher.json", b)
	got, err := ParsePublisher(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, got); d != "" {
		t.Error(d)
	}
}

func TestPublisherIDFollowsFromTheFirstRootKey(t *testing.T) {
	id := PublisherID(samplePub(1))
	if want := "p-gr2q7gf5lh6pzfdnurnk"; id != want { // from another implementation
		t.Errorf("PublisherID = %q, want %q", id, want)
	}
	p := samplePublisher(1, 2)
	p.ID = PublisherID(samplePub(9))
	_, err := EncodePublisher(p)
	wantError(t, err, "does not belong to this root key")
}

func TestPublisherRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		alter func(*Publisher)
		want  string
	}{
		"id":                     {func(p *Publisher) { p.ID = "home" }, "id"},
		"ledger":                 {func(p *Publisher) { p.Ledger = "" }, "ledger"},
		"version 0":              {func(p *Publisher) { p.Version = 0 }, "version"},
		"version past the limit": {func(p *Publisher) { p.Version = maxOrdinal + 1 }, "version"},
		"version 1 with prev":    {func(p *Publisher) { p.Prev = sampleDigest("x") }, "prev"},
		"version 2 without":      {func(p *Publisher) { p.Version = 2 }, "prev"},
		"short root":             {func(p *Publisher) { p.Version, p.Prev, p.Root = 2, sampleDigest("x"), p.Root[:31] }, "root"},
		"no keys":                {func(p *Publisher) { p.Keys = nil }, "keys"},
		"65 keys":                {func(p *Publisher) { p.Keys = make([]PublisherKey, 65) }, "keys"},
		"threshold 0":            {func(p *Publisher) { p.Threshold = 0 }, "threshold"},
		"threshold above keys":   {func(p *Publisher) { p.Threshold = 3 }, "threshold"},
		"threshold no one meets": {func(p *Publisher) { p.Keys, p.Threshold = sampleWorking(2, 3, 4, 5, 6, 7, 8, 9, 10), 9 }, "threshold"},
		"kid of another key":     {func(p *Publisher) { p.Keys[0].KeyID = sampleID(9) }, "kid"},
		"key twice":              {func(p *Publisher) { p.Keys = sampleWorking(2, 2) }, "twice"},
		"short key":              {func(p *Publisher) { p.Keys[0].Pub = ed25519.PublicKey{1} }, "keys"},
		"root as working key":    {func(p *Publisher) { p.Keys = sampleWorking(1, 2) }, "among the working keys"},
		"root revoked":           {func(p *Publisher) { p.Revoked = []Revocation{{KeyID: sampleID(1), Reason: Compromised}} }, "root key"},
		"revoked without kid":    {func(p *Publisher) { p.Revoked = []Revocation{{Reason: Compromised}} }, "kid"},
		"revoked for no reason":  {func(p *Publisher) { p.Revoked = []Revocation{{KeyID: sampleID(2)}} }, "reason"},
		"revoked twice": {func(p *Publisher) {
			r := Revocation{KeyID: sampleID(2), Reason: Compromised}
			p.Revoked = []Revocation{r, r}
		}, "twice"},
		"cut-off no JSON reads": {func(p *Publisher) {
			p.Revoked = []Revocation{{KeyID: sampleID(2), Reason: Compromised, Cutoff: 1 << 53}}
		}, "cutoff"},
		"name with a tag":         {func(p *Publisher) { p.Names = []string{"ghcr.io/x/core:1"} }, "names"},
		"257 names":               {func(p *Publisher) { p.Names = make([]string, 257) }, "names"},
		"label of two lines":      {func(p *Publisher) { p.Label = "a\nb" }, "label"},
		"contact that reorders":   {func(p *Publisher) { p.Contact = "\u202e" }, "contact"},
		"note that clears screen": {func(p *Publisher) { p.Keys[0].Note = "\x1b[2J" }, "keys"},
	} {
		t.Run(name, func(t *testing.T) {
			p := samplePublisher(1, 2, 3)
			c.alter(&p)
			_, err := EncodePublisher(p)
			wantError(t, err, "cannot write publisher document", c.want)
		})
	}
}

func TestPublisherBytesRefused(t *testing.T) {
	good, err := EncodePublisher(samplePublisher(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"threshold twice":          {`"threshold":1`, `"threshold":1,"threshold":1`, "duplicate"},
		"threshold in capitals":    {`"threshold":1`, `"Threshold":1`, "unknown"},
		"threshold past 32 bits":   {`"threshold":1`, `"threshold":4294967297`, "threshold"},
		"version past 32 bits":     {`"version":1`, `"version":4294967297`, "version"},
		"subject of another key":   {`"sha256":"` + sampleID(1), `"sha256":"` + sampleID(2), "subject"},
		"subject of another name":  {`"subject":[{"name":"p-`, `"subject":[{"name":"q-`, "subject"},
		"predicate of another":     {PublisherPredicate, NotarizationPredicate, "predicateType"},
		"key in URL-safe base64":   {`"root":"`, `"root":"_`, "root"},
		"key broken by a new line": {`"root":"`, `"root":"\n`, "root"},
		"negative cut-off": {`"names"`, `"revoked":[{"kid":"` + sampleID(9) + `","reason":"compromised","cutoff":-1}],"names"`,
			"revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := []byte(strings.Replace(string(good), c.old, c.new, 1))
			if bytes.Equal(bad, good) {
				t.Fatal("the change changes nothing")
			}
			_, err := ParsePublisher(bad)
			wantError(t, err, "cannot read publisher document", c.want)
		})
	}
}
