package trust

import (
	"fmt"
	"slices"
	"sort"
)

// Records of publishers nobody accepts change no outcome, only say SIGNER_CHANGED in place of SIGNATURE_MISSING; in an
// open ledger anybody can write any number of them. This many are copied from each list, and with their publishers'
// documents this many bytes of them in all.
const (
	maxStrangers     = 16
	maxStrangerBytes = 256 << 10
)

// maxUnchecked is how many records that name an accepted publisher are copied unseen from each list. Beyond it the
// signatures are checked here already: an operator can append any number of forged ones, and each verdict is stored
// with its facts.
const maxUnchecked = 64

// Collect copies out of a replica all that the Judge may know about s, and nothing else: records of this ledger about
// one of its digests, image records under its repository and version, records of the channel the release came from
// (nil for none), and the documents of all publishers involved. Everything stands at or before the returned head.
//
// Records by the root's publishers and by those in also — the pinned, mapped and house publishers — are complete but
// for such as nobody signed; of all others the first few are kept. An error is the replica's; nothing may be concluded
// from it but a deferral.
func Collect(ev Evidence, s Subject, channel *ChannelClaim, root Root, also ...string) (Facts, error) {
	c := newCollector(ev, root, preloaded(root, s.Repository), also)
	if err := c.start(); err != nil {
		return Facts{}, err
	}
	var records []PlacedNotarization
	for _, d := range s.Digests() {
		found, err := c.ev.ByDigest(d)
		if err != nil {
			return Facts{}, fmt.Errorf("cannot look up digest %s: %w", d.Short(), err)
		}
		records = append(records, found...)
	}
	c.facts.Records = c.keep(records, func(n *Notarization) bool { return slices.ContainsFunc(s.Digests(), n.about) })
	c.facts.LeftOut = c.leftOut
	var err error
	if c.facts.Named, err = c.images(s.Repository, s.Version); err != nil {
		return Facts{}, err
	}
	if channel != nil {
		if err := c.channel(channel.Name, channel.Digest); err != nil {
			return Facts{}, err
		}
		if channel.Floor != "" {
			if c.facts.Oldest, err = c.images(s.Repository, channel.Floor); err != nil {
				return Facts{}, err
			}
		}
	}
	return c.finish()
}

// CollectChannel is [Collect] for a channel by itself, for [CurrentChannel].
func CollectChannel(ev Evidence, name string, root Root, also ...string) (Facts, error) {
	c := newCollector(ev, root, also)
	if err := c.start(); err != nil {
		return Facts{}, err
	}
	if err := c.channel(name, ""); err != nil {
		return Facts{}, err
	}
	return c.finish()
}

// CollectSecurity copies what the root's security publishers say about the digests of s in the root's own ledger, for
// a component that another ledger judges: whoever runs that one can't keep such a withdrawal out of it. It is nil when
// they say nothing. Of the head only the origin is kept; the words are as good as the replica, and age blocks nothing.
func CollectSecurity(root Evidence, s Subject, doc Root) (*Facts, error) {
	c := newCollector(root, Root{Security: doc.Security})
	if err := c.start(); err != nil {
		return nil, err
	}
	for _, d := range s.Digests() {
		found, err := c.ev.ByDigest(d)
		if err != nil {
			return nil, fmt.Errorf("cannot look up digest %s: %w", d.Short(), err)
		}
		c.facts.Records = append(c.facts.Records, found...)
	}
	records := c.keep(c.facts.Records, func(n *Notarization) bool {
		return slices.Contains(doc.Security, n.Publisher) && slices.ContainsFunc(s.Digests(), n.about)
	})
	records = slices.DeleteFunc(records, func(n PlacedNotarization) bool { return c.words.standing(&n) == worthless })
	if len(records) == 0 {
		return nil, nil
	}
	return &Facts{Head: Head{Origin: c.facts.Head.Origin}, Records: records, Publishers: c.facts.Publishers}, nil
}

type collector struct {
	ev        Evidence
	known     []string // publishers whose every record matters
	facts     Facts
	words     *words // over facts
	strangers int    // bytes that may still be copied of them
	leftOut   int    // by the last keep
}

func newCollector(ev Evidence, root Root, also ...[]string) *collector {
	c := &collector{ev: ev, known: distinct(append([][]string{root.Core, root.Security}, also...)...), strangers: maxStrangerBytes}
	if f, ok := ev.(Focused); ok {
		c.ev = f.For(c.known)
	}
	c.words = newWords(&c.facts, &root, nil)
	return c
}

