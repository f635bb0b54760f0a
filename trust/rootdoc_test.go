package trust

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sampleNoteKey is the verifier key of a ledger, made once with note.GenerateKey.
const sampleNoteKey = "ledger.example.org/main+bfd144ab+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"

func sampleRoot(version, threshold int, seeds ...byte) Root {
	return Root{
		Version: version, Expires: time.Date(2027, 8, 1, 0, 0, 0, 0, time.UTC), Keys: sampleWorking(seeds...), Threshold: threshold,
		Ledgers: []RootLedger{{
			Origin: sampleLedger, NoteKeys: []string{sampleNoteKey}, URLs: []string{"https://ledger.example.org/main", "http://[::1]:8080/"},
			Minimum: Anchor{Count: 512, Alh: sampleDigest("alh")}, Resume: &Anchor{Count: 600, Alh: sampleDigest("resume")},
		}, {Origin: "addons.example.org/x", NoteKeys: []string{sampleNoteKey}}},
		Core: []string{PublisherID(samplePub(1))}, Security: []string{PublisherID(samplePub(2))},
		Preload:   []Preload{{Name: "ghcr.io/hassio-addons/*", Publisher: PublisherID(samplePub(3))}},
		Transfers: []Transfer{{Publisher: PublisherID(samplePub(3)), Root: samplePub(4), Version: 3}},
		Warn:      48 * time.Hour, Max: 14 * 24 * time.Hour, ClockFloor: time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC),
	}
}

func sampleRootFile(t testing.TB, r Root, seeds ...byte) []byte {
	t.Helper()
	payload, err := EncodeRoot(r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sampleSigned(t, RootType, payload, seeds...).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRootFormatIsStable(t *testing.T) {
	r := sampleRoot(1, 2, 1, 2, 3)
	b, err := EncodeRoot(r)
	if err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "root.json", b)
	got, err := ParseRoot(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, got); d != "" {
		t.Error(d)
	}
}

func TestSmallestRootReadsBackAsWritten(t *testing.T) {
	r := Root{
		Version: 1, Expires: time.Unix(2e9, 0).UTC(), Keys: sampleWorking(1), Threshold: 1,
		Ledgers: []RootLedger{{Origin: sampleLedger, NoteKeys: []string{sampleNoteKey}}},
	}
	b, err := EncodeRoot(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRoot(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, got); d != "" {
		t.Error(d)
	}
}

func TestRootRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		alter func(*Root)
		want  string
	}{
		"version 0":                {func(r *Root) { r.Version = 0 }, "version"},
		"no expiry":                {func(r *Root) { r.Expires = time.Time{} }, "expires"},
		"expiry between seconds":   {func(r *Root) { r.Expires = r.Expires.Add(1) }, "expires"},
		"floor after expiry":       {func(r *Root) { r.ClockFloor = r.Expires }, "clockFloor"},
		"no keys":                  {func(r *Root) { r.Keys = nil }, "keys"},
		"nine keys":                {func(r *Root) { r.Keys = sampleWorking(1, 2, 3, 4, 5, 6, 7, 8, 9) }, "keys"},
		"threshold 0":              {func(r *Root) { r.Threshold = 0 }, "threshold"},
		"threshold above keys":     {func(r *Root) { r.Threshold = 3 }, "threshold"},
		"no ledger":                {func(r *Root) { r.Ledgers = nil }, "ledgers"},
		"ledger twice":             {func(r *Root) { r.Ledgers[1].Origin = r.Ledgers[0].Origin }, "twice"},
		"origin":                   {func(r *Root) { r.Ledgers[0].Origin = "a b" }, "origin"},
		"no note key":              {func(r *Root) { r.Ledgers[0].NoteKeys = nil }, "noteKeys"},
		"note key of another hash": {func(r *Root) { r.Ledgers[0].NoteKeys[0] = "evil+00000000+AQ==" }, "noteKeys"},
		"file mirror":              {func(r *Root) { r.Ledgers[0].URLs[0] = "file:///etc/passwd" }, "urls"},
		"mirror with password":     {func(r *Root) { r.Ledgers[0].URLs[0] = "https://a:b@example.org" }, "urls"},
		"mirror with query":        {func(r *Root) { r.Ledgers[0].URLs[0] = "https://example.org/?x" }, "urls"},
		"minimum without hash":     {func(r *Root) { r.Ledgers[0].Minimum.Alh = "" }, "minimum"},
		"minimum of nothing":       {func(r *Root) { r.Ledgers[0].Minimum.Count = 0 }, "minimum"},
		"resume of nothing":        {func(r *Root) { r.Ledgers[0].Resume = &Anchor{} }, "resume"},
		"core by name":             {func(r *Root) { r.Core = []string{"home"} }, "core"},
		"security twice":           {func(r *Root) { r.Security = append(r.Security, r.Security...) }, "twice"},
		"preload name":             {func(r *Root) { r.Preload[0].Name = "ghcr.io/x:1" }, "preload"},
		"preload publisher":        {func(r *Root) { r.Preload[0].Publisher = "" }, "preload"},
		"preload twice":            {func(r *Root) { r.Preload = append(r.Preload, r.Preload...) }, "twice"},
		"transfer of version 1":    {func(r *Root) { r.Transfers[0].Version = 1 }, "transfers"},
		"transfer to no key":       {func(r *Root) { r.Transfers[0].Root = nil }, "transfers"},
		"transfer twice":           {func(r *Root) { r.Transfers = append(r.Transfers, r.Transfers...) }, "twice"},
		"freshness of a moment":    {func(r *Root) { r.Warn = time.Millisecond }, "freshness"},
		"warning after the end":    {func(r *Root) { r.Warn, r.Max = 2*time.Hour, time.Hour }, "freshness"},
	} {
		t.Run(name, func(t *testing.T) {
			r := sampleRoot(1, 1, 1, 2)
			c.alter(&r)
			_, err := EncodeRoot(r)
			wantError(t, err, "cannot write root document", c.want)
		})
	}
}

