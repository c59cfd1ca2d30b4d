package tail

import (
	"errors"
	"slices"
	"time"
)

// ensureOpen opens f if it is not, and makes room for its descriptor. If it
// cannot, that is dealt with: by a scan that will find out, or later again.
func (r *run) ensureOpen(f *file) error {
	if f.fd != nil {
		return nil
	}
	path := f.where()
	fd, i, err := r.t.openFile(f.pattern, path, f.id)
	var refusal *refusalError
	switch {
	case err == nil:
	case errors.As(err, &refusal):
		r.refuse(path, refusal.reason)
		r.drop(f)
		r.dirty[f.id.shard()] = true
		return err
	case f.lost:
		if isGone(err) || errors.Is(err, errReplaced) {
			f.missed, r.scanWanted = true, true // renamed between the look and now, or gone: the next look tells
		} else {
			r.trouble(f, err)
		}
		return err
	case isGone(err), errors.Is(err, errReplaced):
		r.scanWanted = true
		r.pending[f] = true // for its turn is over
		return err
	default:
		r.trouble(f, err)
		return err
	}
	for len(r.open) >= r.t.timing.open {
		if !r.closeIdlest() {
			break
		}
	}
	f.fd, f.used = fd, time.Now()
	r.open = append(r.open, f)
	r.observe(f, i)
	return nil
}

// closeIdlest closes the descriptor that was used longest ago and is not needed.
func (r *run) closeIdlest() bool {
	var idlest *file
	for _, f := range r.open {
		if !f.lost && !f.queued && (idlest == nil || f.used.Before(idlest.used)) {
			idlest = f
		}
	}
	if idlest == nil {
		for _, f := range r.open { // all have something to read: the one that waits longest can open again
			if !f.lost && (idlest == nil || f.used.Before(idlest.used)) {
				idlest = f
			}
		}
	}
	if idlest == nil {
		return false
	}
	r.closeFile(idlest)
	return true
}

func (r *run) closeFile(f *file) {
	r.closeStream(f)
	if f.fd != nil {
		f.close()
		r.open = slices.DeleteFunc(r.open, func(o *file) bool { return o == f })
	}
}

func (r *run) closeStream(f *file) {
	if f.stream != nil {
		f.stream.close()
		f.stream = nil
		r.streams--
	}
}

// trouble logs what is wrong with f, once, and looks at it again at the next tick.
func (r *run) trouble(f *file, err error) {
	if f.trouble != err.Error() {
		f.trouble = err.Error()
		r.meters.troubles.Inc()
		r.log.Warn("a file cannot be read", "path", f.path, "offset", f.offset, "err", err)
	}
	if !f.compressed() { // one that is damaged stays so until it changes
		r.pending[f] = true
	}
}
