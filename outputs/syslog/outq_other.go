//go:build !linux

package syslog

import (
	"syscall"
	"time"
)

// outq is not known here: what the kernel has taken counts as acknowledged, and
// the resend window is all that stands between a broken connection and a lost event.
func outq(syscall.RawConn) (int64, error) { return 0, nil }

func tune(syscall.RawConn, time.Duration) error { return nil }
