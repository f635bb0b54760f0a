package audit

// AccountPayload is the payload of an `account` record: what became of a user, or of a token that opens the door for one.
// Given to [Log.Append] with its texts, it is written with references in place of all that names people. No password, token
// or code has a place in it.
type AccountPayload struct {
	What  string `json:"what"`            // "user added", "role changed", "password set", "token made", …
	User  string `json:"user,omitempty"`  // private
	Role  string `json:"role,omitempty"`  // that he, or the token, has now
	Token string `json:"token,omitempty"` // its ID
	Name  string `json:"name,omitempty"`  // what the token is for; private
	By    string `json:"by"`              // private
}

// hideAccount replaces the private parts by references.
func (l *Log) hideAccount(p AccountPayload) (AccountPayload, error) {
	for _, s := range []*string{&p.User, &p.Name, &p.By} {
		ref, err := l.Private(*s)
		if err != nil {
			return p, err
		}
		*s = ref
	}
	return p, nil
}
