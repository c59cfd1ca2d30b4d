package intake

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/adrian207/siemd/agent"
)

// A digest stands for a refused line.
type digest [16]byte

func digestOf(r *agent.Refusal) digest {
	b := make([]byte, 0, 8+len(r.Reason)+len(r.Text))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Offset))
	b = append(append(b, r.Reason...), r.Text...)
	sum := sha256.Sum256(b)
	return digest(sum[:16])
}

// again remembers refused lines that were kept while the rest of their batch
// was not stored, since the input will bring that batch once more.
type again struct {
	mu   sync.Mutex
	kept map[digest]int
}

// maxAgain bounds the memory. Beyond it lines are kept twice, which does no harm.
const maxAgain = 4096

func (a *again) remember(lines []digest) {
	if len(lines) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept == nil || len(a.kept) > maxAgain {
		a.kept = map[digest]int{}
	}
	for _, d := range lines {
		a.kept[d]++
	}
}

// forget reports whether d was remembered, and takes it out once.
func (a *again) forget(d digest) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.kept[d]
	if n == 0 {
		return false
	}
	if a.kept[d] = n - 1; n == 1 {
		delete(a.kept, d)
	}
	return true
}
