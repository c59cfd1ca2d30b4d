//go:build unix

package agent

import "syscall"

// Descriptors is how many files and sockets this process may have open. A
// component that keeps many takes a part of them and no more: with none left
// nobody can save a position, take a request or reach a SIEM.
func Descriptors() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 1024
	}
	return int(min(uint64(r.Cur), 1<<20))
}
