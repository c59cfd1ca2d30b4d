package plugintest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// maxFrame is the longest message that the stream mocks take.
const maxFrame = 1 << 20

// streams is the mock of syslog, CEF and LEEF over TCP and TLS.
type streams struct {
	r *Receiver

	ln    net.Listener
	quit  chan struct{}
	done  sync.WaitGroup
	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

func (s *streams) listen(addr string) (string, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	at := ln.Addr().String()
	ln = gate{ln, s.r}
	if s.r.opts.TLSConfig != nil {
		ln = tls.NewListener(ln, s.r.opts.TLSConfig)
	}
	s.ln, s.quit, s.conns = ln, make(chan struct{}), map[net.Conn]bool{}
	quit := s.quit
	s.done.Go(func() { s.accept(ln, quit) })
	return at, nil
}

func (s *streams) accept(ln net.Listener, quit <-chan struct{}) {
	for {
		c, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.done.Go(func() {
			s.serve(c, quit)
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// shut lets what clients have sent already arrive while ctx lasts.
func (s *streams) shut(ctx context.Context) {
	s.ln.Close()
	close(s.quit)
	s.mu.Lock()
	for c := range s.conns {
		if ctx.Err() != nil {
			cut(c)
		} else {
			// What is in the socket is read; a client that stays silent is not waited for.
			c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		}
	}
	s.mu.Unlock()
	s.done.Wait()
}

func (s *streams) serve(c net.Conn, quit <-chan struct{}) {
	s.r.ledger.requests.Add(1)
	in := bufio.NewReaderSize(c, 64<<10)
	var frame []byte
	counted := false
	for first := true; ; first = false {
		b, err := in.Peek(1)
		if err != nil {
			return
		}
		if first {
			// A receiver that guesses looks at the first byte, and no sender may mix.
			counted = '1' <= b[0] && b[0] <= '9'
		}
		hit, delay := s.r.faults.strike(nil)
		if delay > 0 {
			wait(context.Background(), quit, delay)
		}
		if hit != nil && hit.kind == "reset_before" {
			cut(c)
			return
		}
		if hit != nil && hit.kind == "hang" {
			wait(context.Background(), quit, time.Hour)
			return
		}
		if counted {
			frame, err = readCounted(in, frame[:0])
		} else {
			frame, err = readLine(in, frame[:0])
		}
		if err != nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) && !isClosed(err) {
				s.r.ledger.bad(err.Error())
			}
			return
		}
		s.r.message(frame)
		if hit != nil && hit.kind == "reset_after" {
			cut(c)
			return
		}
	}
}

func isClosed(err error) bool {
	var ne net.Error
	return errors.Is(err, net.ErrClosed) || errors.As(err, &ne)
}

// readCounted reads MSG-LEN SP SYSLOG-MSG.
func readCounted(in *bufio.Reader, frame []byte) ([]byte, error) {
	size, digits := 0, 0
	for {
		c, err := in.ReadByte()
		if err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		if c == ' ' && digits > 0 {
			break
		}
		if c < '0' || c > '9' || c == '0' && digits == 0 || digits > 7 {
			return nil, fmt.Errorf("octet counting: %q is no length", c)
		}
		size, digits = size*10+int(c-'0'), digits+1
	}
	if size > maxFrame {
		return nil, fmt.Errorf("octet counting: a message of %d octets", size)
	}
	if cap(frame) < size {
		frame = make([]byte, size)
	}
	frame = frame[:size]
	if _, err := io.ReadFull(in, frame); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return frame, nil
}

// readLine reads up to LF, which is left out.
func readLine(in *bufio.Reader, frame []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		frame = append(frame, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(frame[:len(frame)-1], []byte("\r")), nil
		case errors.Is(err, bufio.ErrBufferFull) && len(frame) <= maxFrame:
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, errors.New("a line without end")
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// datagrams is the same over UDP.
type datagrams struct {
	r    *Receiver
	conn net.PacketConn
	quit chan struct{}
	done sync.WaitGroup
}

func (d *datagrams) listen(addr string) (string, error) {
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return "", err
	}
	if u, ok := conn.(*net.UDPConn); ok {
		u.SetReadBuffer(4 << 20) // as much as the system grants
	}
	d.conn, d.quit = conn, make(chan struct{})
	quit := d.quit
	d.done.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			}
			if n == 0 {
				continue // not a message
			}
			hit, delay := d.r.faults.strike(buf[:n])
			if delay > 0 {
				wait(context.Background(), quit, delay)
			}
			if hit == nil || hit.kind == "reset_after" {
				d.r.ledger.requests.Add(1)
				d.r.message(buf[:n])
			}
		}
	})
	return conn.LocalAddr().String(), nil
}

func (d *datagrams) shut(context.Context) {
	close(d.quit)
	d.conn.Close()
	d.done.Wait()
}
