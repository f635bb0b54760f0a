package trust

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// versions lists the versions of a chain.
func versions(chain []PlacedPublisher) []int {
	list := []int{}
	for _, d := range chain {
		list = append(list, d.Publisher.Version)
	}
	return list
}

// altered is the successor of d with one change, signed by signers at tx.
func altered(t testing.TB, d PlacedPublisher, tx uint64, alter func(*Publisher), signers ...byte) PlacedPublisher {
	t.Helper()
	p := sampleAfter(d)
	alter(&p)
	return sampleDocument(t, p, tx, signers...)
}

func TestChainFollowsTheRootKey(t *testing.T) {
	v1 := sampleDocument(t, samplePublisher(1, 2, 3), 10, 1)
	nothing := func(*Publisher) {}
	newRoot := func(p *Publisher) { p.Root = samplePub(4) }
	v2 := altered(t, v1, 20, newRoot, 1, 4)
	for name, c := range map[string]struct {
		docs []PlacedPublisher
		want []int
		err  string
	}{
		"nothing":                    {nil, []int{}, ""},
		"first":                      {[]PlacedPublisher{v1}, []int{1}, ""},
		"first not by its root key":  {[]PlacedPublisher{sampleDocument(t, samplePublisher(1, 2), 10, 2)}, []int{}, "not signed by its root key"},
		"second alone":               {[]PlacedPublisher{v2}, []int{}, "version 1 is missing"},
		"same root key":              {[]PlacedPublisher{v1, altered(t, v1, 20, nothing, 1)}, []int{1, 2}, ""},
		"working key signs document": {[]PlacedPublisher{v1, altered(t, v1, 20, nothing, 2)}, []int{1}, "not signed by its root key"},
		"root key rotated":           {[]PlacedPublisher{v1, v2}, []int{1, 2}, ""},
		"in any order":               {[]PlacedPublisher{v2, v1}, []int{1, 2}, ""},
		"rotated without the old":    {[]PlacedPublisher{v1, altered(t, v1, 20, newRoot, 4)}, []int{1}, "not signed by root key"},
		"rotated without the new":    {[]PlacedPublisher{v1, altered(t, v1, 20, newRoot, 1)}, []int{1}, "not signed by its root key"},
		"rotated-away root signs on": {[]PlacedPublisher{v1, v2, altered(t, v2, 30, func(p *Publisher) { p.Root = samplePub(1) }, 1)}, []int{1, 2}, "not signed by root key"},
		"stranger with the same ID":  {[]PlacedPublisher{v1, altered(t, v1, 20, func(p *Publisher) { p.Root = samplePub(8) }, 8)}, []int{1}, "not signed by root key"},
		"prev of another document":   {[]PlacedPublisher{v1, altered(t, v1, 20, func(p *Publisher) { p.Prev = sampleDigest("x") }, 1)}, []int{1}, "prev"},
		"gap":                        {[]PlacedPublisher{v1, altered(t, v2, 30, nothing, 4)}, []int{1}, "version 2 is missing"},
		"repeated version":           {[]PlacedPublisher{v1, v2, altered(t, v1, 40, nothing, 1)}, []int{1, 2}, "known already"},
		"placed before its parent":   {[]PlacedPublisher{v1, altered(t, v1, 5, nothing, 1)}, []int{1}, "before version 1"},
		"at its parent's place":      {[]PlacedPublisher{v1, altered(t, v1, 10, nothing, 1)}, []int{1}, "before version 1"},
		"in another ledger":          {[]PlacedPublisher{v1, altered(t, v1, 20, func(p *Publisher) { p.Ledger = "other" }, 1)}, []int{1}, "ledger"},
		"bad one amid good ones":     {[]PlacedPublisher{v1, v2, altered(t, v1, 15, nothing, 2), altered(t, v2, 30, nothing, 4)}, []int{1, 2, 3}, "not signed by its root key"},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(c.docs)
			chain, err := VerifyChain(c.docs, nil)
			if d := cmp.Diff(c.want, versions(chain)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(before, c.docs); d != "" {
				t.Errorf("the input was changed: %s", d)
			}
			if c.err == "" {
				wantError(t, err)
				return
			}
			wantError(t, err, "cannot follow publisher", c.err)
		})
	}
}

