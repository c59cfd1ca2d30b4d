package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/intake"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// Failed lists up to limit failed events of all connections, or of the named
// one, by connection and then oldest first. It goes on behind the entry with
// the id after of the connection from. more says that there are others.
func (a *Agent) Failed(connection string, filter delivery.FailedFilter, from, after string, limit int) (entries []delivery.Entry, more bool, err error) {
	names, err := a.stores(connection)
	if err != nil {
		return nil, false, err
	}
	for _, name := range names {
		cursor := ""
		switch {
		case name < from:
			continue
		case name == from:
			cursor = after
		}
		var list []delivery.Entry
		err := a.failedStore(name, func(s *delivery.FailedStore) (err error) {
			list, _, err = s.List(filter, cursor, limit+1-len(entries)) // one more shows that there are more
			return err
		})
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, list...)
		if len(entries) > limit {
			return entries[:limit], true, nil
		}
	}
	return entries, false, nil
}

// FailedEntry is one failed event.
func (a *Agent) FailedEntry(connection, id string) (e delivery.Entry, ok bool, err error) {
	err = a.failedStore(connection, func(s *delivery.FailedStore) (err error) {
		e, ok, err = s.Get(id)
		return err
	})
	return e, ok, err
}

// ExportFailed writes failed events that filter picks to w, one JSON object a
// line. w may be slow: nothing is held while it is written to.
func (a *Agent) ExportFailed(w io.Writer, connection string, filter delivery.FailedFilter) error {
	names, err := a.stores(connection)
	if err != nil {
		return err
	}
	for _, name := range names {
		for cursor := ""; ; {
			var entries []delivery.Entry
			err := a.failedStore(name, func(s *delivery.FailedStore) (err error) {
				entries, cursor, err = s.List(filter, cursor, exportPage)
				return err
			})
			if err != nil {
				return err
			}
			for i := range entries {
				if _, err := w.Write(append(entries[i].AppendJSON(nil), '\n')); err != nil {
					return err
				}
			}
			if cursor == "" {
				break
			}
		}
	}
	return nil
}

// exportPage is how many entries ExportFailed holds in memory.
const exportPage = 200

// PurgeFailed removes failed events that filter picks, and counts them as expired.
func (a *Agent) PurgeFailed(connection string, filter delivery.FailedFilter) (map[string]int, error) {
	names, err := a.stores(connection)
	if err != nil {
		return nil, err
	}
	removed := map[string]int{}
	for _, name := range names {
		err := a.failedStore(name, func(s *delivery.FailedStore) error {
			n, err := s.Purge(filter)
			removed[name] = n
			return err
		})
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// stores names the connections that have a failed store, in order, or checks
// that the named one has. Stores outlive their connection.
func (a *Agent) stores(connection string) ([]string, error) {
	cfg := a.Config()
	if connection != "" {
		if cfg.Outputs[connection] == nil && (!config.ValidName(connection) || !isDir(failedDir(cfg, connection))) {
			return nil, fmt.Errorf("%w: %q", ErrUnknownConnection, connection)
		}
		return []string{connection}, nil
	}
	entries, err := os.ReadDir(filepath.Join(cfg.DataDir, "failed"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// failedStore lends the failed store of the named connection to f. That of one that
// does not run is opened for the occasion.
func (a *Agent) failedStore(name string, f func(*delivery.FailedStore) error) error {
	if o := a.output(name); o != nil {
		return f(o.failed)
	}
	a.changing.Lock() // so that it does not begin to run meanwhile
	defer a.changing.Unlock()
	if o := a.output(name); o != nil {
		return f(o.failed)
	}
	if a.stopping() {
		return ErrStopping
	}
	cfg := a.Config()
	if !config.ValidName(name) || !isDir(failedDir(cfg, name)) {
		return nil
	}
	var cursor delivery.Cursor = gone(name)
	if a.hasCursor(name) {
		c := a.wal.Cursor(name, false)
		defer c.Close()
		cursor = c
	}
	s, err := delivery.OpenFailed(delivery.FailedOptions{
		Dir: failedDir(cfg, name), MaxSize: int64(cfg.Failed.MaxSize), MaxAge: cfg.Failed.MaxAge.D(), Cursor: cursor, Log: a.log,
	})
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.Close())
}

// gone stands for the cursor of a connection that was deleted and has left failed events.
type gone string

func (g gone) Name() string               { return string(g) }
func (g gone) Seq() uint64                { return 0 }
func (g gone) Resume() uint64             { return 0 }
func (g gone) Start() uint64              { return 0 }
func (g gone) Counts() wal.Counts         { return wal.Counts{} }
func (g gone) Advance(uint64, wal.Counts) {}
func (g gone) Adjust(wal.Change)          {}

// Refused lists refused lines: see intake.Refused.
func (a *Agent) Refused(f intake.RefusedFilter, after string, limit int) ([]intake.RefusedLine, string, error) {
	return a.refused.Find(f, after, limit)
}