func TestRootBytesRefused(t *testing.T) {
	good, err := EncodeRoot(sampleRoot(1, 2, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"threshold twice":        {`"threshold":2`, `"threshold":2,"threshold":1`, "duplicate"},
		"threshold in capitals":  {`"threshold":2`, `"threshold":2,"THRESHOLD":1`, "unknown"},
		"threshold past 32 bits": {`"threshold":2`, `"threshold":4294967297`, "threshold"},
		"subject of another key": {`"sha256":"` + sampleID(1), `"sha256":"` + sampleID(9), "subject"},
		"freshness past time":    {`"warn":172800`, `"warn":9223372036854775807`, "warn"},
		"expiry in local time":   {`"expires":"2027-08-01T00:00:00Z"`, `"expires":"2027-08-01T00:00:00+02:00"`, "expires"},
		"anchor below nothing":   {`"count":512`, `"count":-512`, "minimum"},
		"resume past numbers":    {`"count":600`, `"count":9007199254740992`, "resume"},
		"transfer to half a key": {`"root":"ypOs`, `"root":"yp`, "transfers"},
		"transfer of version 1":  {`"version":3`, `"version":1`, "transfers"},
		"key of another kid":     {`"kid":"` + sampleID(2), `"kid":"` + sampleID(3), "kid"},
		"half a key":             {`"pub":"`, `"pub":"A`, "key 0"},
		"floor in words":         {`"clockFloor":"2026-08-01T00:00:00Z"`, `"clockFloor":"never"`, "clockFloor"},
		"version as a word":      {`"version":1`, `"version":"1"`, "version"},
		"predicate of another":   {RootPredicate, PublisherPredicate, "predicateType"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := []byte(strings.Replace(string(good), c.old, c.new, 1))
			if bytes.Equal(bad, good) {
				t.Fatal("the change changes nothing")
			}
			_, err := ParseRoot(bad)
			wantError(t, err, "cannot read root document", c.want)
		})
	}
}

func TestFirstRootIsSignedByAThresholdOfItsOwnKeys(t *testing.T) {
	r := sampleRoot(1, 2, 1, 2, 3)
	if _, err := VerifyFirstRoot(sampleRootFile(t, r, 1, 3)); err != nil {
		t.Error(err)
	}
	_, err := VerifyFirstRoot(sampleRootFile(t, r, 1))
	wantError(t, err, "signed by 1 keys of version 1, it wants 2")
	_, err = VerifyFirstRoot(sampleRootFile(t, r, 1, 9))
	wantError(t, err, "signed by 1 keys")
	payload, _ := EncodeRoot(r)
	b, _ := sampleSigned(t, PublisherType, payload, 1, 2).Marshal()
	_, err = VerifyFirstRoot(b)
	wantError(t, err, "payloadType")
	_, err = VerifyFirstRoot([]byte("<html>"))
	wantError(t, err, "cannot read envelope")
}

