package agent

// JoinWire returns the events' wire forms one after the other. Those of one
// batch usually lie in memory that way, and then the result is a view of them;
// else it is made in buf, which may be nil. It is valid until the events are
// given back or buf is used again, and is only to be read.
func JoinWire(buf []byte, events []Event) []byte {
	if len(events) == 0 {
		return buf[:0]
	}
	all := events[0].Wire
	for i := range events[1:] {
		next, n := events[i+1].Wire, len(all)
		if len(next) == 0 {
			continue
		}
		if cap(all)-n < len(next) || &all[:n+1][n] != &next[0] {
			return appendWire(buf[:0], events)
		}
		all = all[:n+len(next)]
	}
	return all[:len(all):len(all)]
}

func appendWire(dst []byte, events []Event) []byte {
	for i := range events {
		dst = append(dst, events[i].Wire...)
	}
	return dst
}
