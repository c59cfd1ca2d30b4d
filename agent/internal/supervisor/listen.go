package supervisor

import (
	"net"
	"sync"
)

// listeners keeps listening sockets alive across a reload: a successor that
// asks for an address which its predecessor listens on gets the same socket, so
// that no connection is refused in between.
type listeners struct {
	mu   sync.Mutex
	open map[string]*socket // by network and address
}

// socket is one listening socket. A goroutine accepts, whoever has a view takes.
type socket struct {
	ln    net.Listener
	conns chan accepted
	done  chan struct{} // closed when the last view has closed
	ended sync.WaitGroup
	users int // guarded by listeners.mu
}

type accepted struct {
	conn net.Conn
	err  error
}

func newListeners() *listeners { return &listeners{open: map[string]*socket{}} }

// listen gives a view of the socket at address, opening it if nobody has.
func (l *listeners) listen(network, address string) (net.Listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := network + " " + address
	s := l.open[key]
	if s == nil {
		ln, err := net.Listen(network, address)
		if err != nil {
			return nil, err
		}
		s = &socket{ln: ln, conns: make(chan accepted), done: make(chan struct{})}
		l.open[key] = s
		s.ended.Go(s.accept)
	}
	s.users++
	return &view{socket: s, pool: l, key: key, closed: make(chan struct{})}, nil
}

func (s *socket) accept() {
	for {
		conn, err := s.ln.Accept()
		select {
		case s.conns <- accepted{conn, err}:
		case <-s.done:
			if conn != nil {
				conn.Close()
			}
			return
		}
	}
}

// view is one user's handle on a socket. Closing it ends its Accept; the socket
// itself closes with its last view.
type view struct {
	socket *socket
	pool   *listeners
	key    string
	closed chan struct{}
	once   sync.Once
}

func (v *view) Addr() net.Addr { return v.socket.ln.Addr() }

func (v *view) Accept() (net.Conn, error) {
	select {
	case <-v.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case a := <-v.socket.conns:
		return a.conn, a.err
	case <-v.closed:
		return nil, net.ErrClosed
	}
}

func (v *view) Close() error {
	var err error
	v.once.Do(func() {
		close(v.closed)
		v.pool.mu.Lock()
		s := v.socket
		s.users--
		last := s.users == 0
		if last {
			delete(v.pool.open, v.key)
		}
		v.pool.mu.Unlock()
		if last {
			close(s.done)
			err = s.ln.Close()
			s.ended.Wait()
		}
	})
	return err
}