func TestDocumentOfAnotherPayloadTypeIsNoDocument(t *testing.T) {
	p := samplePublisher(1, 2)
	payload, _ := EncodePublisher(p)
	doc := PlacedPublisher{Pos: Position{Tx: 1}, Envelope: sampleSigned(t, NotarizationType, payload, 1), Publisher: p}
	chain, err := VerifyChain([]PlacedPublisher{doc}, nil)
	if len(chain) != 0 {
		t.Error("it counts")
	}
	wantError(t, err, "payloadType")
}

func TestRevocationsOnlyGrow(t *testing.T) {
	p := samplePublisher(1, 2, 3)
	p.Revoked = []Revocation{{KeyID: sampleID(9), Reason: Superseded, Cutoff: 100}}
	v1 := sampleDocument(t, p, 10, 1)
	revoke := func(list ...Revocation) func(*Publisher) { return func(p *Publisher) { p.Revoked = list } }
	for name, c := range map[string]struct {
		alter func(*Publisher)
		err   string
	}{
		"kept":          {revoke(p.Revoked...), ""},
		"falls":         {revoke(Revocation{sampleID(9), Compromised, 50}), ""},
		"another joins": {revoke(p.Revoked[0], Revocation{sampleID(2), Compromised, 0}), ""},
		"rises":         {revoke(Revocation{sampleID(9), Superseded, 101}), "rises from 100 to 101"},
		"disappears":    {revoke(), "is no more"},
		"gives way":     {revoke(Revocation{sampleID(2), Compromised, 0}), "is no more"},
		"old root joins": {func(p *Publisher) {
			p.Root = samplePub(4)
			p.Revoked = append(slices.Clone(p.Revoked), Revocation{sampleID(1), Compromised, 0})
		}, ""},
		"key named again": {func(p *Publisher) { p.Keys = sampleWorking(9) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ExtendChain([]PlacedPublisher{v1}, altered(t, v1, 20, c.alter, 1, 4), nil)
			if c.err == "" {
				wantError(t, err)
				return
			}
			wantError(t, err, c.err)
		})
	}
}

