package delivery

import "sync"

// Spares are freed spans that wait to be used again, the last one first: its
// buffers are still in the processor's cache, and those that nobody needs any
// more stay at the bottom, where they are found and dropped.
type spares struct {
	most int // that are kept

	mu    sync.Mutex
	list  []*span // guarded by mu
	least int     // guarded by mu: how few there were since the last trim
}

// put takes over a span that is free.
func (p *spares) put(s *span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) < p.most {
		p.list = append(p.list, s)
	}
}

// take gives the last span that came, or nil.
func (p *spares) take() *span {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.list) - 1
	if n < 0 {
		return nil
	}
	s := p.list[n]
	p.list[n], p.list = nil, p.list[:n]
	p.least = min(p.least, n)
	return s
}

// trim drops those that were not used since the last call.
func (p *spares) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := copy(p.list, p.list[p.least:])
	clear(p.list[kept:])
	p.list, p.least = p.list[:kept], kept
}
