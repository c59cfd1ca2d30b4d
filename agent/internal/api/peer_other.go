//go:build !linux

package api

import (
	"errors"
	"net"
)

func credentials(*net.UnixConn) (peer, error) { return peer{}, errors.ErrUnsupported }
