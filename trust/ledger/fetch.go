package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/castellan/castellan/trust"
)

// FetchNextRoot gets the root document after prev from the first mirror whose copy verifies, with its bytes as they
// were signed. A bad copy never hides a good one. The error has the reason ROOT_MISSING.
func (r *Replica) FetchNextRoot(ctx context.Context, prev trust.Root) (trust.Root, []byte, error) {
	var next trust.Root
	b, err := r.fetchChecked(ctx, fmt.Sprintf("/root/%d.json", prev.Version+1), trust.MaxRecordBytes, func(b []byte) (err error) {
		next, err = trust.VerifyNextRoot(prev, b)
		return err
	})
	if err != nil {
		return trust.Root{}, nil, reason(trust.RootMissing, "cannot get root version %d: %w", prev.Version+1, err)
	}
	return next, b, nil
}

// FetchRoot gets the bytes of root version n from the first mirror that has something in the form of one. They are
// not verified; [Replica.FetchNextRoot] is for callers that can.
func (r *Replica) FetchRoot(ctx context.Context, n int) ([]byte, error) {
	b, err := r.fetchChecked(ctx, fmt.Sprintf("/root/%d.json", n), trust.MaxRecordBytes, func(b []byte) error {
		e, err := trust.ParseEnvelope(b)
		if err != nil {
			return err
		}
		root, err := trust.ParseRoot(e.Payload)
		if err == nil && root.Version != n {
			err = fmt.Errorf("it is version %d", root.Version)
		}
		return err
	})
	if err != nil {
		return nil, reason(trust.RootMissing, "cannot get root version %d: %w", n, err)
	}
	return b, nil
}

// FetchFile gets the file with digest d, of at most max bytes, from the first mirror that has it.
func (r *Replica) FetchFile(ctx context.Context, d trust.Digest, max int64) ([]byte, error) {
	if _, err := trust.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	b, err := r.fetchChecked(ctx, "/file/sha256/"+d.Hex(), max, func(b []byte) error {
		if got := trust.DigestOf(b); got != d {
			return fmt.Errorf("its digest is %s", got)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot get file %s: %w", d, err)
	}
	return b, nil
}

func (r *Replica) fetchChecked(ctx context.Context, path string, max int64, check func([]byte) error) ([]byte, error) {
	if err := r.acquire(ctx); err != nil {
		return nil, err
	}
	mirrors := r.mirrors
	r.release()
	errs := []error{fmt.Errorf("none of %d mirrors has it", len(mirrors))}
	for _, m := range mirrors {
		b, err := m.fetch(ctx, path, max)
		if err == nil {
			if err = check(b); err == nil {
				return b, nil
			}
			err = fmt.Errorf("cannot use %s%s: %w", m.url, path, err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}