// start takes the head first: later answers are complete up to it, and what they hold beyond it is left out.
func (c *collector) start() error {
	head, err := c.ev.Head()
	if err != nil {
		return fmt.Errorf("cannot read the ledger's head: %w", err)
	}
	c.facts = Facts{Head: head, Publishers: map[string][]PlacedPublisher{}}
	return c.publishers(c.known)
}

func (c *collector) images(repository, version string) ([]PlacedNotarization, error) {
	if repository == "" || version == "" {
		return nil, nil
	}
	var all []PlacedNotarization
	for _, kind := range []string{KindImage, KindSupervisor} {
		found, err := c.ev.ByName(kind, repository, version)
		if err != nil {
			return nil, fmt.Errorf("cannot look up %s %s: %w", repository, version, err)
		}
		all = append(all, found...)
	}
	return c.keep(all, func(n *Notarization) bool {
		return (n.Kind == KindImage || n.Kind == KindSupervisor) && n.Name == repository && n.Version == version
	}), nil
}

// channel keeps the records about the claimed file and about the one that is current by each known publisher. A channel
// has a record for each release there ever was; the others decide nothing, and each verdict is stored with its facts.
// Which one is current is found by their signatures, so that neither an operator's forgeries nor what a thief signed
// with a key that is revoked by now can crowd out the true one.
func (c *collector) channel(name string, claimed Digest) error {
	found, err := c.ev.ByName(KindChannel, name, "")
	if err != nil {
		return fmt.Errorf("cannot look up channel %s: %w", name, err)
	}
	c.facts.Channel = slices.DeleteFunc(slices.Clone(found), func(n PlacedNotarization) bool { return n.Pos.Tx > c.facts.Head.Count })
	digests := []Digest{claimed}
	for _, id := range c.known {
		if n, ok := currentChannel(c.words, []string{id}, name); ok {
			digests = append(digests, n.Notarization.Subjects[0].Digest)
		}
	}
	c.facts.Channel = c.keep(found, func(n *Notarization) bool {
		return n.Kind == KindChannel && n.Name == name && slices.ContainsFunc(digests, n.about)
	})
	return nil
}

// keep copies what matches, in the order of the ledger and without repeats.
func (c *collector) keep(list []PlacedNotarization, match func(*Notarization) bool) []PlacedNotarization {
	var out []PlacedNotarization
	for i := range list {
		n := &list[i]
		if n.Pos.Tx <= c.facts.Head.Count && n.Notarization.Ledger == c.facts.Head.Origin && match(&n.Notarization) {
			out = append(out, *n)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Pos.compare(out[j].Pos) < 0 })
	out = slices.CompactFunc(out, func(a, b PlacedNotarization) bool { return a.Pos == b.Pos })
	unchecked, strangers, all := 0, 0, len(out)
	out = slices.DeleteFunc(out, func(n PlacedNotarization) bool {
		if slices.Contains(c.known, n.Notarization.Publisher) {
			unchecked++
			return unchecked > maxUnchecked && c.words.standing(&n) == worthless
		}
		strangers++
		return strangers > maxStrangers || !c.afford(n.Envelope)
	})
	c.leftOut = all - len(out)
	return out
}

// afford tells whether e still fits into what is copied of strangers.
func (c *collector) afford(e Envelope) bool {
	c.strangers -= len(e.Payload)
	return c.strangers >= 0
}

// finish adds the documents of all others who speak in the facts.
func (c *collector) finish() (Facts, error) {
	var ids []string
	for _, list := range [][]PlacedNotarization{c.facts.Records, c.facts.Named, c.facts.Channel, c.facts.Oldest} {
		for i := range list {
			ids = append(ids, list[i].Notarization.Publisher)
		}
	}
	if err := c.publishers(ids); err != nil {
		return Facts{}, err
	}
	return c.facts, nil
}

func (c *collector) publishers(ids []string) error {
	for _, id := range distinct(ids) {
		if _, ok := c.facts.Publishers[id]; ok {
			continue
		}
		chain, err := c.ev.PublisherChain(id)
		if err != nil {
			return fmt.Errorf("cannot look up publisher %s: %w", id, err)
		}
		chain = slices.DeleteFunc(slices.Clone(chain), func(p PlacedPublisher) bool { return p.Pos.Tx > c.facts.Head.Count })
		tooMuch := !slices.Contains(c.known, id) && slices.ContainsFunc(chain, func(p PlacedPublisher) bool { return !c.afford(p.Envelope) })
		if len(chain) > 0 && !tooMuch {
			c.facts.Publishers[id] = chain
		}
	}
	return nil
}

func preloaded(root Root, repository string) []string {
	var ids []string
	for _, p := range root.Preload {
		if NameMatches(p.Name, repository) {
			ids = append(ids, p.Publisher)
		}
	}
	return ids
}
