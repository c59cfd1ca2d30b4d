package api

import (
	"net/netip"
	"sync"
	"time"
)

// failures counts wrong tokens by address, so that nobody can try many.
type failures struct {
	mu sync.Mutex
	by map[string]*attempts
}

// attempts is a bucket that failures empty and time fills.
type attempts struct {
	left float64
	at   time.Time

	told   time.Time // when the audit log was told
	untold int       // failures since
}

const (
	failureBurst = 100  // wrong tokens that are answered at once
	failureRate  = 1.0  // further ones in a second
	failureKinds = 4096 // addresses that are remembered
)

// wait is how long the address has to wait before it may try again.
func (f *failures) wait(address string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.by[network(address)]
	if a == nil {
		return 0
	}
	left := a.left + now.Sub(a.at).Seconds()*failureRate
	if left >= 1 {
		return 0
	}
	return time.Duration((1 - left) / failureRate * float64(time.Second))
}

// note takes down a failure, and says how many the audit log is to be told about now.
func (f *failures) note(address string, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[string]*attempts{}
	}
	if len(f.by) >= failureKinds {
		f.forgetLocked(now)
	}
	key := network(address)
	a := f.by[key]
	if a == nil {
		a = &attempts{left: failureBurst, at: now}
		f.by[key] = a
	}
	a.left = min(failureBurst, a.left+now.Sub(a.at).Seconds()*failureRate) - 1
	a.at = now
	a.untold++
	if now.Sub(a.told) < time.Minute {
		return 0
	}
	n := a.untold
	a.told, a.untold = now, 0
	return n
}

// forgetLocked drops who has waited long enough, or all if that is nobody.
func (f *failures) forgetLocked(now time.Time) {
	for key, a := range f.by {
		if now.Sub(a.at).Seconds()*failureRate > failureBurst {
			delete(f.by, key)
		}
	}
	if len(f.by) >= failureKinds {
		clear(f.by)
	}
}

// network is what counts as one address: a customer's network of IPv6.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
