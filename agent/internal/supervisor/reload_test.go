package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// While a change is under way, one reload waits for all who ask.
func TestReloadsQueueOnce(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	r.changing.Lock()
	var wg sync.WaitGroup
	results := make([]Reload, 20)
	for i := range results {
		wg.Go(func() {
			var err error
			if results[i], err = r.Reload(Actor{Name: fmt.Sprintf("asker-%d", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	for waiting := 0; waiting < len(results); {
		r.reloads.mu.Lock()
		if q := r.reloads.queued; q != nil {
			waiting = len(q.by)
		}
		r.reloads.mu.Unlock()
	}
	r.write("outputs: {}\n" + "log: {level: debug}\n") // is read by the one that waits
	r.changing.Unlock()
	wg.Wait()
	for i, got := range results {
		if got.Generation != 2 || !got.Changed {
			t.Errorf("result %d: %+v", i, got)
		}
	}
	if text := r.metrics(); r.Generation() != 2 || !strings.Contains(text, `siemd_config_reloads_total{result="applied"} 1`) {
		t.Errorf("generation %d", r.Generation())
	}
	audit, err := os.ReadFile(filepath.Join(r.dir, "state", AuditName))
	for i := range results {
		if n := strings.Count(string(audit), fmt.Sprintf(`"asker-%d"`, i)); n != 1 {
			t.Errorf("asker-%d is in the audit log %d times, %v", i, n, err)
		}
	}
	// The next is one of its own.
	if got, err := r.Reload(Actor{Name: "later"}); err != nil || got.Generation != 3 || got.Changed {
		t.Errorf("%+v, %v", got, err)
	}
}
