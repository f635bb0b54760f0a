package ledger_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

const emptySum = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

func TestCheckpointReadsBackAsItWasSigned(t *testing.T) {
	l := trusttest.NewLedger(t, origin)
	l.Append(trusttest.Entry{Key: []byte("k"), Value: []byte("v")})
	keys, err := ledger.Verifiers([]string{l.NoteKey})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []ledger.Checkpoint{
		{Origin: origin, Point: l.At(1), Time: time.Unix(1_780_000_000, 0).UTC(), Root: 7},
		{Origin: origin, Point: ledger.Genesis, Time: time.Unix(0, 0).UTC()},
	} {
		got, err := ledger.OpenCheckpoint(l.Say(want), keys)
		if err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestMalformedCheckpointIsNotSignedAndNotRead(t *testing.T) {
	good := "o\n5\n" + emptySum + "\ntime 1\nroot 1\n"
	if _, err := ledger.ParseCheckpoint(good); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.ParseCheckpoint(good + "a line of the future\n"); err != nil {
		t.Errorf("an extension line is refused: %v", err)
	}
	for name, bad := range map[string]string{
		"empty": "", "no end": strings.TrimSuffix(good, "\n"), "four lines": strings.TrimSuffix(good, "root 1\n"),
		"no origin": good[1:], "space in origin": " " + good,
		"count +5": strings.Replace(good, "\n5\n", "\n+5\n", 1), "count 05": strings.Replace(good, "\n5\n", "\n05\n", 1),
		"count -5": strings.Replace(good, "\n5\n", "\n-5\n", 1), "count 2^64": strings.Replace(good, "\n5\n", "\n18446744073709551616\n", 1),
		"hash slack": strings.Replace(good, "FU=", "FV=", 1), "short hash": strings.Replace(good, emptySum, "AAAA", 1),
		"url base64": strings.Replace(good, "+/", "-_", 1), "no time": strings.Replace(good, "time", "Time", 1),
		"time 2^63": strings.Replace(good, "time 1", "time 9223372036854775808", 1), "no root": strings.Replace(good, "root 1", "root", 1),
		"empty with a hash": strings.NewReplacer("\n5\n", "\n0\n", emptySum, strings.Repeat("A", 43)+"=").Replace(good),
		"too long":          good + strings.Repeat("x", ledger.MaxCheckpointBytes) + "\n",
	} {
		if c, err := ledger.ParseCheckpoint(bad); err == nil {
			t.Errorf("%s: reads as %+v", name, c)
		}
	}
	l := trusttest.NewLedger(t, origin)
	for _, o := range []string{"", "two\nlines", strings.TrimSuffix(good, "\n")} {
		if _, err := ledger.SignCheckpoint(l.Signer, ledger.Checkpoint{Origin: o, Point: ledger.Genesis}); err == nil {
			t.Errorf("signed a checkpoint of origin %q", o)
		}
	}
}

func TestCheckpointIsBelievedByItsKeyOnly(t *testing.T) {
	l, witness := trusttest.NewLedger(t, origin), trusttest.NewLedger(t, "witness.example")
	impostor := trusttest.NewLedger(t, origin) // the same name, another key
	keys, err := ledger.Verifiers([]string{l.NoteKey})
	if err != nil {
		t.Fatal(err)
	}
	c := ledger.Checkpoint{Origin: origin, Point: ledger.Genesis, Time: time.Unix(1, 0).UTC()}
	both, err := note.Sign(&note.Note{Text: c.String()}, witness.Signer, l.Signer)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ledger.OpenCheckpoint(both, keys); err != nil || got != c {
		t.Errorf("cosigned by a witness: %+v, %v", got, err)
	}
	signed := string(l.Say(c))
	for name, bad := range map[string]string{
		"unsigned":        c.String(),
		"no signature":    c.String() + "\n",
		"impostor's":      string(impostor.Say(c)),
		"only a witness":  string(witness.Say(c)),
		"altered":         strings.Replace(signed, "time 1", "time 2", 1),
		"signature moved": strings.Replace(string(impostor.Say(c)), "\n\n", "\nroot 2\n\n", 1),
		"too long":        signed + strings.Repeat("— x AAAA\n", 4000),
	} {
		if got, err := ledger.OpenCheckpoint([]byte(bad), keys); err == nil {
			t.Errorf("%s: believed %+v", name, got)
		}
	}
	if _, err := ledger.Verifiers(nil); err == nil {
		t.Error("no key at all is enough")
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add("o\n5\n" + emptySum + "\ntime 1\nroot 1\n")
	f.Add("o\n0\n" + emptySum + "\ntime 1\nroot 1\nmore\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ledger.ParseCheckpoint(text)
		if err != nil {
			return
		}
		if !strings.HasPrefix(text, c.String()) {
			t.Fatalf("%q reads as %q", text, c.String())
		}
		if again, err := ledger.ParseCheckpoint(c.String()); err != nil || again != c {
			t.Fatalf("%q does not read back: %+v, %v", c.String(), again, err)
		}
	})
}