func TestNextRootIsSignedByOldAndNewKeys(t *testing.T) {
	prev := sampleRoot(1, 2, 1, 2, 3)
	for name, c := range map[string]struct {
		next    Root
		signers []byte
		want    string
	}{
		"same keys":                       {sampleRoot(2, 2, 1, 2, 3), []byte{2, 3}, ""},
		"one key replaced":                {sampleRoot(2, 2, 2, 3, 4), []byte{2, 3}, ""},
		"all keys replaced":               {sampleRoot(2, 2, 4, 5, 6), []byte{1, 2, 4, 5}, ""},
		"all replaced, old below":         {sampleRoot(2, 2, 4, 5, 6), []byte{1, 4, 5, 6}, "keys of version 1"},
		"all replaced, new below":         {sampleRoot(2, 2, 4, 5, 6), []byte{1, 2, 3, 4}, "keys of version 2"},
		"threshold lowered by one key":    {sampleRoot(2, 1, 1, 2, 3), []byte{1}, "keys of version 1"},
		"threshold raised":                {sampleRoot(2, 3, 1, 2, 3), []byte{1, 2}, "keys of version 2"},
		"strangers":                       {sampleRoot(2, 1, 8, 9), []byte{8, 9}, "keys of version 1"},
		"version skipped":                 {sampleRoot(3, 2, 1, 2, 3), []byte{1, 2}, "want version 2"},
		"version repeated":                {sampleRoot(1, 2, 1, 2, 3), []byte{1, 2}, "want version 2"},
		"expired long ago, to walk past":  {expired(sampleRoot(2, 2, 1, 2, 3)), []byte{1, 2}, ""},
		"stolen key below the threshold":  {sampleRoot(2, 2, 3, 8, 9), []byte{3, 8, 9}, "keys of version 1"},
		"signature over another document": {sampleRoot(2, 2, 1, 2, 3), nil, "keys of version 1"},
	} {
		t.Run(name, func(t *testing.T) {
			var file []byte
			if c.signers != nil {
				file = sampleRootFile(t, c.next, c.signers...)
			} else {
				e, _ := ParseEnvelope(sampleRootFile(t, prev, 1, 2))
				e.Payload, _ = EncodeRoot(c.next)
				file, _ = e.Marshal()
			}
			got, err := VerifyNextRoot(prev, file)
			if c.want == "" {
				wantError(t, err)
				if d := cmp.Diff(c.next, got); d != "" {
					t.Error(d)
				}
				return
			}
			wantError(t, err, "cannot follow root version 1", c.want)
		})
	}
}

func expired(r Root) Root {
	r.Expires, r.ClockFloor = time.Unix(1e9, 0).UTC(), time.Time{}
	return r
}

func TestRotatedAwayRootKeysSignNothingMore(t *testing.T) {
	v1, v2 := sampleRoot(1, 2, 1, 2), sampleRoot(2, 2, 3, 4)
	if _, err := VerifyNextRoot(v1, sampleRootFile(t, v2, 1, 2, 3, 4)); err != nil {
		t.Fatal(err)
	}
	_, err := VerifyNextRoot(v2, sampleRootFile(t, sampleRoot(3, 2, 1, 2), 1, 2))
	wantError(t, err, "signed by 0 keys of version 2")
}

func TestZeroRootIsNoStartingPoint(t *testing.T) {
	_, err := VerifyNextRoot(Root{}, sampleRootFile(t, sampleRoot(1, 1, 9), 9))
	wantError(t, err, "no threshold")
}

func TestLoadRootsWalksTheFolder(t *testing.T) {
	v1, v2, v3 := sampleRoot(1, 2, 1, 2), sampleRoot(2, 2, 2, 3), sampleRoot(3, 1, 3)
	good := map[int][]byte{1: sampleRootFile(t, v1, 1, 2), 2: sampleRootFile(t, v2, 1, 2, 3), 3: sampleRootFile(t, v3, 2, 3)}
	for name, c := range map[string]struct {
		files   map[int][]byte
		want    int
		wantErr string
	}{
		"whole":               {good, 3, ""},
		"one":                 {map[int][]byte{1: good[1]}, 1, ""},
		"none":                {map[int][]byte{}, 0, "1.json"},
		"first missing":       {map[int][]byte{2: good[2], 3: good[3]}, 0, "1.json"},
		"gap":                 {map[int][]byte{1: good[1], 3: good[3]}, 1, "2.json"},
		"wrong order":         {map[int][]byte{1: good[1], 2: good[3]}, 1, "want version 2"},
		"begins late":         {map[int][]byte{1: good[3]}, 0, "want version 1"},
		"tampered":            {map[int][]byte{1: good[1], 2: bytes.Replace(good[2], []byte("payload\":\"eyJ"), []byte("payload\":\"eyK"), 1)}, 1, "2.json"},
		"truncated":           {map[int][]byte{1: good[1], 2: good[2][:100]}, 1, "2.json"},
		"endless":             {map[int][]byte{1: make([]byte, MaxRecordBytes+1)}, 0, "more than"},
		"not one of the keys": {map[int][]byte{1: good[1], 2: sampleRootFile(t, v2, 2, 3)}, 1, "keys of version 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for n, b := range c.files {
				if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)+".json"), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, "README"), []byte("roots"), 0o600); err != nil {
				t.Fatal(err)
			}
			roots, err := LoadRoots(dir)
			if len(roots) != c.want {
				t.Errorf("%d roots, want %d", len(roots), c.want)
			}
			if c.wantErr == "" {
				wantError(t, err)
				return
			}
			wantError(t, err, "cannot load root document", c.wantErr)
		})
	}
	if _, err := LoadRoots(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder gives %v", err)
	}
}
