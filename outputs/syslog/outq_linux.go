package syslog

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// outq is the number of bytes given to the socket that the peer's TCP has not acknowledged yet.
func outq(c syscall.RawConn) (int64, error) {
	var n uint32
	var err error
	if e := c.Control(func(fd uintptr) { n, err = unix.IoctlGetUint32(int(fd), unix.SIOCOUTQ) }); e != nil {
		return 0, e
	}
	return int64(n), err
}

// tune makes the kernel give up on a peer that has acknowledged nothing for d,
// be it gone or merely not reading. Without it that takes a quarter of an hour.
func tune(c syscall.RawConn, d time.Duration) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	}); e != nil {
		return e
	}
	return err
}
