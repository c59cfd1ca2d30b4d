package agent

// A FileStatus is how far an input has read one file.
type FileStatus struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"` // bytes of plain text whose lines are on disk
	Size   int64  `json:"size"`   // bytes of the file, as last seen
	Lag    int64  `json:"lag"`    // bytes that are there but not read; of a compressed file, compressed ones
	State  string `json:"state"`  // "reading", "idle", "draining" (rotated away) or "waiting" (for a decision, or after an error)
	Error  string `json:"error,omitempty"`
}

// A FileLister is an Input that reads files and tells how far it has come.
type FileLister interface {
	// Files lists the files that are read now, by path. It is nil while the
	// input does not run. It may be called from any goroutine, also before and after Run.
	Files() []FileStatus
}
