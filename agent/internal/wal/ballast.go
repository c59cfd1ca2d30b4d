package wal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// The ballast is a file that is there only to be removed when the disk is
// full: so that the state can be saved, after which finished segments can go,
// which is what makes room again.
const ballastSize = 1 << 20

func (l *Log) ballastPath() string { return filepath.Join(l.dir, "ballast") }

// takeBallast makes the file if it is missing and there is room.
func (l *Log) takeBallast() {
	if info, err := os.Stat(l.ballastPath()); err == nil && info.Size() >= ballastSize {
		return
	}
	if free, _, err := l.disk.room(l.dir); err != nil || free < 4*ballastSize {
		return
	}
	// Zeros are written, not just promised, or they would take no room.
	if err := os.WriteFile(l.ballastPath(), make([]byte, ballastSize), 0o600); err != nil {
		os.Remove(l.ballastPath())
	}
}

// dropBallast makes a little room on a full disk, and reports whether it did.
func (l *Log) dropBallast(cause error) bool {
	return noSpace(cause) && os.Remove(l.ballastPath()) == nil
}

func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
