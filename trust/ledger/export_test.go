package ledger

// What only tests outside of the package need.
var (
	ParseHeadForTest = func(b []byte) ([]byte, error) {
		h, err := parseHead(b)
		if err != nil {
			return nil, err
		}
		return h.marshal()
	}
	ParseIndexForTest = func(b []byte, origin string) ([]byte, error) {
		x, err := parseIndex(b, origin)
		if err != nil {
			return nil, err
		}
		return x.marshal(origin)
	}
)

// IndexBytes is the memory the index in use takes.
func (r *Replica) IndexBytes() int {
	return 4*cap(r.view.offsets) + 16*(cap(r.view.old)+cap(r.view.recent))
}