// A thief of root key 1 publishes versions 2 and 3; the root document gives the publisher to key 4 from version 4 on.
func TestTransferUndoesWhatAThiefPublished(t *testing.T) {
	v1 := sampleDocument(t, samplePublisher(1, 2), 10, 1)
	thief := altered(t, v1, 20, func(p *Publisher) {
		p.Keys, p.Revoked = sampleWorking(8), []Revocation{{sampleID(2), Compromised, 0}}
	}, 1)
	thief3 := altered(t, thief, 30, func(*Publisher) {}, 1)
	owner := func(p *Publisher) { p.Version, p.Root, p.Keys = 4, samplePub(4), sampleWorking(5) }
	v4 := altered(t, v1, 40, owner, 4)
	transfer := []Transfer{{Publisher: v1.Publisher.ID, Root: samplePub(4), Version: 4}}
	all := []PlacedPublisher{v1, thief, thief3, v4}

	if chain, _ := VerifyChain(all, nil); !slices.Equal(versions(chain), []int{1, 2, 3}) {
		t.Errorf("before the transfer: %v", versions(chain))
	}
	chain, err := VerifyChain(all, transfer)
	if err != nil || !slices.Equal(versions(chain), []int{1, 4}) {
		t.Fatalf("after the transfer: %v, %v", versions(chain), err)
	}
	if ok, revoked := KeyStanding(chain, sampleID(2), Position{Tx: 15}); !ok || revoked {
		t.Error("the owner's own key stays revoked by the thief")
	}
	if ok, _ := KeyStanding(chain, sampleID(8), Position{Tx: 35}); ok {
		t.Error("the thief's key counts")
	}
	v5 := altered(t, v4, 50, func(*Publisher) {}, 4)
	if _, err := ExtendChain(chain, v5, transfer); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		next PlacedPublisher
		err  string
	}{
		"thief at the version of the transfer": {altered(t, thief3, 40, func(*Publisher) {}, 1), "transfers the publisher"},
		"another new key":                      {altered(t, v1, 40, func(p *Publisher) { owner(p); p.Root = samplePub(6) }, 6), "transfers the publisher"},
		"new key without its signature":        {altered(t, v1, 40, owner, 1), "not signed by its root key"},
		"continues nothing known":              {altered(t, v1, 40, func(p *Publisher) { owner(p); p.Prev = sampleDigest("x") }, 4), "none of the versions"},
		"placed before the stem":               {altered(t, v1, 9, owner, 4), "before version 1"},
		"drops the stem's revocations": {altered(t, thief3, 40, func(p *Publisher) {
			owner(p)
			p.Revoked = nil
		}, 4), "is no more"},
	} {
		t.Run(name, func(t *testing.T) {
			stem, _ := VerifyChain(all[:3], transfer)
			_, err := ExtendChain(stem, c.next, transfer)
			wantError(t, err, c.err)
		})
	}
	t.Run("another publisher's transfer", func(t *testing.T) {
		other := []Transfer{{Publisher: PublisherID(samplePub(7)), Root: samplePub(4), Version: 4}}
		if chain, _ := VerifyChain(all, other); !slices.Equal(versions(chain), []int{1, 2, 3}) {
			t.Errorf("%v", versions(chain))
		}
	})
}

// Key 2 is replaced by key 3 in version 2 at 20; version 3 at 30 says that somebody had key 2 since 12.
func TestKeysCountWhereTheyWereNamedAndNotRevoked(t *testing.T) {
	v1 := sampleDocument(t, samplePublisher(1, 2), 10, 1)
	v2 := altered(t, v1, 20, func(p *Publisher) { p.Keys = sampleWorking(3) }, 1)
	v3 := altered(t, v2, 30, func(p *Publisher) { p.Revoked = []Revocation{{sampleID(2), Compromised, 12}} }, 1)
	chain, err := VerifyChain([]PlacedPublisher{v1, v2, v3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		seed        byte
		pos         Position
		ok, revoked bool
	}{
		{2, Position{Tx: 9}, false, false},            // before the publisher
		{2, Position{Tx: 10}, false, false},           // at the document, not behind it
		{2, Position{Tx: 10, Entry: 1}, true, false},  // same transaction, behind it
		{2, Position{Tx: 12, Entry: 99}, true, false}, // the cut-off's own transaction is still good
		{2, Position{Tx: 13}, false, true},            // past the cut-off
		{2, Position{Tx: 20}, false, true},            // version 2 does not stand before itself
		{2, Position{Tx: 21}, false, false},           // no longer named: never valid here
		{3, Position{Tx: 19}, false, false},           // not yet named
		{3, Position{Tx: 21}, true, false},            //
		{1, Position{Tx: 21}, false, false},           // the root key is no working key
		{9, Position{Tx: 21}, false, false},           // a stranger
	} {
		ok, revoked := KeyStanding(chain, sampleID(c.seed), c.pos)
		if ok != c.ok || revoked != c.revoked {
			t.Errorf("KeyStanding(key %d, %v) = %v, %v; want %v, %v", c.seed, c.pos, ok, revoked, c.ok, c.revoked)
		}
		if _, in := KeysAt(chain, c.pos)[sampleID(c.seed)]; in != c.ok {
			t.Errorf("KeysAt(%v) has key %d: %v", c.pos, c.seed, in)
		}
	}
	if KeysAt(nil, Position{Tx: 1}) != nil {
		t.Error("an empty chain names keys")
	}
}
