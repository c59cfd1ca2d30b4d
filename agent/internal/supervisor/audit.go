package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent/internal/config"
)

// AuditName is the audit log below data_dir.
const AuditName = "audit.jsonl"

// An Actor is who asked for something.
type Actor struct {
	Name    string // of a token, a user or a signal
	Address string // an address, "socket" or empty
}

// An AuditRecord is one line of the audit log.
type AuditRecord struct {
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor"`
	Address string    `json:"address,omitempty"`
	Action  string    `json:"action"`
	Target  string    `json:"target,omitempty"`
	Result  string    `json:"result"` // started, ok, refused or failed
	Detail  string    `json:"detail,omitempty"`
	Change  any       `json:"change,omitempty"` // what is different, secrets hidden
}

// Audit is the log of who changed what. It is only ever appended to, and synced
// with every record.
type Audit struct {
	mu   sync.Mutex
	path string
	out  *os.File
}

// openAudit opens the log; a last line that a crash cut short is ended.
func openAudit(dataDir string) (*Audit, error) {
	a := &Audit{path: filepath.Join(dataDir, AuditName)}
	return a, a.openLocked()
}

func (a *Audit) openLocked() error {
	f, err := os.OpenFile(a.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && size == 0 {
		err = config.SyncDir(filepath.Dir(a.path))
	}
	if err == nil && size > 0 {
		last := make([]byte, 1)
		if _, err = f.ReadAt(last, size-1); err == nil && last[0] != '\n' {
			_, err = f.Write([]byte{'\n'})
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open the audit log: %w", err), f.Close())
	}
	a.out = f
	return nil
}

// AuditError says that something was not done because it cannot be audited.
type AuditError struct{ Err error }

func (e *AuditError) Error() string { return "the audit log cannot be written: " + e.Err.Error() }
func (e *AuditError) Unwrap() error { return e.Err }

// Add appends r; it is on disk when the error, an *AuditError, is nil.
func (a *Audit) Add(r AuditRecord) error {
	r.Time = time.Now().UTC()
	line, err := json.Marshal(r) // escapes control characters
	if err != nil {
		return &AuditError{err}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.addLocked(append(line, '\n')); err != nil {
		return &AuditError{err}
	}
	return nil
}

func (a *Audit) addLocked(line []byte) error {
	if a.out == nil {
		if err := a.openLocked(); err != nil {
			return err
		}
	}
	size, err := a.out.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	_, err = a.out.Write(line)
	if err == nil {
		err = a.out.Sync()
	}
	if err != nil {
		// Half a line, or one that is perhaps not on disk, is taken back; the next record opens the file anew.
		err = errors.Join(err, a.out.Truncate(size), a.out.Close())
		a.out = nil
	}
	return err
}

func (a *Audit) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.out == nil {
		return nil
	}
	err := a.out.Close()
	a.out = nil
	return err
}

// Audit is the agent's.
func (a *Agent) Audit() *Audit { return a.audit }

// Audited does f and tells the audit log before, without which it is not done,
// and after. f returns what is worth keeping about its result.
func (a *Agent) Audited(by Actor, action, target string, f func() (detail string, err error)) error {
	r := AuditRecord{Actor: by.Name, Address: by.Address, Action: action, Target: target, Result: "started"}
	if err := a.audit.Add(r); err != nil {
		return err
	}
	detail, err := f()
	r.Result, r.Detail = "ok", detail
	if err != nil {
		r.Result, r.Detail = "failed", err.Error()
	}
	if err := a.audit.Add(r); err != nil {
		a.log.Error("the result of an audited action is not in the audit log", "action", action, "target", target, "result", r.Result, "err", err)
	}
	return err
}
