package trust

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The golden files hold the format: a change of one byte here is a change of the protocol.
func wantGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(want), got) {
		t.Errorf("%s is no longer what is written:\n got %s\nwant %s", path, got, want)
	}
}

func TestNotarizationFormatIsStable(t *testing.T) {
	b, err := EncodeNotarization(sampleNotarization())
	if err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "notarization.json", b)
}

func TestNotarizationsOfEveryKindReadBackAsWritten(t *testing.T) {
	one := []RecordSubject{{Name: "x", Digest: sampleDigest("x")}}
	for kind, alter := range map[string]func(*Notarization){
		KindImage:             func(*Notarization) {},
		"withdrawn":           func(n *Notarization) { n.Status, n.Severity, n.Reason = Untrusted, SeverityStop, "größer → 東京" },
		"retired, no reason":  func(n *Notarization) { n.Status = Unsupported },
		KindChannel:           func(n *Notarization) { n.Kind, n.Name, n.Subjects = KindChannel, "stable", one },
		KindFile:              func(n *Notarization) { n.Kind, n.Name, n.Subjects = KindFile, "a file.bin", one },
		KindDir:               func(n *Notarization) { n.Kind, n.Name, n.Subjects = KindDir, "dir", one },
		KindGit:               func(n *Notarization) { n.Kind, n.Name, n.Subjects = KindGit, "repo", one },
		KindSupervisor:        func(n *Notarization) { n.Kind = KindSupervisor },
		"supervisor programs": func(n *Notarization) { n.Kind, n.Subjects = KindSupervisor, programs() },
		KindPackage:           func(n *Notarization) { n.Kind, n.Name, n.Subjects = KindPackage, "npm", packages(2) },
		"many packages":       func(n *Notarization) { n.Kind, n.Name, n.Subjects = KindPackage, "npm", packages(MaxSubjects) },
		"bare":                func(n *Notarization) { n.Size, n.Version, n.SBOM, n.Metadata = 0, "", nil, nil },
		"far future":          func(n *Notarization) { n.UID = math.MaxInt64 },
	} {
		t.Run(kind, func(t *testing.T) {
			n := sampleNotarization()
			alter(&n)
			b, err := EncodeNotarization(n)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseNotarization(b)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(n, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func programs() []RecordSubject {
	return []RecordSubject{
		{Name: "castellan", Digest: sampleDigest("p-amd64"), Platform: "linux/amd64"},
		{Name: "castellan", Digest: sampleDigest("p-arm64"), Platform: "linux/arm64"},
	}
}

func packages(n int) []RecordSubject {
	list := []RecordSubject{{Name: "pkg:npm/left-pad@1.3.0", Digest: Digest("sha512:" + strings.Repeat("ab", 64))}}
	for i := 1; i < n; i++ {
		list = append(list, RecordSubject{Name: fmt.Sprintf("pkg:npm/p%d@1", i), Digest: sampleDigest(fmt.Sprint(i))})
	}
	return list[:n]
}

func TestNotarizationRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		alter func(*Notarization)
		want  string
	}{
		"no uid":                {func(n *Notarization) { n.UID = 0 }, "uid"},
		"uid past int64":        {func(n *Notarization) { n.UID = math.MaxInt64 + 1 }, "uid"},
		"no ledger":             {func(n *Notarization) { n.Ledger = "" }, "ledger"},
		"ledger of two lines":   {func(n *Notarization) { n.Ledger = "a\nb" }, "ledger"},
		"publisher by name":     {func(n *Notarization) { n.Publisher = "home-assistant" }, "publisher"},
		"upper-case publisher":  {func(n *Notarization) { n.Publisher = strings.ToUpper(n.Publisher) }, "publisher"},
		"no document":           {func(n *Notarization) { n.Doc = 0 }, "doc"},
		"kind":                  {func(n *Notarization) { n.Kind = "Image" }, "kind"},
		"name with tag":         {func(n *Notarization) { n.Name += ":latest" }, "name"},
		"channel without name":  {func(n *Notarization) { n.Kind, n.Name = KindChannel, "" }, "name"},
		"version that hides":    {func(n *Notarization) { n.Version = "1\u202e2" }, "version"},
		"negative size":         {func(n *Notarization) { n.Size = -1 }, "size"},
		"size no JSON reads":    {func(n *Notarization) { n.Size = 1 << 53 }, "size"},
		"no status":             {func(n *Notarization) { n.Status = Unknown }, "status"},
		"status of a verdict":   {func(n *Notarization) { n.Status = ApikeyRevoked }, "status"},
		"lower-case status":     {func(n *Notarization) { n.Status = "trusted" }, "status"},
		"severity of TRUSTED":   {func(n *Notarization) { n.Severity = SeverityNotify }, "severity"},
		"reason of TRUSTED":     {func(n *Notarization) { n.Reason = "because" }, "severity"},
		"unknown severity":      {func(n *Notarization) { n.Status, n.Severity = Untrusted, "delete" }, "severity"},
		"endless reason":        {func(n *Notarization) { n.Status, n.Reason = Untrusted, strings.Repeat("a", 2001) }, "reason"},
		"signed before 1970":    {func(n *Notarization) { n.SignedAt = -1 }, "signedAt"},
		"signed at no time":     {func(n *Notarization) { n.SignedAt = 0 }, "signedAt"},
		"no subjects":           {func(n *Notarization) { n.Subjects = nil }, "subject"},
		"4001 subjects":         {func(n *Notarization) { n.Kind, n.Subjects = KindPackage, packages(MaxSubjects+1) }, "4001"},
		"same subject twice":    {func(n *Notarization) { n.Subjects[2] = n.Subjects[1] }, "twice"},
		"subject without role":  {func(n *Notarization) { n.Subjects[0].Role = "" }, "role"},
		"subject of other role": {func(n *Notarization) { n.Subjects[0].Role = "layer" }, "role"},
		"index of a platform":   {func(n *Notarization) { n.Subjects[0].Platform = "linux/amd64" }, "platform"},
		"manifest of none":      {func(n *Notarization) { n.Subjects[1].Platform = "" }, "platform"},
		"upper-case digest":     {func(n *Notarization) { n.Subjects[0].Digest = "sha256:" + Digest(strings.Repeat("AB", 32)) }, "digest"},
		"sha512 of an image":    {func(n *Notarization) { n.Subjects[0].Digest = Digest("sha512:" + strings.Repeat("ab", 64)) }, "digest"},
		"sha1 of a package":     {func(n *Notarization) { n.Kind, n.Subjects = KindPackage, sha1Package() }, "digest"},
		"package without purl": {func(n *Notarization) {
			n.Kind, n.Subjects = KindPackage, []RecordSubject{{Name: "left-pad", Digest: sampleDigest("")}}
		}, "package URL"},
		"two files":             {func(n *Notarization) { n.Kind, n.Subjects = KindFile, packages(2) }, "exactly one"},
		"file with a role":      {func(n *Notarization) { n.Kind, n.Subjects = KindFile, n.Subjects[:1] }, "role"},
		"sbom without type":     {func(n *Notarization) { n.SBOM[0].MediaType = "" }, "sbom"},
		"sbom without digest":   {func(n *Notarization) { n.SBOM[0].Digest = "" }, "sbom"},
		"17 sboms":              {func(n *Notarization) { n.SBOM = make([]SBOMRef, 17) }, "sbom"},
		"metadata off the list": {func(n *Notarization) { n.Metadata["CI_JOB_TOKEN"] = "x" }, "CI_JOB_TOKEN"},
		"metadata case variant": {func(n *Notarization) { n.Metadata["CI.URL"] = "x" }, "CI.URL"},
		"sbom of negative size": {func(n *Notarization) { n.SBOM[0].Size = -1 }, "sbom"},
		"past a record's size":  {func(n *Notarization) { n.Kind, n.Subjects = KindPackage, longPackages() }, "split the record"},
		"metadata empty":        {func(n *Notarization) { n.Metadata["ci.job"] = "" }, "metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			n := sampleNotarization()
			c.alter(&n)
			_, err := EncodeNotarization(n)
			wantError(t, err, "cannot write notarization", c.want)
		})
	}
}

func longPackages() []RecordSubject {
	list := packages(MaxSubjects)
	for i := range list {
		list[i].Name += "?" + strings.Repeat("x", 400)
	}
	return list
}

func sha1Package() []RecordSubject {
	return []RecordSubject{{Name: "pkg:npm/x@1", Digest: Digest("sha1:" + strings.Repeat("ab", 20))}}
}

func TestEveryListedMetadataKeyIsAllowed(t *testing.T) {
	n := sampleNotarization()
	n.Metadata = map[string]string{}
	for _, k := range MetadataKeys() {
		n.Metadata[k] = "x"
	}
	if err := n.Check(); err != nil || len(n.Metadata) == 0 {
		t.Errorf("%d keys: %v", len(n.Metadata), err)
	}
}

func TestMetadataNeverCarriesASecret(t *testing.T) {
	for name, value := range map[string]string{
		"password in URL":  "https://bot:hunter2@git.example.org/x",
		"user in URL":      "https://hunter2@git.example.org/x",
		"token in query":   "https://ci.example.org/x?token=hunter2",
		"URL in a text":    "see https://bot:hunter2@git.example.org/x",
		"GitHub token":     "ghp_hunter2",
		"GitLab job token": "glcbt-64_hunter2",
		"private key":      "-----BEGIN PRIVATE KEY----- hunter2",
	} {
		t.Run(name, func(t *testing.T) {
			n := sampleNotarization()
			n.Metadata = map[string]string{"ci.url": value}
			_, err := EncodeNotarization(n)
			wantError(t, err, "metadata", "ci.url")
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

// Every line is one change to a good payload, made in the bytes as a hostile author would.
func TestNotarizationBytesRefused(t *testing.T) {
	good, err := EncodeNotarization(sampleNotarization())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"status twice":             {`"status":"TRUSTED"`, `"status":"UNTRUSTED","status":"TRUSTED"`, "duplicate"},
		"status in another case":   {`"status":"TRUSTED"`, `"status":"UNTRUSTED","Status":"TRUSTED"`, "unknown"},
		"unknown field":            {`"status":"TRUSTED"`, `"status":"TRUSTED","epoch":1`, "unknown"},
		"unknown subject field":    {`"annotations":{`, `"uri":"x","annotations":{`, "unknown"},
		"unknown annotation":       {`"role":"index"`, `"role":"index","layer":"1"`, "unknown"},
		"statement of version 0.1": {`statement/v1`, `Statement/v0.1`, "_type"},
		"predicate of a publisher": {`notarization/v1`, `publisher/v1`, "predicateType"},
		"foreign predicate":        {NotarizationPredicate, `https://slsa.dev/provenance/v1`, "predicateType"},
		"two digests":              {`"sha256":"`, `"sha512":"00","sha256":"`, "2 digests"},
		"no digest":                {`"digest":{"sha256":"` + sampleDigest("index").Hex() + `"}`, `"digest":{}`, "0 digests"},
		"md5":                      {`"sha256":"`, `"md5":"00","sha256":"`, "unknown"},
		"uid as a number":          {`"uid":"1785585600000000001"`, `"uid":1785585600000000001`, "uid"},
		"uid with a zero":          {`"uid":"1`, `"uid":"01`, "uid"},
		"uid with a sign":          {`"uid":"1`, `"uid":"+1`, "uid"},
		"uid past int64":           {`"uid":"1785585600000000001"`, `"uid":"9223372036854775808"`, "uid"},
		"doc past 32 bits":         {`"doc":1`, `"doc":4294967297`, "doc"},
		"status null":              {`"status":"TRUSTED"`, `"status":null`, "null"},
		"status missing":           {`"status":"TRUSTED",`, ``, "status"},
		"time with a zone":         {`"signedAt":"2026-08-01T12:00:00Z"`, `"signedAt":"2026-08-01T14:00:00+02:00"`, "signedAt"},
		"subjects null":            {`"subject":[`, `"subject":null,"x":[`, "null"},
		"a second document":        {`{"_type"`, `{}{"_type"`, "top-level"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Replace(good, []byte(c.old), []byte(c.new), 1)
			if name == "statement of version 0.1" {
				bad = bytes.Replace(good, []byte("Statement/v1"), []byte(c.new), 1)
			}
			if bytes.Equal(bad, good) {
				t.Fatal("the change changes nothing")
			}
			_, err := ParseNotarization(bad)
			wantError(t, err, "cannot read notarization", c.want)
		})
	}
}

func TestRecordIsReadOnlyAsTheKindItsPayloadTypeNames(t *testing.T) {
	n, _ := EncodeNotarization(sampleNotarization())
	p, _ := EncodePublisher(samplePublisher(1, 2))
	r, _ := EncodeRoot(sampleRoot(1, 1, 1))
	for name, c := range map[string]struct {
		payloadType string
		payload     []byte
		want, key   string
	}{
		"notarization":                 {NotarizationType, n, "", "n/" + PublisherID(samplePub(1)) + "/1785585600000000001"},
		"publisher":                    {PublisherType, p, "", "p/" + PublisherID(samplePub(1)) + "/0000000001"},
		"notarization as publisher":    {PublisherType, n, `unknown object member name at "/predicate/uid"`, ""},
		"publisher as notarization":    {NotarizationType, p, `unknown object member name at "/predicate/id"`, ""},
		"root in a ledger":             {RootType, r, "payloadType", ""},
		"in-toto's own payload type":   {"application/vnd.in-toto+json", n, "payloadType", ""},
		"payload type of the future":   {strings.Replace(NotarizationType, "v1", "v2", 1), n, "payloadType", ""},
		"payload type in another case": {strings.ToUpper(NotarizationType), n, "payloadType", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := sampleSigned(t, c.payloadType, c.payload, 2)
			value, _ := e.Marshal()
			rec, err := ParseRecord(value)
			if c.want != "" {
				wantError(t, err, c.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if key, err := rec.Key(); err != nil || key != c.key || rec.Ledger() != sampleLedger {
				t.Errorf("Key() = %q, %v; Ledger() = %q", key, err, rec.Ledger())
			}
		})
	}
	if key, err := (Record{}).Key(); err == nil {
		t.Errorf("the empty record has the key %q", key)
	}
}

func TestPackageDigestsAreStrongOnes(t *testing.T) {
	for s, ok := range map[string]bool{
		string(sampleDigest("a")): true, "sha384:" + strings.Repeat("0", 96): true, "sha512:" + strings.Repeat("f", 128): true,
		"sha512:" + strings.Repeat("f", 64): false, "sha1:" + strings.Repeat("f", 40): false, "md5:" + strings.Repeat("f", 32): false,
		"sha256:" + strings.Repeat("F", 64): false, "": false, ":": false, strings.Repeat("f", 64): false,
	} {
		if _, err := ParseAnyDigest(s); (err == nil) != ok {
			t.Errorf("ParseAnyDigest(%q) = %v, want ok %v", s, err, ok)
		}
	}
}

// Any in-toto reader must be able to read our statements.
func TestStatementIsPlainInToto(t *testing.T) {
	b, _ := EncodeNotarization(sampleNotarization())
	var s struct {
		Type    string `json:"_type"`
		Subject []struct {
			Name        string            `json:"name"`
			Digest      map[string]string `json:"digest"`
			Annotations map[string]any    `json:"annotations"`
		} `json:"subject"`
		PredicateType string         `json:"predicateType"`
		Predicate     map[string]any `json:"predicate"`
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if s.Type != "https://in-toto.io/Statement/v1" || len(s.Subject) != 5 || s.Subject[1].Digest["sha256"] != sampleDigest("m-amd64").Hex() ||
		s.Subject[1].Annotations["platform"] != "linux/amd64" || s.Predicate["uid"] != "1785585600000000001" {
		t.Errorf("%s", b)
	}
}
