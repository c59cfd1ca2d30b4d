package plugintest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// The ports that FindPort chooses from: below those that Linux and others give to connections.
const lowPort, highPort = 10_000, 32_000

var givenPorts sync.Map

// nextPort is one that was not given before. Whether it is free remains to be seen.
func nextPort() int {
	for {
		port := lowPort + rand.IntN(highPort-lowPort)
		if _, given := givenPorts.LoadOrStore(port, true); !given {
			return port
		}
	}
}

// tries is how many ports are tried before none counts as free.
const tries = 100

// FindPort is a port of 127.0.0.1 on which nobody listens, by TCP or UDP, and
// that no connection gets meanwhile, as one that the system chose could. It is
// given once in the life of the process.
func FindPort() (int, error) {
	for range tries {
		port := nextPort()
		l, err := net.Listen("tcp", addressOf(port))
		if err != nil {
			continue
		}
		l.Close()
		u, err := net.ListenPacket("udp", addressOf(port))
		if err != nil {
			continue
		}
		u.Close()
		return port, nil
	}
	return 0, errors.New("no port of 127.0.0.1 is free")
}

// FreePort is FindPort for tests.
func FreePort(t TB) int {
	t.Helper()
	port, err := FindPort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// FreeAddr is FreePort as an address.
func FreeAddr(t TB) string {
	t.Helper()
	return addressOf(FreePort(t))
}

func addressOf(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
