package trust

// vouched looks for the notarization that lets the subject in: by an accepted publisher, under the name and version
// that were asked for, about the index, this platform's manifest and its config in one record.
func (j *judgement) vouched() bool {
	if j.in.Subject.Class == ClassLocal && j.in.Action == AutoUpdate && j.against(LocalBuild, Position{}, "") {
		return true
	}
	var revoked *PlacedNotarization
	for _, id := range j.accepted {
		if !j.words.names(id, j.in.Subject.Repository) {
			continue
		}
		j.words.by(j.in.Facts.Records, id, func(n *PlacedNotarization, s standing) {
			if !j.fits(n, Trusted) {
				return
			}
			switch {
			case s == revokedBy:
				revoked = n
			case j.candidate == nil || n.Notarization.Publisher == j.candidate.Notarization.Publisher && n.Notarization.UID > j.candidate.Notarization.UID:
				j.candidate = n
			}
		})
	}
	switch {
	case j.candidate != nil:
		j.v.Publisher, j.v.Record = j.candidate.Notarization.Publisher, j.candidate.Pos
		if !j.byOwner() {
			j.v.Floor = j.words.word(j.v.Publisher, j.in.Subject.Manifest).First
		}
		return false
	case !j.required:
		if done, ok := j.otherContent(j.in.Policy.House); ok {
			return done // the owner has said which content this version has
		}
		return j.unsigned()
	case revoked != nil:
		return j.against(KeyRevoked, revoked.Pos, "record %d.%d by %s", revoked.Pos.Tx, revoked.Pos.Entry, revoked.Notarization.Publisher)
	}
	return j.unvouched()
}

// byOwner tells whether the house key vouches. The owner chooses digest by digest and when he likes: his records have
// no age, and raise no floor that would hold up his publishers' releases.
func (j *judgement) byOwner() bool {
	return j.candidate != nil && j.candidate.Notarization.Publisher == j.in.Policy.House
}

// fits tells whether a record gives the subject, exactly as it was asked for, this status.
func (j *judgement) fits(n *PlacedNotarization, status Status) bool {
	p, s := &n.Notarization, j.in.Subject
	if p.Status != status || !p.image(s.Class) || p.Name != s.Repository || p.Version != s.Version {
		return false
	}
	ok, _ := p.covers(s)
	return ok
}

// unsigned lets in what nobody has to vouch for. By itself it only follows what was let in unsigned before.
func (j *judgement) unsigned() bool {
	if j.in.Action == AutoUpdate && !(j.in.Installed && j.in.InstalledUnsigned) &&
		j.against(SignatureMissing, Position{}, "it is unsigned and was not let in unsigned before; install it by hand") {
		return true
	}
	if head := j.in.Facts.Head; !head.Time.IsZero() && j.in.Now.Sub(head.Time) > DefaultWarn {
		j.warn(LedgerStale, Position{}, "ledger %s: last heard of %s; a withdrawal since then is not known", head.Origin, stamp(head.Time))
	}
	return j.allow(AllowUnsigned)
}

// unvouched says why nothing vouches for a subject that needs it. A replica that may be behind says nothing: lag is
// not an attack.
func (j *judgement) unvouched() bool {
	head := j.in.Facts.Head
	if j.blind() {
		if r := j.rootState(); r != "" {
			return j.against(r, Position{}, "no notarization is known under root version %d", j.in.Root.Version)
		}
		return j.against(EvidenceUnavailable, Position{}, "ledger %q is known up to %s, the reference was first looked up %s", head.Origin, stamp(head.Time), stamp(j.in.FirstResolved))
	}
	for _, id := range j.accepted {
		if done, ok := j.mislabelled(id); ok {
			return done
		}
	}
	for _, id := range j.accepted {
		if done, ok := j.otherContent(id); ok {
			return done
		}
	}
	if pos, id, ok := j.stranger(); ok {
		return j.against(SignerChanged, pos, "notarized by %s, want %s", id, wanted(j.accepted))
	}
	return j.against(SignatureMissing, Position{}, "no notarization by %s up to %s", wanted(j.accepted), stamp(head.Time))
}

// blind tells whether nothing can be concluded from a record that is not there.
func (j *judgement) blind() bool { return j.lagging() || j.rootState() != "" }

// mislabelled looks for what an accepted publisher does say about these very digests: under another name or version,
// for another platform, or that it never supported them.
func (j *judgement) mislabelled(id string) (done, ok bool) {
	s := j.in.Subject
	named := j.words.names(id, s.Repository)
	j.words.by(j.in.Facts.Records, id, func(n *PlacedNotarization, st standing) {
		p := &n.Notarization
		if ok || st == revokedBy || !p.image(s.Class) || !p.about(s.Manifest) || p.Status == Untrusted {
			return
		}
		_, platform := p.covers(s)
		switch {
		case p.Name != s.Repository:
			done, ok = j.against(WrongName, n.Pos, "want %s, notarized as %s", s.Repository, p.Name), true
		case !named:
			done, ok = j.against(WrongName, n.Pos, "%s may not speak for %s", id, s.Repository), true
		case p.Version != s.Version:
			done, ok = j.against(WrongVersion, n.Pos, "want %s, notarized as %s", s.Version, p.Version), true
		case !platform:
			done, ok = j.against(WrongPlatform, n.Pos, "want %s", s.Platform), true
		case j.fits(n, Unsupported):
			done, ok = j.against(NoLongerSupported, n.Pos, "by %s, which never notarized it as trusted", id), true
		}
	})
	return done, ok
}

// otherContent looks for other digests that an accepted publisher notarized under this name and version, or for a
// record that knows only a part of these.
func (j *judgement) otherContent(id string) (done, ok bool) {
	if !j.words.names(id, j.in.Subject.Repository) {
		return false, false
	}
	j.words.by(j.in.Facts.Named, id, func(n *PlacedNotarization, st standing) {
		if !ok && st != revokedBy && n.Notarization.Status == Trusted {
			done, ok = j.against(ContentMismatch, n.Pos, "%s notarized other content as version %s in record %d.%d", id, n.Notarization.Version, n.Pos.Tx, n.Pos.Entry), true
		}
	})
	return done, ok
}

func wanted(ids []string) string {
	switch len(ids) {
	case 0:
		return "anybody the root accepts"
	case 1:
		return ids[0]
	}
	out := ids[0]
	for _, id := range ids[1:] {
		out += " or " + id
	}
	return out
}
